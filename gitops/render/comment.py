"""The one sticky comment on a pull request: what will change where, how sure that is, and exactly how to approve it.

Takes plans and their approval state, gives Markdown under the limit, cut on item borders, destructive changes first, with the
approve command always in it. All text from repositories and hosts is escaped: fences outgrow it, mentions and links are dead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gitops.model.diagnostic import Diagnostic
from gitops.model.fleetplan import ChangeGroup, FleetPlan
from gitops.model.limits import DEFAULTS
from gitops.model.plan import Change
from gitops.model.scope import WHOLE
from gitops.render.cut import Cut, fold
from gitops.render.escape import code_span, fence, link, plain_markdown
from gitops.render.words import (
    STILL,
    add_variation,
    count_actions,
    count_words,
    describe_field,
    describe_idle,
    describe_observed,
    describe_risk,
    describe_still,
    find_silent,
    fold_names,
    name_hosts,
    sign_of,
    why_of,
)

MARKER = "<!-- trueup:plan -->"
STATES = ("planning", "planned", "invalid", "conflict", "failed", "merged", "closed")
TAIL_RESERVE = 6_000
MOST_NAMES = 20
MOST_TEXT = 600
SHRINK = 10


@dataclass(frozen=True)
class Approvals:
    """Where approvals of one environment stand; `given` are those that count now, `lost` those that no longer do and why."""

    required: int = 0
    given: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def is_enough(self) -> bool:
        """Say whether the quorum is there."""
        return len(self.given) >= self.required


@dataclass(frozen=True)
class Section:
    """One environment's part of the comment."""

    plan: FleetPlan
    approvals: Approvals = Approvals()


@dataclass(frozen=True)
class CommentSubject:
    """What the comment is about: short commit ids and the target branch, and where the whole plan can be read (empty: nowhere)."""

    head: str
    target: str
    target_branch: str
    url: str = ""


def render_comment(
    subject: CommentSubject,
    sections: Sequence[Section],
    *,
    now: datetime,
    state: str = "planned",
    diagnostics: Sequence[Diagnostic] = (),
    note: str = "",
) -> str:
    """Give the whole comment. `state` is one of STATES; `note` is one line of plain text said at the top.

    What does not fit is left out item by item and counted; the states, numbers and approve commands always stay.
    """
    budget = DEFAULTS.comment_bytes - TAIL_RESERVE
    text = ""
    for attempt in range(SHRINK):
        is_last = attempt == SHRINK - 1
        text = _render(_Page(subject, now, state, 0 if is_last else budget >> attempt), sections, diagnostics, note)
        if len(text.encode("utf-8")) <= DEFAULTS.comment_bytes:
            break
    return text


@dataclass(frozen=True)
class _Page:
    subject: CommentSubject
    now: datetime
    state: str
    budget: int


def _render(page: _Page, sections: Sequence[Section], diagnostics: Sequence[Diagnostic], note: str) -> str:
    lines = [MARKER, _render_state(page, diagnostics) if sections or page.state != "planned" else _render_idle(page)]
    if note:
        lines.append(plain_markdown(note[:MOST_TEXT]))
    if diagnostics:
        lines.append(_render_diagnostics(page, diagnostics))
    if page.state != "planning":
        share = page.budget // max(1, len(sections))
        lines.extend(_render_section(page, section, share) for section in sections)
        if sections:
            lines.append(_render_foot(page, sections))
    return "\n\n".join(line for line in lines if line) + "\n"


def _render_state(page: _Page, diagnostics: Sequence[Diagnostic]) -> str:
    head, branch = code_span(page.subject.head[:7]), code_span(page.subject.target_branch[:MOST_TEXT])
    errors = sum(1 for item in diagnostics if item.severity == "error")
    words = {
        "planning": f"is planning {head} … What was here before no longer counts; this comment will say what comes of it.",
        "planned": "",
        "invalid": f"— {count_words(errors, 'error')} in the config of {head}. Nothing was planned; correct the config and push.",
        "conflict": f"— {head} does not merge with {branch}. Nothing was planned; merge or rebase, then push.",
        "failed": f"— planning {head} failed, which is not this pull request's fault. Comment `/gitops plan` to try again.",
        "merged": f"— merged into {branch}. What follows is what was planned last; the release says what was done.",
        "closed": "— closed without merging. Nothing of what follows will be applied.",
    }[page.state]
    return f"**Trueup** {words}" if words else ""


def _render_idle(page: _Page) -> str:
    return f"**Trueup** — {describe_idle(code_span(page.subject.target_branch[:MOST_TEXT]))}"


def _render_diagnostics(page: _Page, diagnostics: Sequence[Diagnostic]) -> str:
    ordered = sorted(diagnostics, key=lambda item: item.severity != "error")
    rows = Cut(page.budget // 2)
    for item in ordered:
        hint = f" ({plain_markdown(item.hint[:MOST_TEXT])})" if item.hint else ""
        message = plain_markdown(item.message[:MOST_TEXT])
        rows.add(f"| {item.severity} {code_span(item.code)} | {code_span(str(item.place))} | {message}{hint} |")
    table = "| | place | what |\n|---|---|---|\n" + "\n".join(rows.kept) if rows.kept else ""
    more = f"… and {rows.left_out} more: run `gitops validate`" if rows.left_out else ""
    body = "\n\n".join(part for part in (table, more) if part)
    if any(item.severity == "error" for item in diagnostics):
        return body
    return fold(count_words(len(diagnostics), "warning"), body)


def _render_section(page: _Page, section: Section, budget: int) -> str:
    plan = section.plan
    parts = [_headline(plan)]
    parts.append(_render_table(plan, budget // 2))
    parts.append(fold("diffs", _render_diffs(plan, budget // 3)))
    if plan.has_changes:
        parts.append(fold("hosts", _render_hosts(plan, page.now, budget // 8)))
        if page.state == "planned":
            parts.append(_render_approval(section))
    return "\n\n".join(part for part in parts if part)


def _headline(plan: FleetPlan) -> str:
    name = plain_markdown(plan.subject.environment)
    summary = plan.summary()
    if not plan.has_changes:
        return f"**Trueup · {name}** — {describe_still(plan.hosts)}, and nothing needs an approval."
    if not plan.groups:
        return (
            f"**Trueup · {name}** — no effect today, but {count_words(len(plan.scope.hosts), 'host')} will be wanted otherwise"
            f" · risk **{describe_risk(plan.silent)}**."
        )
    changes = f"{count_words(summary['changes'], 'change')} in {count_words(summary['groups'], 'group')}"
    counted = ", ".join(f"{count} × {action}" for action, count in count_actions(plan.groups))
    numbers = f"{changes} on {count_words(summary['changed_hosts'], 'host')}" + (f" ({counted})" if counted else "")
    return f"**Trueup · {name}** — {numbers} · risk **{describe_risk((*plan.groups, *plan.silent))}**"


def _render_table(plan: FleetPlan, budget: int) -> str:
    rows = Cut(budget)
    for group in plan.groups:
        hosts = code_span(name_hosts(group.hosts))
        for change in group.changes:
            rows.add(f"| {sign_of(change)} | {code_span(change.address)} | {hosts} | {change.action} | {_why(change)} |")
        for address in group.unmanaged:
            rows.add(f"| · | {code_span(address)} | {hosts} | none | no longer managed, stays as it is |")
    _add_silent(plan, rows)
    for group in plan.reported:
        for change in group.changes:
            hosts = code_span(name_hosts(group.hosts))
            rows.add(
                f"| {sign_of(change)} | {code_span(change.address)} | {hosts} | none "
                f"| {plain_markdown(add_variation('differs, only reported', change))}{_fields(change)} |"
            )
    if not rows.kept and not rows.left_out:
        return ""
    head = "| | resource | hosts | action | why |\n|---|---|---|---|---|\n" + "\n".join(rows.kept) if rows.kept else ""
    more = f"… and {count_words(rows.left_out, 'more line')}, all of them in the whole plan" if rows.left_out else ""
    return "\n\n".join(part for part in (head, more) if part)


def _add_silent(plan: FleetPlan, rows: Cut) -> None:
    for group in plan.silent:
        for change in group.changes:
            words = f"{plain_markdown(add_variation(STILL, change))}{_fields(change)}"
            rows.add(f"| = | {code_span(change.address)} | {code_span(name_hosts(group.hosts))} | none | {words} |")
    for names, addresses in find_silent(plan):
        for address in addresses:
            rows.add(f"| = | {code_span(address)} | {code_span(name_hosts(names))} | none | {STILL} |")


def _why(change: Change) -> str:
    return plain_markdown(why_of(change)[:MOST_TEXT]) + _fields(change)


def _fields(change: Change) -> str:
    words = "; ".join(describe_field(field) for field in change.fields if field.name != "content" or not change.diff)
    cut = "…, the rest in the whole plan" if len(words) > MOST_TEXT else ""
    return f" ({plain_markdown(words[:MOST_TEXT])}{cut})" if words else ""


def _render_diffs(plan: FleetPlan, budget: int) -> str:
    shown = Cut(budget)
    for group in (*plan.groups, *plan.silent):
        for change in group.changes:
            if change.diff:
                head = f"{code_span(change.address)} on {_name_shown(group, change)}"
                shown.add(f"{head}\n\n" + fence("\n".join(change.diff), "diff"))
    if shown.left_out:
        return "\n\n".join([*shown.kept, f"… and {count_words(shown.left_out, 'more diff')}, all of them in the whole plan"])
    return "\n\n".join(shown.kept)


def _name_shown(group: ChangeGroup, change: Change) -> str:
    if change.differs is None:
        return code_span(name_hosts(group.hosts))
    return f"{code_span(change.differs.sample)}, one of {count_words(change.differs.count, 'variant')}"


def _render_hosts(plan: FleetPlan, now: datetime, budget: int) -> str:
    lines = Cut(budget)
    for number, group in enumerate(plan.groups, start=1):
        if group.hosts == (WHOLE,):
            continue
        names = ", ".join(fold_names(group.hosts))
        lines.add(f"- group {number}, {count_words(len(group.hosts), 'host')}: {code_span(names)}")
    if lines.left_out:
        lines.kept.append(f"- … and {count_words(lines.left_out, 'more group')}")
    return "\n".join([*lines.kept, "", plain_markdown(describe_observed(plan, now))])


def _render_approval(section: Section) -> str:
    plan, approvals = section.plan, section.approvals
    lines: list[str] = []
    if approvals.required:
        given = ", ".join(code_span(name[:MOST_TEXT]) for name in approvals.given[:MOST_NAMES]) or "none yet"
        lines.append(f"Approvals: {len(approvals.given)} of {approvals.required} ({given}).")
    lines.extend(f"No longer counts: {plain_markdown(reason[:MOST_TEXT])}." for reason in approvals.lost[:MOST_NAMES])
    if not approvals.required:
        lines.append("No approval is required: merge, and it is released. To say yes to exactly this anyway:")
    elif approvals.is_enough:
        lines.append("Approved: merge, and it is released. Others may still approve exactly this:")
    else:
        lines.append("To approve exactly this (lost if it grows, kept if a rebase leaves it equal):")
    lines.append(fence(f"/gitops approve {plan.change_digest}"))
    return "\n\n".join(lines)


def _render_foot(page: _Page, sections: Sequence[Section]) -> str:
    subject = page.subject
    head, branch, target = (code_span(text[:MOST_TEXT]) for text in (subject.head[:7], subject.target_branch, subject.target[:7]))
    ages = [(at, host) for section in sections for host, at in section.plan.ages.items() if at is not None]
    never = [host for section in sections for host, at in section.plan.ages.items() if at is None]
    seen = FleetPlan(sections[0].plan.subject, ages={**{host: at for at, host in sorted(ages)}, **dict.fromkeys(never)})
    words = [f"Planned for the merge of {head} into {branch} at {target}; {plain_markdown(describe_observed(seen, page.now))}."]
    whole = link("The whole plan", subject.url)
    return f"<sub>{' '.join([*words, f'{whole}.'] if whole else words)}</sub>"
