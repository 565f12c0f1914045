"""Plans for a terminal: destructive things first, nothing twice, the summary and the next command last (SAMPLES).

Takes nouns and a time, gives lines. Colour only repeats what a sign already says and is asked for by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gitops.model.fleetplan import ChangeGroup, FleetPlan
from gitops.model.plan import Change, HostPlan
from gitops.render.colour import paint, paint_diff
from gitops.render.escape import escape_diff_line, escape_terminal
from gitops.render.words import (
    add_variation,
    count_actions,
    count_words,
    describe_age,
    describe_field,
    describe_observed,
    describe_risk,
    describe_still,
    describe_variation,
    find_silent,
    name_hosts,
    sign_of,
    why_of,
)

ADDRESS_WIDTH = 44


def render_fleet_plan(plan: FleetPlan, *, now: datetime, colour: bool = False, next_command: str = "") -> str:
    """Give the whole text of a fleet plan, ending in a newline."""
    lines = [_heading(plan, now), ""]
    for group in plan.groups:
        lines.extend([*_render_group(group, colour=colour), ""])
    lines.extend(_render_silent(plan, colour=colour))
    lines.extend(_render_reported(plan.reported, colour=colour))
    lines.append(_summary(plan))
    if plan.has_changes:
        lines.append(f"Change {plan.change_digest[:12]}…" + (f"  Next: {next_command}" if next_command else ""))
    return "\n".join(lines) + "\n"


def render_groups(groups: Sequence[ChangeGroup], *, colour: bool = False) -> str:
    """Give the text of some groups alone, ending in a newline."""
    return "\n".join(line for group in groups for line in [*_render_group(group, colour=colour), ""])


def render_host_plan(plan: HostPlan, *, now: datetime, colour: bool = False) -> str:
    """Give the text of one machine's plan, ending in a newline."""
    seen = "never observed" if plan.observed is None else f"observed {describe_age(plan.observed, now)} ago"
    lines = [f"{escape_terminal(plan.host)}   {seen}", ""]
    group = ChangeGroup((plan.host,), plan.changes, plan.unmanaged)
    if plan.changes or plan.unmanaged:
        lines.extend([*_render_group(group, colour=colour)[1:], ""])
    if plan.reported:
        lines.extend(_render_reported((ChangeGroup((plan.host,), plan.reported),), colour=colour))
    if plan.notes:
        lines.extend(
            f"  · {escape_terminal(address):<{ADDRESS_WIDTH}} {escape_terminal(note)}" for address, note in plan.notes.items()
        )
        lines.append("")
    lines.append(_count([group], plan.unchanged))
    return "\n".join(lines) + "\n"


def _heading(plan: FleetPlan, now: datetime) -> str:
    subject = plan.subject
    change = ""
    if subject.base or subject.head:
        base, head = subject.base[:7] or "nothing released", subject.head[:7] or "work tree"
        change = f"{escape_terminal(base)} → {escape_terminal(head)}   "
    name = escape_terminal(subject.environment) or "no environment"
    return f"{name}   {change}{count_words(plan.hosts, 'host')}, {escape_terminal(describe_observed(plan, now))}"


def _render_group(group: ChangeGroup, *, colour: bool) -> list[str]:
    lines = [f"on {escape_terminal(name_hosts(group.hosts))}"]
    for change in group.changes:
        lines.extend(_render_change(change, colour=colour))
    lines.extend(
        f"  · {escape_terminal(address):<{ADDRESS_WIDTH}} no longer managed, stays as it is" for address in group.unmanaged
    )
    return lines


def _render_change(change: Change, *, colour: bool, words: str = "") -> list[str]:
    sign = sign_of(change)
    head = paint(f"{sign} {escape_terminal(change.address):<{ADDRESS_WIDTH}}", sign, colour=colour)
    action = "" if change.action == "refused" else f"{change.action}: "
    lines = [f"  {head} {words or action + escape_terminal(why_of(change))}"]
    lines.extend(
        f"      {escape_terminal(describe_field(field))}" for field in change.fields if not change.diff or field.name != "content"
    )
    lines.extend(f"      {paint_diff(escape_diff_line(line), colour=colour)}" for line in change.diff)
    return lines


def _render_silent(plan: FleetPlan, *, colour: bool) -> list[str]:
    lines: list[str] = []
    for group in plan.silent:
        lines.append(f"wanted otherwise, with nothing to do today, on {escape_terminal(name_hosts(group.hosts))}")
        for change in group.changes:
            head = f"  = {escape_terminal(change.address)}"
            more = "" if change.differs is None else f"   {escape_terminal(describe_variation(change.differs))}"
            lines.extend([head + more, *_render_change(change, colour=colour)[1:]])
        lines.append("")
    for hosts, addresses in find_silent(plan):
        lines.append(f"wanted otherwise, with nothing to do today, on {escape_terminal(name_hosts(hosts))}")
        lines.extend([*(f"  = {escape_terminal(address)}" for address in addresses), ""])
    return lines


def _render_reported(groups: Sequence[ChangeGroup], *, colour: bool) -> list[str]:
    lines: list[str] = []
    for group in groups:
        lines.append(f"differs and is only reported (drift: report) on {escape_terminal(name_hosts(group.hosts))}")
        for change in group.changes:
            words = escape_terminal(add_variation("stays as it is", change))
            lines.extend(_render_change(change, colour=colour, words=words))
        lines.append("")
    return lines


def _summary(plan: FleetPlan) -> str:
    if not plan.has_changes:
        if not plan.hosts:
            return f"{describe_still(0).capitalize()}."
        return f"Nothing to change on {count_words(plan.hosts, 'host')} ({count_words(plan.unchanged, 'resource')} as they should be)."
    return _count(plan.groups, plan.unchanged, plan.silent)


def _count(groups: Sequence[ChangeGroup], unchanged: int, silent: Sequence[ChangeGroup] = ()) -> str:
    """Give `411 × update, 1 × run = 412 changes · 1 conflict · 9 unchanged · risk: high (…)`; the numbers add up."""
    counted = count_actions(groups)
    kept = sum(len(group.hosts) * len(group.unmanaged) for group in groups)
    if not counted and not kept:
        return f"Nothing to change ({count_words(unchanged, 'resource')} as they should be)."
    total = sum(count for _, count in counted)
    actions = ", ".join(f"{count} × {action}" for action, count in counted)
    parts = (
        [actions + (f" = {count_words(total, 'change')}" if len(counted) > 1 else "")] if counted else ["no effect on any host"]
    )
    parts.extend(_marks(groups))
    if kept:
        parts.append(f"{kept} no longer managed")
    return " · ".join([*parts, f"{unchanged} unchanged", f"risk: {describe_risk((*groups, *silent))}"])


def _marks(groups: Sequence[ChangeGroup]) -> list[str]:
    marks = {"in conflict": 0, "opaque": 0, "never observed": 0}
    for group in groups:
        for change in group.changes:
            marks["in conflict"] += len(group.hosts) * (change.classification == "conflict" and change.action != "refused")
            marks["opaque"] += len(group.hosts) * (change.confidence == "opaque")
            marks["never observed"] += len(group.hosts) * change.is_upper_bound
    return [f"{count} {word}" for word, count in marks.items() if count]
