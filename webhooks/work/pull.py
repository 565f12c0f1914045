"""One pull request, read anew and brought to where it should be: planned, said, judged, and once merged, released.

Level-triggered: whatever woke it, it reads the forge, Git and the store, and does what is missing. So a lost or replayed webhook, a
restart in the middle and two deliveries at once all end in the same state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from webhooks.forges.port import ForgePull
from webhooks.forges.watched import Forges
from webhooks.jobs.works import Jobs, read_pushers, release_branch, touch_pull
from webhooks.records import JobRecord, PullKey, PullRecord
from webhooks.store.plans import list_current_plans, retire_plan
from webhooks.store.pulls import find_pull, save_pull
from webhooks.store.store import Store
from webhooks.work.judge import JudgePorts, judge_pull
from webhooks.work.plan import PlanPorts, needs_plan, plan_again
from webhooks.work.publish import PublishPorts, publish
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
    if found is None:
        if known is not None and not known.is_settled:
            _close(ports, known)
        return
    if known is None and found.state != "open":
        return
    pull = _merge_records(ports, found, known, read_pushers(job))
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
    # The plan is published before anything said about it is judged: what was written earlier cannot count.
    pull = publish(ports.stages.publish, pull)
    note = judge_pull(ports.stages.judge, pull)
    if pull.state == "merged":
        pull = settle(ports.store, pull, need.mirror)
        if not pull.is_settled:
            ports.jobs.add(release_branch(pull.key.repository, pull.branch))
    elif note != pull.note:
        pull = replace(pull, note=note)
    publish(ports.stages.publish, pull)


def _has_ended(ports: PullPorts, pull: PullRecord) -> bool:
    found = ports.forges.of(pull.key.repository).pulls.read_pull(pull.key) if pull.state == "open" else None
    return found is not None and found.state != "open"


def _merge_records(ports: PullPorts, found: ForgePull, known: PullRecord | None, pushers: Sequence[str]) -> PullRecord:
    base = known or PullRecord(found.key, found.title, found.author, found.head, found.branch)
    is_reopened = base.is_settled and found.state == "open"
    is_moved = base.branch != found.branch
    return replace(
        base,
        title=found.title,
        author=found.author,
        head=found.head,
        branch=found.branch,
        state=found.state,
        merged=found.merged,
        contributors=tuple(dict.fromkeys((*base.contributors, *found.contributors, *pushers))),
        url=found.url,
        version=found.version,
        is_settled=base.is_settled and not is_reopened,
        planning="waiting" if is_reopened or is_moved else base.planning,
        updated=ports.now() if _has_changed(found, known) else base.updated,
    )


def _has_changed(found: ForgePull, known: PullRecord | None) -> bool:
    if known is None:
        return True
    return (found.title, found.head, found.branch, found.state) != (known.title, known.head, known.branch, known.state)


def _close(ports: PullPorts, pull: PullRecord) -> None:
    if pull.is_settled:
        return
    with ports.store.write() as connection:
        save_pull(connection, replace(pull, state="closed"))
        plans = list_current_plans(connection, pull.key)
    publish(ports.stages.publish, replace(pull, state="closed", is_settled=True, note=""))
    with ports.store.write() as connection:
        for plan in plans:
            retire_plan(connection, plan.pull, plan.environment)
