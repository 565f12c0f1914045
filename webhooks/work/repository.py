"""The reconciler: compare a repository's forge and branches with the store, and ask for what was missed.

Runs on a timer and on every push. A lost webhook, a restart or an outage of the forge is repaired here and not waited for. It only asks
for jobs; what each does is decided by reading anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from webhooks.forges.port import ForgePull
from webhooks.forges.watched import Forges
from webhooks.jobs.works import Jobs, release_branch, touch_pull
from webhooks.mirrors import Mirrors, list_branches
from webhooks.records import JobRecord, PullKey, PullRecord
from webhooks.store.pulls import list_pulls, list_unsettled
from webhooks.store.releases import list_releases
from webhooks.store.store import Store
from webhooks.work.settle import FINAL

LOOKED_AT = 500


@dataclass(frozen=True)
class ReconcilePorts:
    """What the reconciler works with."""

    store: Store
    forges: Forges
    mirrors: Mirrors
    jobs: Jobs


def reconcile(ports: ReconcilePorts, job: JobRecord) -> None:
    """Do the job `repository`."""
    repository = job.payload["repository"]
    forge = ports.forges.of(repository)
    seen = {pull.key: pull for pull in (*forge.pulls.list_recently_closed(repository), *forge.pulls.list_open(repository))}
    mirror, remote = ports.mirrors.refresh(repository)
    branches = list_branches(mirror)
    with ports.store.read() as connection:
        known = {pull.key: pull for pull in list_unsettled(connection, repository)}
    unreleased = find_unreleased(ports.store, repository, branches, remote.branch)
    for key in find_missed(seen, known, branches, unreleased):
        ports.jobs.add(touch_pull(key))
    for branch in unreleased:
        ports.jobs.add(release_branch(repository, branch))


def find_missed(
    seen: Mapping[PullKey, ForgePull],
    known: Mapping[PullKey, PullRecord],
    branches: Mapping[str, str],
    unreleased: Collection[str],
) -> tuple[PullKey, ...]:
    """Give the pull requests that the store does not know as they are: new, changed, on a moved base, ended, or released meanwhile.

    `seen` are the open ones and those that ended last.
    """
    changed = {key for key, pull in seen.items() if pull.state == "open" and _is_missed(pull, known.get(key), branches)}
    ended = {key for key, record in known.items() if _has_ended(record, seen.get(key), unreleased)}
    return tuple(sorted(ended | changed, key=str))


def find_unreleased(store: Store, repository: str, branches: Mapping[str, str], default: str) -> tuple[str, ...]:
    """Give the branches (the default one, and those that pull requests go to) whose tip is not known to be released, or not to need it."""
    with store.read() as connection:
        wanted = {default, *(pull.branch for pull in list_pulls(connection, repository=repository, limit=LOOKED_AT))}
        done = {item.source for item in list_releases(connection, repository=repository, limit=LOOKED_AT) if item.state in FINAL}
    return tuple(sorted(branch for branch in wanted if branch in branches and branches[branch] not in done))


def _has_ended(known: PullRecord, pull: ForgePull | None, unreleased: Collection[str]) -> bool:
    """Say whether a pull request that is not settled ended without our noticing, or something was said or done after it did."""
    if pull is not None and pull.state == "open":
        return False
    if known.state == "open" or known.branch not in unreleased:
        return True
    return pull is not None and (not pull.version or pull.version != known.version)


def _is_missed(pull: ForgePull, known: PullRecord | None, branches: Mapping[str, str]) -> bool:
    if known is None or known.planning == "waiting" or not pull.version:
        return True
    if (pull.head, pull.branch, pull.state, pull.version) != (known.head, known.branch, known.state, known.version):
        return True
    return known.planning != "failed" and known.target != branches.get(pull.branch)
