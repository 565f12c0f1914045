"""Signs and words that text, comment and page share, so that the three say the same thing the same way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from gitops.model.fleetplan import ChangeGroup, FleetPlan
from gitops.model.plan import Change, FieldChange, Variation
from gitops.model.scope import WHOLE
from gitops.plan.routing import KIND as ROUTING

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
STILL = "wanted otherwise, nothing to do today"
RISK_ORDER = ("low", "medium", "high")
_NUMBER = re.compile(r"(.*?)([0-9]{1,12})([^0-9]*)\Z", re.DOTALL)
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
    if change.is_behind and change.classification == "corrective":
        words = "released before, not yet there when the host was seen"
    if change.action in ("restart", "reload") and change.reason.startswith("because"):
        return f"{change.reason}, to heal" if change.classification == "corrective" else change.reason
    if change.confidence == "opaque":
        words = "opaque" if change.reason else "opaque: no check, runs every time"
    # What is said of the others comes first, since a long reason is cut.
    words = add_variation(words, change)
    return f"{words}; {change.reason}" if change.reason else words


def add_variation(words: str, change: Change) -> str:
    """Give words of a change that end in how it differs, when it does."""
    return words if change.differs is None else f"{words}; {describe_variation(change.differs)}"


def describe_variation(found: Variation) -> str:
    """Say that what is shown is one host's."""
    return f"differs per host: {count_words(found.count, 'variant')}, shown is that of {found.sample}"


def describe_field(change: FieldChange) -> str:
    """Give `mode 0600 → 0644`."""
    name = f"{change.name}:" if change.name.startswith("secret ") else change.name
    return f"{name} {describe_value(change.before)} → {describe_value(change.after)}"


def describe_value(value: object) -> str:
    """Give a JSON value in words: content as size and short digest, nothing as `none`."""
    if value is None or value == "":
        return "none"
    if isinstance(value, dict):
        table: dict[str, object] = dict(value)  # pyright: ignore[reportUnknownArgumentType]  a JSON object of any values
        if "digest" in table and "size" in table:
            return f"{table['size']} bytes ({str(table['digest'] or 'none')[:8]})"
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
    """Give the names, runs of numbers folded (`web-001…web-411`), at most so many; their count when not every name is there."""
    if tuple(hosts) == (WHOLE,):
        return "the environment itself"
    folded = fold_names(hosts)
    words = ", ".join(folded[:most]) + (f" and {len(folded) - most} more" if len(folded) > most else "")
    return words if len(folded) == len(hosts) <= most else f"{words} ({len(hosts)} hosts)"


def fold_names(names: Sequence[str]) -> tuple[str, ...]:
    """Fold names that differ only in a number that counts up: `a-1, a-2, a-3, b` becomes `a-1…a-3, b`."""
    runs: list[list[str]] = []
    for name in sorted(names, key=_number_key):
        if runs and _follows(runs[-1][-1], name):
            runs[-1].append(name)
        else:
            runs.append([name])
    folded: list[str] = []
    for run in runs:
        folded.extend(run if len(run) < 3 else [f"{run[0]}…{run[-1]}"])  # noqa: PLR2004  two names are shorter
    return tuple(folded)


def _split_number(name: str) -> tuple[str, str, str]:
    found = _NUMBER.match(name)
    return (found[1], found[2], found[3]) if found else (name, "", "")


def _number_key(name: str) -> tuple[str, str, int, str]:
    before, digits, after = _split_number(name)
    return before, after, int(digits or -1), name


def _follows(first: str, second: str) -> bool:
    one, other = _split_number(first), _split_number(second)
    if not one[1] or not other[1] or (one[0], one[2]) != (other[0], other[2]):
        return False
    is_padded = one[1].startswith("0") or other[1].startswith("0")
    return int(other[1]) == int(one[1]) + 1 and (len(one[1]) == len(other[1]) or not is_padded)


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


def risk_reason(groups: Sequence[ChangeGroup]) -> str:
    """Say what makes a high risk high, the worst first; empty when it is not high."""
    high = [change for group in groups for change in group.changes if change.risk == "high"]
    reasons = [
        (
            any(change.address.startswith(f"{ROUTING}:") for change in high),
            "what releases come from, or who approves them, changes",
        ),
        (any(change.action == "remove" for change in high), "something is removed"),
        (any(change.action == "replace" for change in high), "something is replaced"),
        (any(change.classification == "conflict" for change in high), "changes made by hand are overwritten"),
        (any(change.confidence == "opaque" for change in high), "a command runs unchecked"),
        (any(_is_purge(change) for change in high), "what nobody declared is deleted"),
        (any(_is_moved(change) for change in high), "a secret comes from elsewhere"),
    ]
    words = [reason for is_so, reason in reasons if is_so]
    return ", ".join(words) or ("it could lock people out" if high else "")


def _is_purge(change: Change) -> bool:
    return change.action != "remove" and any(field.name in ("purge", "entries") for field in change.fields)


def _is_moved(change: Change) -> bool:
    return any(field.name.startswith("secret ") and None not in (field.before, field.after) for field in change.fields)


def describe_risk(groups: Sequence[ChangeGroup]) -> str:
    """Give `high (something is removed)`, `low`."""
    reason = risk_reason(groups)
    return worst_risk(groups) + (f" ({reason})" if reason else "")


def find_silent(plan: FleetPlan) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """Give (hosts, addresses) of what is wanted otherwise without a line of its own: the hosts are so already, or it waits there."""
    shown: dict[str, set[str]] = {}
    for group in (*plan.groups, *plan.silent):
        for address in (*(change.address for change in group.changes), *group.unmanaged):
            shown.setdefault(address, set()).update(group.hosts)
    without: dict[str, set[str]] = {}
    for scope, hosts in plan.scope.each_list():
        for address, _ in scope.intents:
            left = set(hosts).difference(shown.get(address, ()))
            if left:
                without.setdefault(address, set()).update(left)
    found: dict[tuple[str, ...], list[str]] = {}
    for address, names in sorted(without.items()):
        found.setdefault(tuple(sorted(names)), []).append(address)
    return tuple(sorted((hosts, tuple(addresses)) for hosts, addresses in found.items()))


def describe_still(hosts: int) -> str:
    """Say that nothing changes; that there is nobody to change anything on is another thing than that all is well."""
    return f"nothing changes on {count_words(hosts, 'host')}" if hosts else "no host belongs to it, so nothing was compared"


def describe_idle(branch: str) -> str:
    """Say that there is nothing to plan, which is no plan that changes nothing."""
    return f"no environment is released from {branch}. Nothing was planned: merging this into {branch} changes no host."


def count_words(count: int, noun: str) -> str:
    """Give `1 change`, `2 changes`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
