"""Pull requests as pages show them: where each stands, who has approved, what this visitor may do next and if not, why.

Takes records, gives plain nouns for the templates, which escape them. What it says of rights is a courtesy: approving and merging are
decided again, by the rules of `webhooks.approvals`, when somebody presses a button.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gitops.render.words import count_words, describe_age, describe_idle
from webhooks.auth.users import User
from webhooks.records import ApprovalRecord, PlanRecord, PullRecord, ReleaseRecord, RemarkRecord, StatusRecord
from webhooks.ui.brief import Brief, brief_plan
from webhooks.ui.pages import is_web_address
from webhooks.ui.paging import Page
from webhooks.ui.planview import PlanView, view_plan

LOCAL = "local"
MARKS = {"success": ("done", "✓"), "failure": ("bad", "✗"), "error": ("bad", "✗")}
MOST_METER = 10
PLANNING_WORDS = {
    "waiting": ("planning", "calm"),
    "invalid": ("mistakes in the config", "bad"),
    "conflict": ("conflict", "bad"),
    "failed": ("planning failed", "bad"),
}


@dataclass(frozen=True)
class Standing:
    """Where the approvals of one environment's current plan stand; `counted` are those that can still be taken back."""

    plan: PlanRecord
    brief: Brief
    given: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()

    @property
    def is_enough(self) -> bool:
        """Say whether the quorum is there, or none is needed since nothing changes."""
        return not self.brief.has_changes or len(self.given) >= self.plan.required


@dataclass(frozen=True)
class PullHead:
    """What every page says of a pull request."""

    name: str
    title: str
    author: str
    target: str
    head: str
    repository: str
    url: str
    href: str
    state: str
    tone: str
    is_open: bool
    updated: str


@dataclass(frozen=True)
class PlanPart:
    """One environment on the page of a pull request, and what the visitor may do about it."""

    ident: int
    plan: PlanView
    page: Page | None
    scope_hosts: int
    required: int
    meter: int
    given: tuple[str, ...]
    lost: tuple[str, ...]
    who: str
    approval_words: str
    approval_tone: str
    may_approve: bool
    why_not: str
    may_take_back: bool = False


@dataclass(frozen=True)
class Merge:
    """Whether the visitor may merge now; if not, why, and whether logging in would help."""

    may: bool
    why_not: str = ""
    login: bool = False


@dataclass(frozen=True)
class Note:
    """A box above the plan."""

    heading: str
    tone: str
    text: str = ""
    items: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """A status of the head commit."""

    name: str
    state: str
    text: str
    tone: str
    mark: str


@dataclass(frozen=True)
class Event:
    """Something that happened; `text` is shown as written, folded under `summary` when long."""

    who: str
    what: str
    at: datetime
    age: str
    text: str = ""
    summary: str = "what it says"
    order: int = field(default=0)


def stand(plan: PlanRecord, approvals: Sequence[ApprovalRecord], *, is_merged: bool = False) -> Standing:
    """Sort one environment's approvals into those that count and those that do not; once merged, spent ones are shown as well."""
    mine = [item for item in approvals if item.environment == plan.environment]
    good = ("counted", "spent") if is_merged else ("counted",)
    given = dict.fromkeys(item.login for item in mine if item.state in good)
    bad = [item for item in mine if item.state in ("lost", "refused") and item.login not in given]
    lost = dict.fromkeys(f"{item.login}: {item.reason}" for item in bad)
    counted = tuple(dict.fromkeys(item.login for item in mine if item.state == "counted"))
    return Standing(plan, brief_plan(plan), tuple(given), tuple(lost), counted)


def head_pull(pull: PullRecord, standings: Sequence[Standing], now: datetime) -> PullHead:
    """Give the head of a page, or a row."""
    state, tone = _state_of(pull, standings)
    is_local = pull.key.repository == LOCAL
    return PullHead(
        name=f"pr/{pull.key.name}" if is_local else f"#{pull.key.name}",
        title=pull.title or pull.key.name,
        author=pull.author,
        target=pull.branch,
        head=pull.head,
        repository="" if is_local else pull.key.repository,
        url=pull.url if is_web_address(pull.url) and not is_local else "",
        href=pull.key.path,
        state=state,
        tone=tone,
        is_open=pull.state == "open",
        updated="" if pull.updated is None else f"{describe_age(pull.updated, now)} ago",
    )


def view_part(pull: PullRecord, standing: Standing, user: User | None, now: datetime, page: Page | None) -> PlanPart:
    """Give one environment's part of the page."""
    record, plan = standing.plan, standing.plan.plan
    why_not = _why_not_approve(pull, standing, user)
    words = f"{len(standing.given)} of {record.required}" if record.required else "none required"
    return PlanPart(
        ident=record.ident,
        plan=view_plan(plan, now, page),
        page=page,
        scope_hosts=len(plan.scope.hosts),
        required=record.required,
        meter=min(record.required, MOST_METER),
        given=standing.given,
        lost=standing.lost,
        who=", ".join(record.approvers),
        approval_words=words,
        approval_tone="good" if standing.is_enough else "warn",
        may_approve=not why_not,
        why_not=why_not,
        may_take_back=_may_take_back(pull, standing, user),
    )


def view_merge(pull: PullRecord, standings: Sequence[Standing], user: User | None) -> Merge:
    """Say whether the merge button is there."""
    if pull.planning != "planned" or pull.planned_head != pull.head:
        return Merge(may=False, why_not="It can be merged once there is a plan of it.")
    missing = [item for item in standings if not item.is_enough]
    if missing:
        count = sum(item.plan.required - len(item.given) for item in missing)
        where = " and ".join(item.plan.environment for item in missing)
        return Merge(may=False, why_not=f"{count_words(count, 'more approval')} needed for {where}.")
    if user is None:
        return Merge(may=False, why_not="Log in to merge.", login=True)
    return Merge(may=True)


def view_notes(pull: PullRecord, releases: Sequence[ReleaseRecord], standings: Sequence[Standing]) -> tuple[Note, ...]:
    """Give the boxes above the plan; `releases` is what became of the merge."""
    notes: list[Note] = []
    if pull.planning == "planned" and not standings and pull.state == "open":
        text = describe_idle(pull.branch)
        notes.append(Note("", "calm", text[0].upper() + text[1:]))
    if pull.note:
        is_held = any(item.state in ("held", "failed") for item in releases)
        tone = "good" if pull.state == "merged" and pull.is_settled else "warn" if is_held else "calm"
        notes.append(Note("", tone, pull.note))
    if pull.planning == "conflict":
        text = f"Nothing was planned. Merge {pull.branch} into the branch, or rebase it, then push."
        notes.append(Note(f"This does not merge with {pull.branch}", "bad", text, pull.conflicts[:50]))
    if pull.planning == "failed" and not pull.diagnostics and not pull.note:
        notes.append(Note("Planning failed", "bad", "The service tries again by itself; its log says why."))
    return tuple(notes)


def view_checks(statuses: Sequence[StatusRecord]) -> tuple[Check, ...]:
    """Give the statuses of the head commit."""
    found = [(item, *MARKS.get(item.state, ("", "•"))) for item in sorted(statuses, key=lambda item: item.context)]
    return tuple(Check(item.context, item.state, item.description, tone, mark) for item, tone, mark in found)


def view_activity(
    pull: PullRecord,
    plans: Sequence[PlanRecord],
    approvals: Sequence[ApprovalRecord],
    remarks: Sequence[RemarkRecord],
    now: datetime,
) -> tuple[Event, ...]:
    """Give what happened, oldest first: plans, what people said and what it counted for, and the comment as it stands now."""
    found: list[tuple[datetime, int, str, str, str]] = []
    for record in plans:
        summary = f"planned {record.environment} for {record.head[:7]}: change {record.change_digest[:12]}"
        found.append((record.made, 0, "Trueup", summary, ""))
    found.extend((remark.at, 1, remark.author, "wrote", remark.body) for remark in remarks)
    for approval in approvals:
        words = f"approval of {approval.environment} ({approval.change_digest[:12]}): {approval.state}"
        found.append((approval.given, 2, f"{approval.login}'s", words, approval.reason))
    events = [Event(who, what, at, f"{describe_age(at, now)} ago", text) for at, _, who, what, text in sorted(found)]
    if pull.comment and pull.updated is not None:
        age = f"{describe_age(pull.updated, now)} ago"
        events.append(
            Event("Trueup", "keeps one comment up to date", pull.updated, age, pull.comment, "the comment, as Markdown")
        )
    return tuple(events)


def _state_of(pull: PullRecord, standings: Sequence[Standing]) -> tuple[str, str]:
    if pull.state != "open":
        return pull.state, "calm" if pull.state == "merged" else ""
    if pull.planning in PLANNING_WORDS:
        return PLANNING_WORDS[pull.planning]
    if pull.planned_head != pull.head:
        return PLANNING_WORDS["waiting"]
    if not standings:
        return "releases nothing", ""
    if not any(item.brief.has_changes for item in standings):
        return "changes nothing", ""
    if all(item.is_enough for item in standings):
        return "ready to merge", "good"
    return "waiting for approval", "warn"


def _may_take_back(pull: PullRecord, standing: Standing, user: User | None) -> bool:
    is_over = pull.state == "closed" or pull.is_settled
    return user is not None and user.name in standing.counted and pull.key.repository == LOCAL and not is_over


def _why_not_approve(pull: PullRecord, standing: Standing, user: User | None) -> str:
    record = standing.plan
    if pull.state == "closed" or pull.is_settled:
        return f"This pull request is {pull.state}."
    if not record.required:
        return "No approval is required here."
    if user is None:
        return "Log in to approve." if pull.key.repository == LOCAL else "Approve on the forge, with the command below."
    if user.name in standing.given:
        return "You have approved this plan."
    if user.name == pull.author or user.name in pull.contributors:
        return "You wrote some of it: somebody else has to approve."
    names = {f"user:{user.name}", *(f"team:{team}" for team in user.teams)}
    if record.approvers and not names & set(record.approvers):
        return f"You may not approve {record.environment}."
    return "" if record.published is not None else "The plan is not published yet; load this page again."
