"""Services: what the handlers, the API and the pages work with, made once by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote

from gitops.errors import UsageError
from gitops.signatures.keys import SigningKey
from webhooks.forges.port import Forge
from webhooks.metrics import Metrics
from webhooks.mirrors import Mirrors
from webhooks.records import JobRecord, PullKey
from webhooks.settings import Settings
from webhooks.store.store import Store
from webhooks.store.work import Work

PUSHER = "pusher:"
AddJob = Callable[[Work, timedelta], None]


@dataclass(frozen=True)
class Services:
    """`forges` by repository; `key` None: somebody else signs; `add_job` writes a job and wakes the engine, `wake` only wakes it."""

    settings: Settings
    store: Store
    forges: Mapping[str, Forge]
    mirrors: Mirrors
    metrics: Metrics
    now: Callable[[], datetime]
    fresh: Callable[[int], bytes]
    sleep: Callable[[float], None]
    add_job: AddJob
    wake: Callable[[], None]
    key: SigningKey | None = field(default=None, repr=False)

    def forge_of(self, repository: str) -> Forge:
        """Give the forge of a watched repository."""
        if repository not in self.forges:
            raise UsageError(f"{repository[:100]} is not watched", code="U074", hint="name it in GITOPS_REPOSITORIES")
        return self.forges[repository]

    def page_of(self, key: PullKey) -> str:
        """Give the address of a pull request's page; empty when the service has no public address."""
        base = self.settings.public_url
        return f"{base}/pulls/{quote(key.repository)}/{quote(key.name, safe='')}" if base else ""


def touch_pull(key: PullKey, delivery: str = "", *, reason: str = "", pusher: str = "") -> Work:
    """Make the job that reads a pull request anew.

    `reason` has it planned again whatever is known (`plan`: a person asked). `pusher` is who an authenticated webhook says pushed: it only
    ever takes somebody the right to approve.
    """
    payload = {"repository": key.repository, "name": key.name}
    if reason:
        payload["again"] = reason
    if pusher:
        payload[PUSHER + pusher] = "1"
    return Work("pull", str(key), payload, delivery)


def read_pushers(job: JobRecord) -> tuple[str, ...]:
    """Give the pushers that a job's webhooks named; jobs that became one keep them all."""
    return tuple(name.removeprefix(PUSHER) for name in job.payload if name.startswith(PUSHER))


def look_at(repository: str, delivery: str = "") -> Work:
    """Make the job that compares a repository's forge with the store."""
    return Work("repository", repository, {"repository": repository}, delivery)


def release_branch(repository: str, branch: str, delivery: str = "") -> Work:
    """Make the job that releases what was merged into a branch."""
    return Work("release", f"{repository}@{branch}", {"repository": repository, "branch": branch}, delivery)


def renew_releases(repository: str) -> Work:
    """Make the job that issues again what has lived half of its time."""
    return Work("renew", repository, {"repository": repository})
