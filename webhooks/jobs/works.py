"""Works: the jobs that rooms ask for, and the port by which they ask.

A work only names what is to be looked at; whoever does it reads everything anew.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from webhooks.records import JobRecord, PullKey
from webhooks.store.work import Work

PUSHER, EDITED, TOUCHED = "pusher:", "edited:", "touched:"
SOON = timedelta(0)


class Jobs(Protocol):
    """Take work to do: the engine."""

    def add(self, work: Work, delay: timedelta = SOON) -> None:
        """Write a job and wake a worker."""
        ...

    def wake(self) -> None:
        """Look at the rows now: something was added in another way."""
        ...


def touch_pull(
    key: PullKey, delivery: str = "", *, reason: str = "", pusher: str = "", edited: str = "", touched: str = ""
) -> Work:
    """Make the job that reads a pull request anew.

    `reason` has it planned again whatever is known (`plan`: a person asked). `pusher` is who an authenticated webhook says pushed: it only
    ever takes somebody the right to approve. So does `edited`, the comment that one says was edited: within the second in which it was
    written, the forge itself does not tell. `touched` is one that was edited by another than its author: of ours, nobody else may.
    """
    payload = {"repository": key.repository, "name": key.name}
    if reason:
        payload["again"] = reason
    if pusher:
        payload[PUSHER + pusher] = "1"
    if edited:
        payload[EDITED + edited] = "1"
    if touched:
        payload[TOUCHED + touched] = "1"
    return Work("pull", str(key), payload, delivery)


def read_pushers(job: JobRecord) -> tuple[str, ...]:
    """Give the pushers that a job's webhooks named; jobs that became one keep them all."""
    return tuple(name.removeprefix(PUSHER) for name in job.payload if name.startswith(PUSHER))


def read_edited(job: JobRecord) -> tuple[str, ...]:
    """Give the references of the comments that a job's webhooks said were edited."""
    return tuple(name.removeprefix(EDITED) for name in job.payload if name.startswith(EDITED))


def read_touched(job: JobRecord) -> tuple[str, ...]:
    """Give the references of the comments that a job's webhooks said were edited by another than their author."""
    return tuple(name.removeprefix(TOUCHED) for name in job.payload if name.startswith(TOUCHED))


def look_at(repository: str, delivery: str = "") -> Work:
    """Make the job that compares a repository's forge with the store."""
    return Work("repository", repository, {"repository": repository}, delivery)


def release_branch(repository: str, branch: str, delivery: str = "") -> Work:
    """Make the job that releases what was merged into a branch."""
    return Work("release", f"{repository}@{branch}", {"repository": repository, "branch": branch}, delivery)


def renew_releases(repository: str) -> Work:
    """Make the job that issues again what has lived half of its time."""
    return Work("renew", repository, {"repository": repository})
