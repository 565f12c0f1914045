"""The reconciler: compare a repository's forge and branches with the store, and ask for what was missed.

Runs on a timer and on every push. A lost webhook, a restart or an outage of the forge is repaired here and not waited for. It only asks
for jobs; what each does is decided by reading anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

from webhooks.forges.port import ForgePull
from webhooks.mirrors import list_branches
from webhooks.records import JobRecord, PullKey, PullRecord
from webhooks.services import Services, release_branch, touch_pull
from webhooks.store.pulls import list_pulls, list_unsettled
from webhooks.store.releases import list_releases
from webhooks.work.settle import FINAL

SOON = timedelta(0)
LOOKED_AT = 500


def reconcile(services: Services, job: JobRecord) -> None:
    """Do the job `repository`."""
    repository = job.payload["repository"]
    forge = services.forge_of(repository)
    seen = {pull.key: pull for pull in (*forge.pulls.list_recently_closed(repository), *forge.pulls.list_open(repository))}
    mirror, remote = services.mirrors.refresh(forge, repository)
    branches = list_branches(mirror)
    with services.store.read() as connection:
        known = {pull.key: pull for pull in list_unsettled(connection, repository)}
    unreleased = find_unreleased(services, repository, branches, remote.branch)
    for key in find_missed(seen, known, branches, unreleased):
        services.add_job(touch_pull(key), SOON)
    for branch in unreleased:
        services.add_job(release_branch(repository, branch), SOON)


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


def find_unreleased(services: Services, repository: str, branches: Mapping[str, str], default: str) -> tuple[str, ...]:
    """Give the branches (the default one, and those that pull requests go to) whose tip is not known to be released, or not to need it."""
    with services.store.read() as connection:
        wanted = {default, *(pull.branch for pull in list_pulls(connection, repository=repository, limit=LOOKED_AT))}
        done = {item.source for item in list_releases(connection, limit=LOOKED_AT) if item.state in FINAL}
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
