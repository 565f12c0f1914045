"""The one sticky comment on a pull request: what will change where, how sure that is, and exactly how to approve it.

Takes plans and their approval state, gives Markdown under the limit, cut on item borders, destructive changes first, with the
approve command always in it. All text from repositories and hosts is escaped: fences outgrow it, mentions and links are dead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gitops.model.diagnostic import Diagnostic
from gitops.model.limits import DEFAULTS
from gitops.model.plan import Change, ChangeGroup, FleetPlan
from gitops.render.escape import code_span, fence, plain_markdown
from gitops.render.words import (
    count_words,
    describe_field,
    describe_observed,
    name_hosts,
    sign_of,
    why_of,
    worst_risk,
)

MARKER = "<!-- trueup:plan -->"
STATES = ("planning", "planned", "invalid", "conflict", "failed", "merged", "closed")
TAIL_RESERVE = 6_000


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
    """Give the whole comment. `state` is one of STATES; `note` is one line said under the heading."""
    lines = [MARKER]
    if state == "planning":
        lines.append(f"**Trueup** is planning {code_span(subject.head[:7])} …")
        return "\n\n".join(lines) + "\n"
    if note:
        lines.append(note)
    if diagnostics or state in ("invalid", "conflict", "failed"):
        lines.append(_render_problem(subject, state, diagnostics))
    budget = (DEFAULTS.comment_bytes - TAIL_RESERVE) // max(1, len(sections))
    lines.extend(_render_section(section, now, budget, is_open=state == "planned") for section in sections)
    if sections:
        lines.append(_render_foot(subject, sections, now))
    return "\n\n".join(lines) + "\n"


def _render_problem(subject: CommentSubject, state: str, diagnostics: Sequence[Diagnostic]) -> str:
    if state == "conflict":
        return (
            f"**Trueup** — {code_span(subject.head[:7])} does not merge with {code_span(subject.target_branch)}. "
            "Nothing was planned; merge or rebase, then push."
        )
    errors = [item for item in diagnostics if item.severity == "error"]
    if not errors:
        return (
            "**Trueup** — planning failed. Comment `/gitops plan` to try again." if state == "failed" else _warnings(diagnostics)
        )
    rows = [_diagnostic_row(item) for item in diagnostics[:50]]
    more = f"\n\n… and {len(diagnostics) - 50} more" if len(diagnostics) > 50 else ""  # noqa: PLR2004  rows shown
    return (
        f"**Trueup** — {count_words(len(errors), 'error')} in the config of {code_span(subject.head[:7])}. Nothing was planned.\n\n"
        "| place | | what |\n|---|---|---|\n" + "\n".join(rows) + more
    )


def _warnings(diagnostics: Sequence[Diagnostic]) -> str:
    rows = [_diagnostic_row(item) for item in diagnostics[:20]]
    head = f"<details><summary>{count_words(len(diagnostics), 'warning')}</summary>\n\n| place | | what |\n|---|---|---|\n"
    return head + "\n".join(rows) + "\n\n</details>"


def _diagnostic_row(item: Diagnostic) -> str:
    hint = f" ({plain_markdown(item.hint)})" if item.hint else ""
    return f"| {code_span(str(item.place))} | {item.code} | {plain_markdown(item.message)}{hint} |"


def _render_section(section: Section, now: datetime, budget: int, *, is_open: bool) -> str:
    plan = section.plan
    parts = [_headline(plan)]
    if plan.has_changes:
        parts.append(_render_tables(plan, budget // 3))
        parts.append(_fold("diffs", _render_diffs(plan, budget // 2)))
        parts.append(_fold("hosts", _render_hosts(plan, now, budget // 8)))
        if is_open:
            parts.append(_render_approval(section))
    return "\n\n".join(part for part in parts if part)


def _headline(plan: FleetPlan) -> str:
    name = plain_markdown(plan.subject.environment)
    summary = plan.summary()
    if not plan.has_changes:
        return f"**Trueup · {name}** — nothing changes on {count_words(plan.hosts, 'host')}."
    changes = f"{count_words(summary['changes'], 'change')} in {count_words(summary['groups'], 'group')}"
    return (
        f"**Trueup · {name}** — {changes} on {count_words(summary['changed_hosts'], 'host')} · risk **{worst_risk(plan.groups)}**"
    )


def _render_tables(plan: FleetPlan, budget: int) -> str:
    rows: list[str] = []
    used = left_out = 0
    for group in plan.groups:
        for row in _group_rows(group):
            used += len(row.encode("utf-8")) + 1
            if used > budget:
                left_out += 1
            else:
                rows.append(row)
    more = f"\n\n… and {count_words(left_out, 'more line')}, all of them in the whole plan" if left_out else ""
    return "| | resource | hosts | action | why |\n|---|---|---|---|---|\n" + "\n".join(rows) + more if rows else ""


def _group_rows(group: ChangeGroup) -> list[str]:
    hosts = code_span(name_hosts(group.hosts))
    rows = [
        f"| {sign_of(change)} | {code_span(change.address)} | {hosts} | {change.action} | {_why(change)} |"
        for change in group.changes
    ]
    rows.extend(
        f"| · | {code_span(address)} | {hosts} | none | no longer managed, stays as it is |" for address in group.unmanaged
    )
    return rows


def _why(change: Change) -> str:
    fields = "; ".join(describe_field(field) for field in change.fields if field.name != "content")
    return plain_markdown(why_of(change)) + (f" ({plain_markdown(fields)})" if fields else "")


def _render_diffs(plan: FleetPlan, budget: int) -> str:
    shown: list[str] = []
    used = left_out = 0
    for group in plan.groups:
        for change in group.changes:
            if not change.diff:
                continue
            block = f"{code_span(change.address)} on {code_span(name_hosts(group.hosts))}\n" + fence(
                "\n".join(change.diff), "diff"
            )
            used += len(block.encode("utf-8")) + 2
            if used > budget:
                left_out += 1
            else:
                shown.append(block)
    if left_out:
        shown.append(f"… and {count_words(left_out, 'more diff')}, all of them in the whole plan")
    return "\n\n".join(shown)


def _render_hosts(plan: FleetPlan, now: datetime, budget: int) -> str:
    lines: list[str] = []
    used = 0
    for number, group in enumerate(plan.groups, start=1):
        names = ", ".join(group.hosts)
        if used + len(names) > budget:
            names = name_hosts(group.hosts)
        used += len(names)
        lines.append(f"- group {number}: {code_span(names)}")
    return "\n".join([*lines, "", plain_markdown(describe_observed(plan, now))])


def _render_approval(section: Section) -> str:
    plan, approvals = section.plan, section.approvals
    lines: list[str] = []
    if approvals.required:
        given = ", ".join(code_span(name) for name in approvals.given) or "none yet"
        lines.append(f"Approvals: {len(approvals.given)} of {approvals.required} ({given}).")
    lines.extend(f"No longer counts: {plain_markdown(reason)}." for reason in approvals.lost)
    if approvals.is_enough:
        lines.append(
            "Approved: merge, and it is released."
            if approvals.required
            else "No approval is required: merge, and it is released."
        )
    else:
        lines.append("To approve exactly this (lost if it grows, kept if a rebase leaves it equal):")
        lines.append(fence(f"/gitops approve {plan.change_digest}"))
    return "\n\n".join(lines)


def _render_foot(subject: CommentSubject, sections: Sequence[Section], now: datetime) -> str:
    head, branch, target = (code_span(text) for text in (subject.head[:7], subject.target_branch, subject.target[:7]))
    merge = f"Planned for the merge of {head} into {branch} at {target}"
    seen = plain_markdown(describe_observed(sections[0].plan, now))
    whole = f" [The whole plan]({subject.url})." if subject.url else ""
    return f"<sub>{merge}; {seen}.{whole}</sub>"


def _fold(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>" if body else ""
