"""One pull request, read anew and brought to where it should be: planned, said, judged, and once merged, released.

Level-triggered: whatever woke it, it reads the forge, Git and the store, and does what is missing. So a lost or replayed webhook, a
restart in the middle and two deliveries at once all end in the same state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from webhooks.forges.port import ForgePull
from webhooks.records import JobRecord, PullKey, PullRecord
from webhooks.services import Services, read_pushers, release_branch, touch_pull
from webhooks.store.plans import list_current_plans, retire_plan
from webhooks.store.pulls import find_pull, save_pull
from webhooks.work.judge import judge_pull
from webhooks.work.plan import needs_plan, plan_again
from webhooks.work.publish import publish
from webhooks.work.settle import settle

SOON = timedelta(0)


def sync_pull(services: Services, job: JobRecord) -> None:
    """Do the job `pull`."""
    key = PullKey(job.payload["repository"], job.payload["name"])
    found = services.forge_of(key.repository).pulls.read_pull(key)
    with services.store.read() as connection:
        known = find_pull(connection, key)
    if found is None:
        if known is not None and not known.is_settled:
            _close(services, known)
        return
    if known is None and found.state != "open":
        return
    pull = _merge_records(services, found, known, read_pushers(job))
    if pull.state == "closed":
        _close(services, pull)
        return
    if pull.is_settled:
        return
    _bring_forward(services, pull, job)


def give_up_pull(services: Services, job: JobRecord, error: str) -> None:
    """Say on the pull request that planning it failed."""
    key = PullKey(job.payload["repository"], job.payload["name"])
    with services.store.read() as connection:
        pull = find_pull(connection, key)
    if pull is not None and pull.state == "open":
        code = error.partition(":")[0]
        publish(services, replace(pull, planning="failed", planned_head=pull.head, note=f"The service's log says why ({code})."))


def _bring_forward(services: Services, pull: PullRecord, job: JobRecord) -> None:
    again = job.payload.get("again", "")
    need = needs_plan(services, pull, again)
    if pull.target and pull.target != need.target:
        services.add_job(release_branch(pull.key.repository, pull.branch), SOON)
    if pull.target and pull.target != need.target and _has_ended(services, pull):
        # It was merged between reading the forge and fetching: what the branch has now is no base to plan on.
        services.add_job(touch_pull(pull.key), SOON)
        return
    if need.is_needed:
        if need.is_news and pull.state == "open":
            pull = publish(services, replace(pull, planning="waiting", note=""))
        pull = plan_again(services, pull, need)
    # The plan is published before anything said about it is judged: what was written earlier cannot count.
    pull = publish(services, pull)
    note = judge_pull(services, pull)
    if pull.state == "merged":
        pull = settle(services, pull, need.mirror)
        if not pull.is_settled:
            services.add_job(release_branch(pull.key.repository, pull.branch), SOON)
    elif note != pull.note:
        pull = replace(pull, note=note)
    publish(services, pull)


def _has_ended(services: Services, pull: PullRecord) -> bool:
    found = services.forge_of(pull.key.repository).pulls.read_pull(pull.key) if pull.state == "open" else None
    return found is not None and found.state != "open"


def _merge_records(services: Services, found: ForgePull, known: PullRecord | None, pushers: Sequence[str]) -> PullRecord:
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
        updated=services.now() if _has_changed(found, known) else base.updated,
    )


def _has_changed(found: ForgePull, known: PullRecord | None) -> bool:
    if known is None:
        return True
    return (found.title, found.head, found.branch, found.state) != (known.title, known.head, known.branch, known.state)


def _close(services: Services, pull: PullRecord) -> None:
    if pull.is_settled:
        return
    with services.store.write() as connection:
        save_pull(connection, replace(pull, state="closed"))
        plans = list_current_plans(connection, pull.key)
    publish(services, replace(pull, state="closed", is_settled=True, note=""))
    with services.store.write() as connection:
        for plan in plans:
            retire_plan(connection, plan.pull, plan.environment)
