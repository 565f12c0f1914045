"""Who said yes to what, and whether it counts. One table of rules for comments, reviews and the button of the built-in pages.

Takes what was read from the forge (never what a webhook said), the plans as stored, and asks the forge for rights at this very moment.
A yes counts only when (1) it is no bot's, (2) nobody's who opened, committed or pushed any of it, (3) written after the plan was
published and never edited, (4) for a whole digest of a plan of this pull request, (5) by somebody with the right now, (6) that plan
covers the current one, (7) it is that person's newest decisive word, (8) the pull request is not closed without merging. All of it is
asked again at every look, and before a release spends it (ADR 0021). What counted once can be lost, never the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gitops.model.approval import Approval, Proof
from gitops.model.codec import digest_bytes
from gitops.plan.covers import covers
from webhooks.forges.port import People
from webhooks.records import ApprovalRecord, PlanRecord, PullRecord

VALID = timedelta(days=30)
NO_POLICY = digest_bytes(b"")
CLOSED = "the pull request was closed without merging"
USER, TEAM = "user:", "team:"


@dataclass(frozen=True)
class Said:
    """A yes as the forge has it. `digest` is what a comment names; a review names none, but the commit it looked at."""

    reference: str
    login: str
    at: datetime
    digest: str = ""
    commit: str = ""
    is_bot: bool = False
    is_edited: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Withdrawal:
    """A decisive word against: whoever said it takes back every yes of theirs on this pull request that is not newer."""

    login: str
    at: datetime
    reason: str


@dataclass(frozen=True)
class Case:
    """What a yes is judged by: the pull request, all its plans (oldest first), who knows people, the time, and what was taken back."""

    pull: PullRecord
    plans: Sequence[PlanRecord]
    people: People
    now: datetime
    withdrawals: Sequence[Withdrawal] = ()

    def current(self, environment: str) -> PlanRecord | None:
        """Give the plan that stands now."""
        return next((plan for plan in self.plans if plan.is_current and plan.environment == environment), None)


def judge_comment(said: Said, case: Case) -> ApprovalRecord:
    """Decide on `/gitops approve`."""
    found = [plan for plan in case.plans if plan.change_digest == said.digest] if said.digest else []
    reason = said.problem or _why_not_at_all(said, case.pull)
    if not reason and not found:
        reason = "no plan of this pull request has that digest"
    published = [plan for plan in found if plan.published is not None and plan.published < said.at]
    if not reason and not published:
        reason = _why_too_early(found, said)
    plan = (published or found or [None])[0]
    return _decide(said, case, plan, reason)


def judge_review(said: Said, case: Case) -> tuple[ApprovalRecord, ...]:
    """Decide on an approving review: for each environment the plan that could be read last at the commit reviewed."""
    found: list[ApprovalRecord] = []
    for environment in sorted({plan.environment for plan in case.plans}):
        seen = [plan for plan in case.plans if plan.environment == environment and _could_see(plan, said)]
        unseen = [plan for plan in case.plans if plan.environment == environment and plan.head == said.commit]
        reason = _why_not_at_all(said, case.pull) or ("" if seen else _why_unseen(unseen, said))
        plan = max(seen, key=lambda item: (item.published or item.made, item.ident), default=None)
        found.append(_decide(said, case, plan, reason, environment))
    return tuple(found)


def why_lost(record: ApprovalRecord, case: Case) -> str:
    """Say why what counted no longer does; nothing when it still does."""
    if record.approval is None:
        return "it was never whole"
    if case.pull.state == "closed":
        return CLOSED
    taken = find_withdrawal(record.login, record.given, case.withdrawals)
    return taken.reason if taken is not None else _why_outdated(record, record.approval, case)


def _why_outdated(record: ApprovalRecord, approval: Approval, case: Case) -> str:
    if _is_contributor(record.login, case.pull):
        return "its author works on this pull request now"
    if not case.now < approval.expires:
        return "it is too old"
    plan = case.current(record.environment)
    if plan is None:
        return "" if case.pull.planning != "planned" else "nothing is planned there any more"
    if not covers((approval.scope,), plan.plan.scope):
        return "the plan has grown since"
    if not find_right(record.login, plan, case.pull.key.repository, case.people).has_right:
        return "its author may no longer approve this"
    return ""


def find_withdrawal(login: str, given: datetime, withdrawals: Sequence[Withdrawal]) -> Withdrawal | None:
    """Give the newest word by which somebody took back a yes of theirs. Of two words in one second, the one against counts."""
    mine = [item for item in withdrawals if item.login.casefold() == login.casefold() and item.at >= given]
    return max(mine, key=lambda item: item.at, default=None)


@dataclass(frozen=True)
class Right:
    """Whether somebody may approve, and the teams of the rule that they are in."""

    has_right: bool
    teams: tuple[str, ...] = ()


def find_right(login: str, plan: PlanRecord, repository: str, people: People) -> Right:
    """Ask the forge: one of the named users who may still write, a member of a named team, or with no names anybody who may write."""
    named = {item.removeprefix(USER).casefold() for item in plan.approvers if item.startswith(USER)}
    teams = tuple(
        item for item in plan.approvers if item.startswith(TEAM) and people.is_in_team(repository, item.removeprefix(TEAM), login)
    )
    if teams:
        return Right(has_right=True, teams=teams)
    if plan.approvers and login.casefold() not in named:
        return Right(has_right=False)
    return Right(has_right=people.may_write(repository, login))


def _why_not_at_all(said: Said, pull: PullRecord) -> str:
    if said.is_bot:
        return "bots do not approve"
    if not said.login:
        return "nobody is known to have written it"
    if _is_contributor(said.login, pull):
        return "nobody approves their own work"
    if said.is_edited:
        return "it was edited: write a new comment"
    return ""


def _is_contributor(login: str, pull: PullRecord) -> bool:
    return login.casefold() in {name.casefold() for name in (pull.author, *pull.contributors)}


def _why_too_early(found: Sequence[PlanRecord], said: Said) -> str:
    """Say why nothing that was published counts as read: forges tell whole seconds, so a yes of the same one may be older."""
    if any(plan.published == said.at for plan in found):
        return "it was written in the same second as the plan: write it again"
    return "it was written before that plan could be read: read it, then write it again"


def _why_unseen(found: Sequence[PlanRecord], said: Said) -> str:
    if any(plan.published == said.at for plan in found):
        return "it was submitted in the same second as the plan: review again"
    return "there was no plan of the commit that was reviewed"


def _could_see(plan: PlanRecord, said: Said) -> bool:
    return plan.head == said.commit and plan.published is not None and plan.published < said.at


def _decide(said: Said, case: Case, plan: PlanRecord | None, reason: str, environment: str = "") -> ApprovalRecord:
    environment = environment or ("" if plan is None else plan.environment)
    record = ApprovalRecord(
        ident=0,
        pull=case.pull.key,
        environment=environment,
        reference=said.reference,
        login=said.login,
        change_digest=said.digest or ("" if plan is None else plan.change_digest),
        given=said.at,
        state="refused",
        reason=reason,
    )
    if reason or plan is None:
        return record
    return _weigh(record, case, plan)


def _weigh(record: ApprovalRecord, case: Case, plan: PlanRecord) -> ApprovalRecord:
    """Decide on a yes to a plan that was there: the right, by the rules that stand now, and whether it covers what is planned now."""
    current = case.current(plan.environment) or plan
    right = find_right(record.login, current, case.pull.key.repository, case.people)
    if not right.has_right:
        wanted = ", ".join(current.approvers) or "anybody who may write"
        return replace(record, state="refused", reason=f"they may not approve {plan.environment} (that is for {wanted})")
    # The forge's clock may run ahead of ours; a release refuses what was not given yet.
    subject, given = plan.plan.subject, min(record.given, case.now).replace(microsecond=0)
    approval = Approval(
        repository=subject.repository,
        environment=subject.environment,
        pull=subject.pull,
        change_digest=plan.change_digest,
        policy_digest=NO_POLICY,
        scope=plan.plan.scope,
        approver=USER + record.login,
        issued=given,
        expires=given + VALID,
        teams=right.teams,
        proof=Proof("attested", f"{record.pull}/{record.reference}"),
    )
    whole = replace(record, approval=approval)
    taken = find_withdrawal(record.login, record.given, case.withdrawals)
    if taken is not None:
        return replace(whole, state="lost", reason=taken.reason)
    if not covers((approval.scope,), current.plan.scope):
        return replace(whole, state="lost", reason="the plan has grown since")
    return replace(whole, state="counted", reason="")
