"""Plans for a terminal: destructive things first, nothing twice, the summary and the next command last (SAMPLES).

Takes nouns and a time, gives lines. Colour only repeats what a sign already says and is asked for by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gitops.model.plan import Change, ChangeGroup, FleetPlan, HostPlan
from gitops.render.escape import escape_line, escape_terminal
from gitops.render.words import (
    count_actions,
    count_words,
    describe_age,
    describe_field,
    describe_observed,
    name_hosts,
    sign_of,
    why_of,
    worst_risk,
)

COLOURS = {"+": "32", "~": "33", "±": "31", "-": "31", "!": "31;1", "?": "35", "»": "36", "↻": "36", "✗": "31;1"}
ADDRESS_WIDTH = 46


def render_fleet_plan(plan: FleetPlan, *, now: datetime, colour: bool = False, next_command: str = "") -> str:
    """Give the whole text of a fleet plan, ending in a newline."""
    lines = [_heading(plan, now), ""]
    for group in plan.groups:
        lines.extend(_render_group(group, colour=colour))
        lines.append("")
    lines.append(_summary(plan))
    if plan.has_changes:
        lines.append(f"Change {plan.change_digest[:12]}…" + (f"  Next: {next_command}" if next_command else ""))
    return "\n".join(lines) + "\n"


def render_host_plan(plan: HostPlan, *, now: datetime, colour: bool = False) -> str:
    """Give the text of one machine's plan, ending in a newline."""
    seen = "never observed" if plan.observed is None else f"observed {describe_age(plan.observed, now)} ago"
    lines = [f"{plan.host}   {seen}", ""]
    if plan.changes or plan.unmanaged:
        group = ChangeGroup((plan.host,), plan.changes, plan.unmanaged)
        lines.extend([*_render_group(group, colour=colour), ""])
    if plan.reported:
        lines.append("differs, but is only reported (drift: report)")
        for change in plan.reported:
            lines.extend(_render_change(change, colour=colour))
        lines.append("")
    group = ChangeGroup((plan.host,), plan.changes)
    lines.append(_count(group.changes, plan.unchanged, worst_risk([group])))
    return "\n".join(lines) + "\n"


def _heading(plan: FleetPlan, now: datetime) -> str:
    subject = plan.subject
    change = ""
    if subject.base or subject.head:
        change = f"{subject.base[:7] or 'nothing released'} → {subject.head[:7] or 'work tree'}   "
    return f"{subject.environment}   {change}{count_words(plan.hosts, 'host')}, {describe_observed(plan, now)}"


def _render_group(group: ChangeGroup, *, colour: bool) -> list[str]:
    lines = [f"on {escape_terminal(name_hosts(group.hosts))}"]
    for change in group.changes:
        lines.extend(_render_change(change, colour=colour))
    lines.extend(f"  · {escape_terminal(address)}   no longer managed, stays as it is" for address in group.unmanaged)
    return lines


def _render_change(change: Change, *, colour: bool) -> list[str]:
    sign = sign_of(change)
    head = f"{sign} {escape_terminal(change.address):<{ADDRESS_WIDTH}}"
    if colour:
        head = f"\x1b[{COLOURS[sign]}m{head}\x1b[0m"
    lines = [f"  {head} {change.action}: {escape_terminal(why_of(change))}"]
    lines.extend(
        f"      {escape_terminal(describe_field(field))}" for field in change.fields if not change.diff or field.name != "content"
    )
    lines.extend(f"      {escape_line(line)}" for line in change.diff)
    return lines


def _summary(plan: FleetPlan) -> str:
    if not plan.has_changes:
        return f"Nothing to change on {count_words(plan.hosts, 'host')} ({count_words(plan.unchanged, 'resource')} as they should be)."
    actions = ", ".join(f"{count} × {action}" for action, count in count_actions(plan.groups))
    unmanaged = sum(len(group.hosts) * len(group.unmanaged) for group in plan.groups)
    if unmanaged:
        actions = ", ".join(part for part in (actions, f"{unmanaged} × no longer managed") if part)
    return f"{actions or 'no effect on any host'} · {plan.unchanged} unchanged · risk: {worst_risk(plan.groups)}"


def _count(changes: Sequence[Change], unchanged: int, risk: str) -> str:
    if not changes:
        return f"Nothing to change ({count_words(unchanged, 'resource')} as they should be)."
    counted = count_actions([ChangeGroup(("",), tuple(changes))])
    return ", ".join(f"{count} × {action}" for action, count in counted) + f" · {unchanged} unchanged · risk: {risk}"
