"""Publish: what the store knows of a pull request becomes its one comment and its commit statuses, when they differ from what stands there.

Idempotent: the comment is found again by its author and marker when its name was lost in a crash, and only written when its text
changes; a status is only set when it differs from the one that stands there, whoever set that. The plans' time of publication is the
forge's clock of that very comment. Whoever merges by the statuses must never be ahead of what is known: what is published was judged
first, a status that says less is set before the comment, one that says more after it, and of several pull requests of one commit the
worst one speaks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gitops.pipeline.pull import UNJUDGED
from gitops.render.comment import MARKER, Approvals, CommentSubject, Section, render_comment
from gitops.render.words import count_words
from webhooks.forges.port import DESCRIPTION, Posted, Status
from webhooks.forges.watched import Forges
from webhooks.metrics import Metrics
from webhooks.records import ApprovalRecord, PlanRecord, PullKey, PullRecord, StatusRecord
from webhooks.store.approvals import list_approvals_of
from webhooks.store.plans import list_current_plans, publish_plan
from webhooks.store.pulls import list_pulls_at, save_pull
from webhooks.store.remarks import list_statuses, save_status
from webhooks.store.store import Store

PLAN, APPROVAL = "gitops/plan", "gitops/approval"
SUCCESS = "success"
NOBODY = "the project has no environment yet: nothing is planned, and nobody is asked"
ORDER = ("error", "failure", "pending", SUCCESS)
WORDS = {"waiting": "planning", "planned": "planned", "invalid": "invalid", "conflict": "conflict", "failed": "failed"}


@dataclass(frozen=True)
class PublishPorts:
    """What publishing works with; `public_url` is the service's address for people, empty when it has none."""

    store: Store
    forges: Forges
    metrics: Metrics
    now: Callable[[], datetime]
    public_url: str = ""

    def page_of(self, key: PullKey) -> str:
        """Give the address of a pull request's page; empty when the service has no public address."""
        return self.public_url + key.path if self.public_url else ""


@dataclass(frozen=True)
class Standing:
    """A pull request, its current plans, and what was said to them."""

    pull: PullRecord
    plans: Sequence[PlanRecord]
    approvals: Sequence[ApprovalRecord]


def publish(ports: PublishPorts, pull: PullRecord) -> PullRecord:
    """Bring comment and statuses up to date; give the pull request as it is stored then."""
    with ports.store.read() as connection:
        plans = list_current_plans(connection, pull.key)
        approvals = list_approvals_of(connection, pull.key)
    if pull.state != "open":
        return _publish_comment(ports, pull, plans, approvals)
    statuses = _find_statuses(ports, pull, Standing(pull, plans, approvals))
    stand_there = _read_statuses(ports, pull)
    _set_statuses(ports, pull, [status for status in statuses if status.state != SUCCESS], stand_there)
    published = _publish_comment(ports, pull, plans, approvals)
    _set_statuses(ports, pull, [status for status in statuses if status.state == SUCCESS], stand_there)
    return published


def stand(plan: PlanRecord, approvals: Sequence[ApprovalRecord]) -> Approvals:
    """Say where the approvals of one environment stand: who counts, and what does not and why."""
    mine = [item for item in approvals if item.environment == plan.environment]
    given = tuple(dict.fromkeys(item.login for item in mine if item.state in ("counted", "spent")))
    lost = dict.fromkeys(
        f"{item.login}: {item.reason}" for item in mine if item.state in ("lost", "refused") and item.login not in given
    )
    return Approvals(plan.required, given, tuple(lost))


def render_pull(ports: PublishPorts, pull: PullRecord, plans: Sequence[PlanRecord], approvals: Sequence[ApprovalRecord]) -> str:
    """Give the comment's text: the same for the same state, whatever the time is."""
    subject = CommentSubject(pull.planned_head or pull.head, pull.target, pull.branch, ports.page_of(pull.key))
    if pull.planning == "waiting":
        subject = replace(subject, head=pull.head)
    return render_comment(
        subject,
        [Section(plan.plan, stand(plan, approvals)) for plan in plans],
        now=max((plan.made for plan in plans), default=ports.now()),
        state=_state_of(pull),
        diagnostics=pull.diagnostics,
        note=_note_of(pull, approvals),
    )


def _state_of(pull: PullRecord) -> str:
    if pull.state == "closed":
        return "closed"
    if pull.state == "merged":
        # A merge that was planned once more is held: what would be released can still be approved.
        is_asking = pull.planning == "planned" and pull.planned_head == pull.merged and not pull.is_settled
        return "planned" if is_asking else "merged"
    return WORDS[pull.planning]


def _note_of(pull: PullRecord, approvals: Sequence[ApprovalRecord]) -> str:
    """Say what happened to the pull request, and which approvals named no plan at all."""
    lost = dict.fromkeys(f"{item.login}'s approval does not count: {item.reason}." for item in approvals if not item.environment)
    return " ".join([*([pull.note] if pull.note else []), *list(lost)[-3:]])


def _publish_comment(
    ports: PublishPorts, pull: PullRecord, plans: Sequence[PlanRecord], approvals: Sequence[ApprovalRecord]
) -> PullRecord:
    if pull.planning == "waiting" and not pull.comment_ident:
        with ports.store.write() as connection:
            save_pull(connection, pull)
        return pull
    body = render_pull(ports, pull, plans, approvals)
    posted = _post(ports, pull, body)
    saved = replace(pull, comment=body, comment_ident=posted.ident, comment_at=posted.at) if posted is not None else pull
    with ports.store.write() as connection:
        save_pull(connection, saved)
        if posted is not None and saved.planning == "planned":
            for plan in plans:
                publish_plan(connection, plan.ident, posted.at)
    return saved


def _post(ports: PublishPorts, pull: PullRecord, body: str) -> Posted | None:
    """Write the comment unless it says this already; None when nothing had to be done."""
    talk = ports.forges.of(pull.key.repository).talk
    ident = pull.comment_ident
    if ident and pull.comment == body:
        return None
    if not ident:
        found = talk.find_comment(pull.key, MARKER)
        if found is not None and _is_same(found.body, body):
            return found
        ident = "" if found is None else found.ident
    ports.metrics.comments.inc()
    return talk.write_comment(pull.key, body, ident)


def _is_same(stands: str, wanted: str) -> bool:
    """Compare as forges keep texts: line ends may be changed, blanks at the end cut."""
    return stands.replace("\r\n", "\n").rstrip() == wanted.rstrip()


def _find_statuses(ports: PublishPorts, pull: PullRecord, standing: Standing) -> Sequence[Status]:
    """Say where a commit stands: forges know one status for it, so of all open pull requests that have it as head the worst one speaks."""
    with ports.store.read() as connection:
        others = [item for item in list_pulls_at(connection, pull.key.repository, pull.head) if item.key != pull.key]
        found = [
            Standing(item, list_current_plans(connection, item.key), list_approvals_of(connection, item.key)) for item in others
        ]
    mine: Sequence[Status] = _list_statuses_of(standing)
    for other in found:
        mine = [_worse(one, two, str(other.pull.key)) for one, two in zip(mine, _list_statuses_of(other), strict=True)]
    return mine


def _worse(mine: Status, theirs: Status, name: str) -> Status:
    if ORDER.index(theirs.state) >= ORDER.index(mine.state):
        return mine
    return replace(theirs, description=f"{name} has this commit, too: {theirs.description}")


def _list_statuses_of(standing: Standing) -> tuple[Status, Status]:
    pull, plans = standing.pull, standing.plans
    if pull.planning != "planned" or pull.planned_head != pull.head:
        return _plan_status(pull, plans), Status(APPROVAL, "pending", "waits for a plan")
    if any(item.code == UNJUDGED for item in pull.diagnostics):
        return Status(PLAN, "pending", NOBODY), Status(APPROVAL, "pending", NOBODY)
    return _plan_status(pull, plans), _approval_status([(plan, stand(plan, standing.approvals)) for plan in plans])


def _read_statuses(ports: PublishPorts, pull: PullRecord) -> Mapping[str, Status]:
    """Give what stands on the forge by name; where it cannot say, what was set last."""
    found = ports.forges.of(pull.key.repository).statuses.list_statuses(pull.key.repository, pull.head)
    if found is None:
        with ports.store.read() as connection:
            known = list_statuses(connection, pull.key.repository, pull.head)
        found = tuple(Status(item.context, item.state, item.description, item.url) for item in known)
    return {status.context: _cut(status) for status in found}


def _set_statuses(ports: PublishPorts, pull: PullRecord, wanted: Sequence[Status], stand_there: Mapping[str, Status]) -> None:
    repository, url = pull.key.repository, ports.page_of(pull.key) or pull.url
    with ports.store.read() as connection:
        kept = list_statuses(connection, repository, pull.head)
    for status in (replace(status, url=url) for status in wanted):
        if stand_there.get(status.context) != _cut(status):
            ports.forges.of(repository).statuses.set_status(repository, pull.head, status)
        record = StatusRecord(repository, pull.head, status.context, status.state, status.description, url)
        if record not in kept:
            with ports.store.write() as connection:
                save_status(connection, record)


def _cut(status: Status) -> Status:
    return replace(status, description=status.description[:DESCRIPTION])


def _plan_status(pull: PullRecord, plans: Sequence[PlanRecord]) -> Status:
    errors = sum(1 for item in pull.diagnostics if item.severity == "error")
    if pull.planning == "waiting" or pull.planned_head != pull.head:
        return Status(PLAN, "pending", "planning")
    if pull.planning == "invalid":
        return Status(PLAN, "failure", f"{count_words(errors, 'error')} in the config")
    if pull.planning == "conflict":
        return Status(PLAN, "failure", f"does not merge with {pull.branch}")
    if pull.planning == "failed":
        return Status(PLAN, "error", "planning failed; comment /gitops plan to try again")
    if not plans:
        return Status(PLAN, "success", f"no environment is released from {pull.branch}")
    found = [plan.plan.summary() for plan in plans]
    changes, hosts = sum(item["changes"] for item in found), sum(item["changed_hosts"] for item in found)
    words = f"{count_words(changes, 'change')} on {count_words(hosts, 'host')}" if changes else "no change today"
    if not any(item["hosts"] for item in found):
        words = "no host"
    return Status(PLAN, "success", f"{words} in {', '.join(plan.environment for plan in plans)}")


def _approval_status(standings: Sequence[tuple[PlanRecord, Approvals]]) -> Status:
    wanting = [(plan, found) for plan, found in standings if plan.plan.has_changes and plan.required]
    missing = [(plan, found) for plan, found in wanting if not found.is_enough]
    if missing:
        rows = [f"{plan.environment} has {len(found.given)} of {found.required}" for plan, found in missing]
        return Status(APPROVAL, "pending", "; ".join(rows))
    return Status(APPROVAL, "success", "approved" if wanting else "nothing needs an approval")
