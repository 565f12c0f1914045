"""One pull request, read anew and brought to where it should be: planned, said, judged, and once merged, released.

Level-triggered: whatever woke it, it reads the forge, Git and the store, and does what is missing. So a lost or replayed webhook, a
restart in the middle and two deliveries at once all end in the same state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from webhooks.approvals import CLOSED
from webhooks.forges.port import ForgePull
from webhooks.forges.watched import Forges
from webhooks.jobs.works import Jobs, read_edited, read_pushers, read_touched, release_branch, touch_pull
from webhooks.records import JobRecord, PullKey, PullRecord
from webhooks.store.approvals import lose_approvals_of
from webhooks.store.plans import list_current_plans, retire_plan
from webhooks.store.pulls import find_pull, list_pulls_at, save_pull
from webhooks.store.store import Store
from webhooks.work.intact import restore_comment
from webhooks.work.judge import JudgePorts, judge_pull
from webhooks.work.plan import PlanPorts, needs_plan, plan_again
from webhooks.work.publish import PublishPorts, publish
from webhooks.work.reading import merge_records
from webhooks.work.settle import settle


@dataclass(frozen=True)
class Stages:
    """The stages that a pull request goes through, each with what it works with."""

    plan: PlanPorts
    publish: PublishPorts
    judge: JudgePorts


@dataclass(frozen=True)
class PullPorts:
    """What the job works with."""

    store: Store
    forges: Forges
    jobs: Jobs
    now: Callable[[], datetime]
    stages: Stages


def sync_pull(ports: PullPorts, job: JobRecord) -> None:
    """Do the job `pull`."""
    key = PullKey(job.payload["repository"], job.payload["name"])
    found = ports.forges.of(key.repository).pulls.read_pull(key)
    with ports.store.read() as connection:
        known = find_pull(connection, key)
    _touch_neighbours(ports, known, found)
    if found is None:
        if known is not None and not known.is_settled:
            _close(ports, known)
        return
    if known is None and found.state != "open":
        return
    pull = merge_records(found, known, read_pushers(job), ports.now())
    if pull.state == "closed":
        _close(ports, pull)
        return
    if pull.is_settled:
        return
    _bring_forward(ports, pull, job)


def give_up_pull(ports: PullPorts, job: JobRecord, error: str) -> None:
    """Say on the pull request that planning it failed."""
    key = PullKey(job.payload["repository"], job.payload["name"])
    with ports.store.read() as connection:
        pull = find_pull(connection, key)
    if pull is not None and pull.state == "open":
        note = f"The service's log says why ({error.partition(':')[0]})."
        publish(ports.stages.publish, replace(pull, planning="failed", planned_head=pull.head, note=note))


def _bring_forward(ports: PullPorts, pull: PullRecord, job: JobRecord) -> None:
    again = job.payload.get("again", "")
    pull = restore_comment(ports.store, ports.forges.of(pull.key.repository).talk, pull, read_touched(job))
    need = needs_plan(ports.stages.plan, pull, again)
    if pull.target and pull.target != need.target:
        ports.jobs.add(release_branch(pull.key.repository, pull.branch))
    if pull.target and pull.target != need.target and _has_ended(ports, pull):
        # It was merged between reading the forge and fetching: what the branch has now is no base to plan on.
        ports.jobs.add(touch_pull(pull.key))
        return
    if need.is_needed:
        if need.is_news and pull.state == "open":
            pull = publish(ports.stages.publish, replace(pull, planning="waiting", note=""))
        pull = plan_again(ports.stages.plan, pull, need)
    # What is published is judged first: a plan that grew never stands beside what was said to the smaller one. What was said before a
    # plan could be read cannot count for it, and what is said from now on wakes this job again.
    note = judge_pull(ports.stages.judge, pull, read_edited(job))
    if pull.state == "merged":
        pull = settle(ports.store, pull, need.mirror)
        if not pull.is_settled:
            ports.jobs.add(release_branch(pull.key.repository, pull.branch))
    elif note != pull.note:
        pull = replace(pull, note=note)
    publish(ports.stages.publish, pull)


def _touch_neighbours(ports: PullPorts, known: PullRecord | None, found: ForgePull | None) -> None:
    """Have the pull requests looked at that share a commit which is no longer this one's head: the status of it is theirs alone now."""
    if known is None or known.state != "open" or (found is not None and (found.state, found.head) == ("open", known.head)):
        return
    with ports.store.read() as connection:
        others = [item.key for item in list_pulls_at(connection, known.key.repository, known.head) if item.key != known.key]
    for key in others:
        ports.jobs.add(touch_pull(key))


def _has_ended(ports: PullPorts, pull: PullRecord) -> bool:
    found = ports.forges.of(pull.key.repository).pulls.read_pull(pull.key) if pull.state == "open" else None
    return found is not None and found.state != "open"


def _close(ports: PullPorts, pull: PullRecord) -> None:
    """Closed means lost: no approval of it is ever spent, and opened again it has to be approved anew."""
    if pull.is_settled:
        return
    with ports.store.write() as connection:
        save_pull(connection, replace(pull, state="closed"))
        plans = list_current_plans(connection, pull.key)
        lose_approvals_of(connection, pull.key, CLOSED)
    publish(ports.stages.publish, replace(pull, state="closed", is_settled=True, note=""))
    with ports.store.write() as connection:
        for plan in plans:
            retire_plan(connection, plan.pull, plan.environment)
