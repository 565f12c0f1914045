"""What the service needs of a forge: read pull requests, talk on them, know people. Nouns hold what was read, not what a webhook said.

An implementation raises RemoteError when the forge cannot be reached or refuses, and gives None or an empty answer for what the forge
does not offer (FACTS §5), so that everything falls back to comments, statuses and Git.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from webhooks.records import PullKey

DESCRIPTION = 140  # what GitHub takes of a status
REVIEW_STATES = ("approved", "dismissed", "changes_requested", "commented")


@dataclass(frozen=True)
class ForgePull:
    """A pull request as the forge has it now. `state` is open, merged or closed; `merged` the merge's commit (empty: not merged).

    `contributors` are the logins that the forge names as author, committers or pushers of any of it. `version` changes whenever
    something is said or done on it; empty where the forge has no such thing.
    """

    key: PullKey
    title: str
    author: str
    head: str
    branch: str
    state: str = "open"
    merged: str = ""
    contributors: tuple[str, ...] = ()
    url: str = ""
    version: str = ""


@dataclass(frozen=True)
class ForgeComment:
    """A comment; `reference` is `comment:<id>`. `is_edited`: its text is no longer what was written at `created`, but at `updated`."""

    reference: str
    author: str
    body: str
    created: datetime
    is_bot: bool = False
    is_edited: bool = False
    updated: datetime | None = None


@dataclass(frozen=True)
class ForgeReview:
    """A review; `reference` is `review:<id>`, `state` one of REVIEW_STATES: what a forge calls otherwise is read as the word against."""

    reference: str
    author: str
    state: str
    commit: str
    submitted: datetime
    is_bot: bool = False


@dataclass(frozen=True)
class Posted:
    """A comment of ours: the forge's name of it, when it last changed by the forge's clock, and what it says.

    `at` moves with every edit, whoever makes it (`updated_at` of GitHub, Gitea and a note of GitLab). What a write gives is what is read
    until the next edit, so that an edit of somebody else's is known by a later time even when the text was put back.
    """

    ident: str
    at: datetime
    body: str = ""


@dataclass(frozen=True)
class Status:
    """A commit status: `pending`, `success`, `failure` or `error`."""

    context: str
    state: str
    description: str
    url: str = ""


@dataclass(frozen=True)
class Remote:
    """Where Git gets the repository, and its default branch. `environment` goes to the one git process that talks to it (credentials:
    never in arguments).
    """

    url: str
    environment: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    branch: str = ""


class Pulls(Protocol):
    """Read pull requests and branches."""

    def read_pull(self, key: PullKey) -> ForgePull | None:
        """Give a pull request, or None when the forge has none of that name (any more)."""
        ...

    def list_open(self, repository: str) -> tuple[ForgePull, ...]:
        """List the open ones; contributors may be missing here."""
        ...

    def list_recently_closed(self, repository: str) -> tuple[ForgePull, ...]:
        """List the ones that ended last, so that a lost webhook of a merge is repaired; contributors may be missing here."""
        ...

    def find_remote(self, repository: str) -> Remote:
        """Say where Git gets the repository; its heads are `refs/heads/*`, a pull request's head is found with `head_ref`."""
        ...

    def head_ref(self, key: PullKey) -> str:
        """Give the ref that holds a pull request's head: `refs/pull/7/head`."""
        ...


class Talk(Protocol):
    """Say things on a pull request, and hear what others said."""

    def find_comment(self, key: PullKey, marker: str) -> Posted | None:
        """Find our own comment that begins with the marker."""
        ...

    def write_comment(self, key: PullKey, body: str, ident: str = "") -> Posted:
        """Write a comment, or edit the one with this name."""
        ...

    def list_comments(self, key: PullKey) -> tuple[ForgeComment, ...]:
        """List all comments that are not ours, oldest first."""
        ...

    def list_reviews(self, key: PullKey) -> tuple[ForgeReview, ...]:
        """List all reviews, oldest first; empty where the forge has none."""
        ...


class Statuses(Protocol):
    """What a commit is marked with. Whoever may write in a repository may set a status of any name: what stands is read, not remembered."""

    def list_statuses(self, repository: str, commit: str) -> tuple[Status, ...] | None:
        """List the newest status of each name, whoever set it, as far as a bounded answer has them; None where the forge has none."""
        ...

    def set_status(self, repository: str, commit: str, status: Status) -> None:
        """Set a commit status; its description may be cut at DESCRIPTION."""
        ...


class People(Protocol):
    """Know who may do what, now."""

    def may_write(self, repository: str, login: str) -> bool:
        """Say whether somebody may push to the repository."""
        ...

    def is_in_team(self, repository: str, team: str, login: str) -> bool:
        """Say whether somebody is an active member of a team of the repository's owner."""
        ...


@dataclass(frozen=True)
class Forge:
    """A forge's four sides, and the repositories watched there."""

    name: str
    repositories: tuple[str, ...]
    pulls: Pulls
    talk: Talk
    statuses: Statuses
    people: People
