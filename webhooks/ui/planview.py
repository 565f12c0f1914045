"""A fleet plan as a page shows it: groups of changes with signs and words, typed diff lines, what an approval would cover.

Takes a FleetPlan and the time, gives plain nouns for the template, which escapes them. Says things in the words of the comment
(`gitops.render.words`), so that both agree. Long lists are cut with their count; nothing is left out silently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gitops.model.fleetplan import ChangeGroup, FleetPlan
from gitops.model.plan import Change
from gitops.model.scope import REMOVED
from gitops.render.escape import escape_diff_line, escape_line
from gitops.render.words import (
    RISK_ORDER,
    STILL,
    add_variation,
    count_actions,
    count_words,
    describe_age,
    describe_field,
    describe_observed,
    describe_still,
    name_hosts,
    sign_of,
    why_of,
    worst_risk,
)
from webhooks.ui.paging import Page

MOST_CHANGES, MOST_LINES, MOST_SCOPE, MOST_HOSTS = 200, 400, 300, 500
KINDS_OF_LINE = {"+": "added", "-": "taken", "@": "place"}


@dataclass(frozen=True)
class DiffLine:
    """One line of a diff; `kind` is `added`, `taken`, `place` or `same`."""

    kind: str
    text: str


@dataclass(frozen=True)
class ChangeLine:
    """One change as a row."""

    sign: str
    tone: str
    kind: str
    name: str
    action: str
    why: str
    fields: tuple[str, ...]
    risk: str
    confidence: str
    classification: str
    diff: tuple[DiffLine, ...]
    more_lines: int
    added: int
    taken: int
    variants: int = 0
    index: str = ""


@dataclass(frozen=True)
class GroupCard:
    """The same changes on all of `hosts`, of which the first MOST_HOSTS are named."""

    title: str
    hosts: tuple[str, ...]
    more_hosts: int
    risk: str
    changes: tuple[ChangeLine, ...]
    more_changes: int
    unmanaged: tuple[str, ...]


@dataclass(frozen=True)
class ScopeLine:
    """One item that an approval would cover, on so many hosts."""

    what: str
    address: str
    state: str
    hosts: str


@dataclass(frozen=True)
class PlanView:
    """One environment's plan. `covered` are the items of the approval, cut to the first `MOST_SCOPE` of `covered_count`."""

    environment: str
    has_changes: bool
    headline: str
    risk: str
    actions: tuple[tuple[str, int], ...]
    hosts: int
    changed_hosts: int
    unchanged: int
    groups: tuple[GroupCard, ...]
    silent: tuple[GroupCard, ...]
    more_silent: int
    observed: str
    ages: tuple[tuple[str, str], ...]
    change_digest: str
    content_digest: str
    covered: tuple[ScopeLine, ...]
    covered_count: int


def view_plan(plan: FleetPlan, now: datetime, page: Page | None = None) -> PlanView:
    """Make the view; `page` cuts the groups."""
    summary = plan.summary()
    groups = plan.groups if page is None else plan.groups[page.start : page.end]
    covered = _covered(plan)
    return PlanView(
        environment=plan.subject.environment,
        has_changes=plan.has_changes,
        headline=_headline(plan),
        risk=worst_risk((*plan.groups, *plan.silent)),
        actions=count_actions(plan.groups),
        hosts=plan.hosts,
        changed_hosts=summary["changed_hosts"],
        unchanged=plan.unchanged,
        groups=tuple(_view_group(group) for group in groups),
        silent=tuple(_view_silent(group) for group in plan.silent[:MOST_CHANGES]),
        more_silent=max(0, len(plan.silent) - MOST_CHANGES),
        observed=describe_observed(plan, now),
        ages=_oldest(plan, now),
        change_digest=plan.change_digest,
        content_digest=plan.content_digest,
        covered=tuple(covered[:MOST_SCOPE]),
        covered_count=len(covered),
    )


def view_change(change: Change) -> ChangeLine:
    """Make the row of one change."""
    kind, _, name = change.address.partition(":")
    counts = Counter(_kind_of(line) for line in change.diff)
    return ChangeLine(
        sign=sign_of(change),
        tone=_tone(change),
        kind=kind,
        name=escape_line(name),
        action=change.action,
        why=escape_line(why_of(change)),
        fields=tuple(escape_line(describe_field(item)) for item in change.fields if item.name != "content" or not change.diff),
        risk=change.risk,
        confidence=change.confidence,
        classification=change.classification,
        diff=tuple(DiffLine(_kind_of(line), escape_diff_line(line)) for line in change.diff[:MOST_LINES]),
        more_lines=max(0, len(change.diff) - MOST_LINES),
        added=counts["added"],
        taken=counts["taken"],
        variants=0 if change.differs is None else change.differs.count,
        index="" if change.differs is None else change.differs.index,
    )


def _headline(plan: FleetPlan) -> str:
    summary = plan.summary()
    if not plan.has_changes:
        return f"{describe_still(plan.hosts).capitalize()}."
    changes = f"{count_words(summary['changes'], 'change')} in {count_words(summary['groups'], 'group')}"
    return f"{changes} on {count_words(summary['changed_hosts'], 'host')}"


def _view_group(group: ChangeGroup) -> GroupCard:
    return GroupCard(
        title=name_hosts(group.hosts),
        hosts=group.hosts[:MOST_HOSTS],
        more_hosts=max(0, len(group.hosts) - MOST_HOSTS),
        risk=worst_risk((group,)),
        changes=tuple(view_change(change) for change in group.changes[:MOST_CHANGES]),
        more_changes=max(0, len(group.changes) - MOST_CHANGES),
        unmanaged=group.unmanaged,
    )


def _view_silent(group: ChangeGroup) -> GroupCard:
    """Give what is wanted otherwise with nothing to do today: no verb, and no reason but that."""
    card = _view_group(group)
    lines = (
        replace(line, sign="=", tone="", action="none", why=escape_line(add_variation(STILL, change)))
        for line, change in zip(card.changes, group.changes[:MOST_CHANGES], strict=True)
    )
    return replace(card, changes=tuple(lines))


def _kind_of(line: str) -> str:
    return KINDS_OF_LINE.get(line[:1], "same")


def _tone(change: Change) -> str:
    if change.action in ("remove", "refused", "replace") or change.classification == "conflict":
        return "bad"
    if change.confidence == "opaque" or change.classification == "corrective":
        return "warn"
    return "good" if change.action == "create" else "calm"


def _oldest(plan: FleetPlan, now: datetime, most: int = 200) -> tuple[tuple[str, str], ...]:
    """List hosts with the age of what is known of them, never observed first, then the oldest."""
    never = sorted(host for host, at in plan.ages.items() if at is None)
    seen = sorted((at, host) for host, at in plan.ages.items() if at is not None)
    rows = [(host, "never") for host in never] + [(host, f"{describe_age(at, now)} ago") for at, host in seen]
    return tuple(rows[:most])


def _covered(plan: FleetPlan) -> list[ScopeLine]:
    hosts_of: dict[tuple[str, str, str], set[str]] = {}
    for scope, hosts in plan.scope.each_list():
        for address, desired in scope.intents:
            state = "removed" if desired == REMOVED else desired[:12]
            hosts_of.setdefault(("wanted", address, state), set()).update(hosts)
        for address, verb, after in scope.effects:
            hosts_of.setdefault((verb, address, after[:12]), set()).update(hosts)
    rows = sorted(hosts_of.items(), key=lambda row: (row[0][0] == "wanted", row[0][1], row[0]))
    return [ScopeLine(what, escape_line(address), state, name_hosts(sorted(hosts))) for (what, address, state), hosts in rows]


def rank_risk(risks: Sequence[str]) -> str:
    """Give the worst of several risks, or an empty text when there are none."""
    return max(risks, key=RISK_ORDER.index) if risks else ""
