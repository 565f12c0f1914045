"""Signs and words that text, comment and page share, so that the three say the same thing the same way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from gitops.model.plan import Change, ChangeGroup, FieldChange, FleetPlan

SIGNS: Mapping[str, str] = {
    "create": "+",
    "update": "~",
    "replace": "±",
    "remove": "-",
    "run": "»",
    "restart": "↻",
    "reload": "↻",
    "refused": "✗",
}
RISK_ORDER = ("low", "medium", "high")
MINUTE, HOUR, DAY = 60, 3600, 86400


def sign_of(change: Change) -> str:
    """Give the one-character sign: `!` for a conflict, `?` for an opaque run, else that of the action."""
    if change.action != "refused" and change.classification == "conflict":
        return "!"
    if change.confidence == "opaque":
        return "?"
    return SIGNS[change.action]


def why_of(change: Change) -> str:
    """Say in a few words why this line is there."""
    if change.action == "refused":
        return f"refused: {change.reason}"
    words = {
        "initial": "new here",
        "intentional": "this change",
        "corrective": "changed on the host, will be put back",
        "conflict": "changed by hand and here",
    }[change.classification]
    if change.confidence == "opaque":
        words = "opaque: no check, runs every time"
    if change.is_upper_bound:
        return f"{words}; never observed: at most this"
    return f"{words}; {change.reason}" if change.reason else words


def describe_field(change: FieldChange) -> str:
    """Give `mode 0600 → 0644`."""
    return f"{change.name} {describe_value(change.before)} → {describe_value(change.after)}"


def describe_value(value: object) -> str:
    """Give a JSON value in words: content as size and short digest, nothing as `none`."""
    if value is None or value == "":
        return "none"
    if isinstance(value, dict):
        table: dict[str, object] = dict(value)  # pyright: ignore[reportUnknownArgumentType]  a JSON object of any values
        if "digest" in table and "size" in table:
            return f"{table['size']} bytes ({str(table['digest'])[:8] or 'none'})"
        return ", ".join(f"{key}={describe_value(item)}" for key, item in sorted(table.items()))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        items: list[object] = list(value)  # pyright: ignore[reportUnknownArgumentType]  a JSON list of any values
        return ", ".join(describe_value(item) for item in items) or "none"
    return str(value)


def describe_age(observed: datetime, now: datetime) -> str:
    """Give `4 min`, `2 h`, `3 d`; a time ahead of the clock is `now`."""
    seconds = max(0, int((now - observed).total_seconds()))
    if seconds < MINUTE:
        return f"{seconds} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE} min"
    if seconds < 2 * DAY:
        return f"{seconds // HOUR} h"
    return f"{seconds // DAY} d"


def describe_observed(plan: FleetPlan, now: datetime) -> str:
    """Say how old the observations behind the plan are: the newest, the oldest and which host, who was never seen."""
    seen = sorted((at, host) for host, at in plan.ages.items() if at is not None)
    never = [host for host, at in plan.ages.items() if at is None]
    words: list[str] = []
    if seen:
        words.append(f"observed {describe_age(seen[-1][0], now)} ago")
        if seen[0][0] != seen[-1][0]:
            words.append(f"oldest: {seen[0][1]}, {describe_age(seen[0][0], now)}")
    if never:
        words.append(f"never observed: {name_hosts(never)}")
    return "; ".join(words) or "nothing to observe"


def name_hosts(hosts: Sequence[str], most: int = 3) -> str:
    """Give up to three names, or the first and the last with their count."""
    ordered = sorted(hosts)
    if len(ordered) <= most:
        return ", ".join(ordered)
    return f"{ordered[0]} … {ordered[-1]} ({len(ordered)} hosts)"


def count_actions(groups: Iterable[ChangeGroup]) -> tuple[tuple[str, int], ...]:
    """Count changes by action over all hosts, in the order of SIGNS."""
    counts: dict[str, int] = dict.fromkeys(SIGNS, 0)
    for group in groups:
        for change in group.changes:
            counts[change.action] += len(group.hosts)
    return tuple((action, count) for action, count in counts.items() if count)


def worst_risk(groups: Iterable[ChangeGroup]) -> str:
    """Give the highest risk of all changes; `low` when there are none."""
    risks = [RISK_ORDER.index(change.risk) for group in groups for change in group.changes]
    return RISK_ORDER[max(risks, default=0)]


def count_words(count: int, noun: str) -> str:
    """Give `1 change`, `2 changes`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
