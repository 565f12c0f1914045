"""One pull request, a repository, a forge in memory and the handlers of a service, with the moves of the people around them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from gitops.signatures.keys import generate_key
from tests.support.fakeforge import REPOSITORY, FakeForge
from tests.support.loop import APPROVE, HOST, RULES
from tests.support.people import NOW
from tests.support.project import Repository
from tests.support.rows import Bench, do_all_work, do_work, make_bench
from webhooks.forges.port import ForgePull
from webhooks.jobs.works import touch_pull
from webhooks.records import ApprovalRecord, PullKey, PullRecord
from webhooks.store.approvals import list_approvals_of
from webhooks.store.pulls import find_pull
from webhooks.store.work import Work

KEY = PullKey(REPOSITORY, "1")


class Scene:
    """A bench, a forge and a repository with a pull request."""

    def __init__(self, bench: Bench, fake: FakeForge, work: Repository) -> None:
        self.bench, self.fake, self.work = bench, fake, work
        self.parts = bench.parts

    def do(self, work: Work) -> None:
        do_work(self.parts, work, NOW)

    def do_all(self) -> None:
        """Do the rows that wait, and those that they ask for."""
        do_all_work(self.parts, self.do)

    def push(self, text: str, hosts: int = 1, branch: str = "change", files: dict[str, str] | None = None) -> str:
        assert self.fake.bare is not None
        self.work.git("checkout", "-q", "-B", branch)
        content = {f"inventory/web-{number}.yaml": HOST.format(number=number, text=text) for number in range(1, hosts + 1)}
        head = self.work.commit({**content, **(files or {})}, text)
        self.work.git("push", "-q", "-f", str(self.fake.bare), f"HEAD:refs/heads/{branch}", "HEAD:refs/pull/1/head")
        known = self.fake.pulls.get("1", ForgePull(KEY, "Greet", "alice", head, "main", contributors=("alice",)))
        self.fake.pulls["1"] = replace(known, head=head, version=head)
        return head

    def merge(self) -> str:
        assert self.fake.bare is not None
        self.work.git("checkout", "-q", "main")
        self.work.git("merge", "-q", "--no-ff", "-m", "merge", "change")
        self.work.git("push", "-q", str(self.fake.bare), "main")
        merged = self.work.git("rev-parse", "HEAD")
        self.fake.pulls["1"] = replace(self.fake.pulls["1"], state="merged", merged=merged)
        return merged

    def pull(self) -> PullRecord:
        with self.parts.store.read() as connection:
            found = find_pull(connection, KEY)
        assert found is not None
        return found

    def approvals(self) -> list[ApprovalRecord]:
        with self.parts.store.read() as connection:
            return list(list_approvals_of(connection, KEY))

    def digest(self) -> str:
        found = APPROVE.search(self.fake.posted[0].body)
        assert found is not None
        return found[1]

    def release(self) -> None:
        """Open a pull request, have it approved, merge and release it."""
        self.push("hello")
        self.touch()
        self.fake.say("bob", f"/gitops approve {self.digest()}")
        self.touch()
        self.merge()
        self.touch()
        self.do_all()

    def touch(self, reason: str = "") -> None:
        self.do(touch_pull(KEY, reason=reason))


@contextmanager
def make_scene(folder: Path, rules: str = RULES) -> Iterator[Scene]:
    """Give a scene whose team `sre` is bob; dave is named; alice may write."""
    work, bare = Repository.make(folder / "work", {"gitops.yaml": rules}), folder / "infra.git"
    work.git("clone", "-q", "--bare", ".", str(bare))
    fake = FakeForge(bare, writers={"alice", "bob", "dave"}, teams={"sre": {"bob"}})
    with make_bench(folder / "data", {REPOSITORY: fake.forge()}) as bench:
        signing = replace(bench.parts, key=generate_key())
        yield Scene(replace(bench, parts=signing), fake, work)
