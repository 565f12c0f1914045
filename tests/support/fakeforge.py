"""A forge in memory over a real bare repository, whose every answer tests decide, and which can break at any call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from gitops.errors import RemoteError
from tests.support.people import NOW
from webhooks.forges.port import Forge, ForgeComment, ForgePull, ForgeReview, Posted, Remote, Status
from webhooks.records import PullKey

REPOSITORY = "acme/infra"


@dataclass
class FakeForge:
    """What the forge has. `break_at` calls from now on, one call raises; `lose` makes that call work first (its answer is lost).

    `written` is called after everything that the service wrote, so that tests can look at each write in order.
    """

    bare: Path | None = None
    pulls: dict[str, ForgePull] = field(default_factory=dict[str, ForgePull])
    posted: list[Posted] = field(default_factory=list[Posted])
    owners: dict[str, PullKey] = field(default_factory=dict[str, PullKey])
    statuses: list[tuple[str, Status]] = field(default_factory=list[tuple[str, Status]])
    comments: list[ForgeComment] = field(default_factory=list[ForgeComment])
    reviews: list[ForgeReview] = field(default_factory=list[ForgeReview])
    writers: set[str] = field(default_factory=set[str])
    teams: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    at: datetime = NOW
    calls: int = 0
    break_at: int = 0
    lose: bool = False
    written: Callable[[], None] = lambda: None

    def forge(self) -> Forge:
        return Forge("fake", (REPOSITORY,), self, self, self, self)

    def tick(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at

    def say(self, author: str, body: str, *, is_bot: bool = False) -> ForgeComment:
        comment = ForgeComment(f"comment:{len(self.comments) + 1}", author, body, self.tick(), is_bot)
        self.comments.append(comment)
        return comment

    def approve(self, author: str, commit: str) -> ForgeReview:
        review = ForgeReview(f"review:{len(self.reviews) + 1}", author, "approved", commit, self.tick())
        self.reviews.append(review)
        return review

    def status(self, commit: str, context: str) -> Status | None:
        """Give what stands."""
        return next((item for at, item in reversed(self.statuses) if (at, item.context) == (commit, context)), None)

    def edit(self, comment: ForgeComment, body: str) -> None:
        edited = replace(comment, body=body, is_edited=True, updated=self.tick())
        self.comments[self.comments.index(comment)] = edited

    def _call(self) -> None:
        self.calls += 1
        if self.calls == self.break_at and not self.lose:
            raise RemoteError("broken before it was done", code="R200")

    def _after(self) -> None:
        if self.calls == self.break_at and self.lose:
            raise RemoteError("its answer was lost", code="R200")

    def read_pull(self, key: PullKey) -> ForgePull | None:
        self._call()
        return self.pulls.get(key.name)

    def list_open(self, repository: str) -> tuple[ForgePull, ...]:
        self._call()
        return tuple(pull for pull in self.pulls.values() if pull.state == "open")

    def list_recently_closed(self, repository: str) -> tuple[ForgePull, ...]:
        return tuple(pull for pull in self.pulls.values() if pull.state != "open")

    def find_remote(self, repository: str) -> Remote:
        assert self.bare is not None
        return Remote(str(self.bare), branch="main")

    def head_ref(self, key: PullKey) -> str:
        return f"refs/pull/{key.name}/head"

    def find_comment(self, key: PullKey, marker: str) -> Posted | None:
        self._call()
        mine = (item for item in self.posted if self.owners[item.ident] == key)
        return next((item for item in mine if item.body.startswith(marker)), None)

    def write_comment(self, key: PullKey, body: str, ident: str = "") -> Posted:
        self._call()
        found = next((item for item in self.posted if item.ident == ident), None)
        written = Posted(ident or str(len(self.posted) + 1), self.tick(), body)
        if found is None:
            self.posted.append(replace(written, ident=str(len(self.posted) + 1)))
            self.owners[self.posted[-1].ident] = key
        else:
            self.posted[self.posted.index(found)] = written
        self.written()
        self._after()
        return self.posted[-1] if found is None else written

    def list_statuses(self, repository: str, commit: str) -> tuple[Status, ...]:
        self._call()
        return tuple({item.context: item for at, item in self.statuses if at == commit}.values())

    def set_status(self, repository: str, commit: str, status: Status) -> None:
        self._call()
        self.statuses.append((commit, status))
        self.written()
        self._after()

    def list_comments(self, key: PullKey) -> tuple[ForgeComment, ...]:
        self._call()
        return tuple(self.comments)

    def list_reviews(self, key: PullKey) -> tuple[ForgeReview, ...]:
        self._call()
        return tuple(self.reviews)

    def may_write(self, repository: str, login: str) -> bool:
        self._call()
        return login in self.writers

    def is_in_team(self, repository: str, team: str, login: str) -> bool:
        self._call()
        return login in self.teams.get(team, set())
