"""Reviews: what users of the settings do to pull requests of the `local` forge: approve a plan, merge what was approved.

Approving writes a remark with the command, which counts by the rules of every forge (`webhooks.approvals`). Merging is refused unless
(1) there is a plan of this very head and target, (2) the user saw this head, (3) every environment that changes has a quorum of approvals
that cover its newest plan and that nobody took back, be it a moment ago; then Git merges by compare-and-swap. The release checks
approvals once more. What may not be done is HeldError (exit 3) that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gitops.errors import HeldError
from gitops.model.fleetplan import FleetPlan
from gitops.plan.covers import covers
from webhooks.approvals import find_withdrawal
from webhooks.auth.users import User
from webhooks.forges.local.branches import Person, list_refused
from webhooks.forges.local.forge import comment_of
from webhooks.forges.local.merge import MergeRequest, merge_branch
from webhooks.heard import Heard, find_withdrawals
from webhooks.records import ApprovalRecord, PlanRecord, PullKey, PullRecord, RemarkRecord
from webhooks.store.approvals import list_approvals_of
from webhooks.store.plans import list_current_plans
from webhooks.store.pulls import find_pull
from webhooks.store.remarks import add_remark, list_remarks
from webhooks.store.store import Store

APPROVED, ASKED, TAKEN_BACK = "approved", "asked", "taken-back"
PATIENCE, PAUSE = 100, 0.05


@dataclass(frozen=True)
class LocalReviews:
    """`touch` has the service read a pull request again, `look` all branches; `sleep` waits while it decides."""

    repository: Path
    store: Store
    now: Callable[[], datetime]
    touch: Callable[[PullKey], None]
    look: Callable[[], None]
    sleep: Callable[[float], None]

    def approve(self, key: PullKey, user: User, change_digest: str) -> str:
        """Write the remark and give `approved`, or `asked` when it is not decided within five seconds."""
        with self.store.write() as connection:
            pull = _need_unsettled(find_pull(connection, key), key)
            plans = list_current_plans(connection, key)
            _check_approval(pull, plans, user, change_digest)
            earlier = list_approvals_of(connection, key)
            if any(_is_same(item, user, change_digest) for item in earlier):
                return APPROVED
            remark = RemarkRecord(0, key, user.name, f"/gitops approve {change_digest}", self.now())
            ident = add_remark(connection, remark)
        self.touch(key)
        decided = self._wait(key, lambda item: item.reference == f"comment:{ident}")
        if decided is not None and decided.state == "refused":
            raise HeldError(f"it does not count: {decided.reason}", code="H045")
        return ASKED if decided is None else APPROVED

    def take_back(self, key: PullKey, user: User) -> str:
        """Write the remark that takes back every yes of this user here; give `taken-back`, or `asked` as `approve` does."""
        with self.store.write() as connection:
            _need_unsettled(find_pull(connection, key), key)
            mine = [item for item in list_approvals_of(connection, key) if item.login == user.name and item.state == "counted"]
            if not mine:
                raise HeldError("no approval of yours counts here", code="H040", hint="load the page again")
            add_remark(connection, RemarkRecord(0, key, user.name, "/gitops unapprove", self.now()))
        self.touch(key)
        found = self._wait(key, lambda item: item.ident == mine[-1].ident and item.state != "counted")
        return ASKED if found is None else TAKEN_BACK

    def merge(self, key: PullKey, user: User, head: str) -> str:
        """Merge and give the new commit's id."""
        with self.store.read() as connection:
            pull = _need_unsettled(find_pull(connection, key), key)
            plans = list_current_plans(connection, key)
            heard = Heard(tuple(comment_of(item) for item in list_remarks(connection, key)), ())
            known = list_approvals_of(connection, key)
        withdrawals = find_withdrawals(heard, known)
        approvals = tuple(item for item in known if find_withdrawal(item.login, item.given, withdrawals) is None)
        _check_merge(pull, plans, approvals, head)
        request = MergeRequest(key.name, head, pull.branch, pull.target, pull.title)
        email = user.emails[0] if user.emails else f"{user.name}@users.invalid"
        try:
            commit = merge_branch(self.repository, request, by=Person(user.name, email), now=self.now())
        finally:
            # What moved is planned again, what was merged is released.
            self.look()
            self.touch(key)
        return commit

    def refresh(self) -> None:
        """Look at the branches now."""
        self.look()

    def list_refused(self) -> Mapping[str, str]:
        """Give the pushed branches below `pr/` whose names do not fit, with the reason."""
        return list_refused(self.repository)

    def _wait(self, key: PullKey, is_wanted: Callable[[ApprovalRecord], bool]) -> ApprovalRecord | None:
        """Give the approval that is wanted as soon as it is decided; None after five seconds."""
        for _ in range(PATIENCE):
            with self.store.read() as connection:
                found = next((item for item in list_approvals_of(connection, key) if is_wanted(item)), None)
            if found is not None:
                return found
            self.sleep(PAUSE)
        return None


def _need_unsettled(pull: PullRecord | None, key: PullKey) -> PullRecord:
    """What is merged but held can still be approved; what is over cannot."""
    if pull is None:
        raise HeldError(f"there is no pull request {key.name}", code="H046", hint=f"push a branch pr/{key.name}")
    if pull.state == "closed" or pull.is_settled:
        raise HeldError(f"pr/{key.name} is {pull.state}", code="H046")
    return pull


def _check_approval(pull: PullRecord, plans: tuple[PlanRecord, ...], user: User, change_digest: str) -> None:
    if all(plan.change_digest != change_digest for plan in plans):
        raise HeldError("the plan changed since you looked at it", code="H047", hint="read the new one, then approve that")
    if user.name == pull.author or user.name in pull.contributors:
        raise HeldError("you wrote some of it: somebody else has to approve", code="H045")


def _is_same(item: ApprovalRecord, user: User, change_digest: str) -> bool:
    return item.login == user.name and item.change_digest == change_digest and item.state == "counted"


def _check_merge(pull: PullRecord, plans: tuple[PlanRecord, ...], approvals: tuple[ApprovalRecord, ...], head: str) -> None:
    if pull.state != "open":
        raise HeldError(f"pr/{pull.key.name} is {pull.state}", code="H046")
    if pull.head != head:
        raise HeldError(
            f"pr/{pull.key.name} moved while you looked at it", code="H041", hint="look at the new plan, then merge that"
        )
    if pull.planning != "planned" or pull.planned_head != head:
        raise HeldError("there is no plan of this commit yet", code="H048", hint="wait for it, or mend what it says is wrong")
    for record in plans:
        plan = record.plan
        given = {item.login for item in approvals if item.environment == record.environment and _covers(item, plan)}
        if len(given) < record.required and plan.has_changes:
            raise HeldError(
                f"{record.environment} has {len(given)} of {record.required} approvals",
                code="H049",
                hint="have the plan approved first",
            )


def _covers(item: ApprovalRecord, plan: FleetPlan) -> bool:
    """Say whether an approval counts and covers this very plan, which may be newer than the last judgement."""
    return item.state == "counted" and item.approval is not None and covers((item.approval.scope,), plan.scope)
