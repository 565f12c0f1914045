"""A pull request on a real forge, GitHub's adapter over HTTP or the `local` one on a bare repository, with the handlers of a service.

What people do is done on the forge alone; the service hears of it when a test says so, and never otherwise: a lost webhook is one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gitops.signatures.keys import generate_key
from tests.support.github.standin import TOKEN, Comment, Pull, Review, StandIn
from tests.support.loop import HOST, RULES
from tests.support.people import make_user, make_users
from tests.support.project import Repository
from tests.support.rows import do_all_work, do_work, make_bench, make_settings
from webhooks.forges.github import open_github
from webhooks.forges.local.forge import NAME as LOCAL
from webhooks.forges.local.forge import make_local_forge
from webhooks.forges.watched import Forges
from webhooks.jobs.works import release_branch, touch_pull
from webhooks.mirrors import Mirrors
from webhooks.parts import Parts
from webhooks.records import ApprovalRecord, PullKey, ReleaseRecord, RemarkRecord
from webhooks.store.approvals import list_approvals_of
from webhooks.store.plans import list_current_plans
from webhooks.store.releases import list_releases
from webhooks.store.remarks import add_remark
from webhooks.store.work import Work

PEOPLE = ("alice", "bob", "dave")


@dataclass
class Ticking:
    """A clock that is a second later at every look."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1))

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


class Side:
    """One pull request of alice; bob and dave review. `ways` are what bob can do after his yes."""

    ways: Mapping[str, Callable[[], None]]

    def __init__(self, parts: Parts, work: Repository, bare: Path, key: PullKey) -> None:
        self.parts, self.work, self.bare, self.key = parts, work, bare, key

    # What the service does.

    def do(self, work: Work) -> None:
        do_work(self.parts, work, self.parts.now())

    def do_all(self) -> None:
        do_all_work(self.parts, self.do)

    def hear(self) -> None:
        """Look at the pull request, and do what follows."""
        self.do(touch_pull(self.key))
        self.do_all()

    def release(self) -> None:
        """Look at the branch alone: what was said on the pull request was not heard."""
        self.do(release_branch(self.key.repository, "main"))

    # What stands.

    def digest(self) -> str:
        with self.parts.store.read() as connection:
            (plan,) = list_current_plans(connection, self.key)
        return plan.change_digest

    def approvals(self) -> list[ApprovalRecord]:
        with self.parts.store.read() as connection:
            return list(list_approvals_of(connection, self.key))

    def states(self, login: str) -> list[tuple[str, str]]:
        """Give state and reason of what somebody said."""
        return [(item.state, item.reason) for item in self.approvals() if item.login == login]

    def releases(self) -> list[ReleaseRecord]:
        """Give what became of commits that there was something to release of, the newest first."""
        with self.parts.store.read() as connection:
            return [item for item in list_releases(connection) if item.state != "nothing"]

    # What people do.

    def commit(self, name: str, files: Mapping[str, str]) -> None:
        """Push a commit of somebody to the pull request's branch."""
        self.work.git("checkout", "-q", "-B", "change")
        self.work.commit(dict(files), f"by {name}", env=_sign(name))
        self.work.git("push", "-q", "-f", str(self.bare), f"HEAD:refs/heads/{self.branch}")

    def propose(self) -> None:
        self.commit("alice", {"inventory/web-1.yaml": HOST.format(number=1, text="hello")})
        self.open()
        self.hear()

    def push_directly(self) -> None:
        """Push what was proposed to the target, past the pull request."""
        self.work.git("checkout", "-q", "-B", "direct", "main")
        tree = self.work.git("rev-parse", "change^{tree}")
        commit = self.work.git("commit-tree", tree, "-p", "main", "-m", "the same content")
        self.work.git("push", "-q", str(self.bare), f"{commit}:refs/heads/main")

    branch = "change"

    def open(self) -> None:
        """Tell the forge, where a push alone does not."""

    def say(self, name: str, body: str) -> None:
        raise NotImplementedError

    def approve(self, name: str) -> None:
        self.say(name, f"/gitops approve {self.digest()}")

    def merge(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class GithubSide(Side):
    """On the stand-in, through GitHub's adapter."""

    def __init__(self, parts: Parts, work: Repository, github: StandIn) -> None:
        super().__init__(parts, work, github.bare, PullKey("acme/infra", "1"))
        self.github = github
        self.said: list[Comment | Review] = []
        self.ways = {
            "unapprove": lambda: self.say("bob", "/gitops unapprove"),
            "unapprove below other words": lambda: self.say("bob", "I was wrong:\n\n/gitops unapprove"),
            "edit": lambda: self.github.edit(self._comment(), "I do not agree at all"),
            "edit in the same second": self._edit_unseen,
            "edit an older comment": self._edit_older,
            "delete": lambda: self.github.comments.pop(self._comment().ident) and None,
            "request changes": lambda: self.review("CHANGES_REQUESTED"),
            "dismiss": self._dismiss,
            "lose the right": lambda: self.github.teams["sre"].discard("bob"),
            "push": self._push,
            "close": self.close,
        }

    def open(self) -> None:
        self.say_first = self.github.open_pull("Greet", "alice", "change")
        self.older = self.github.comment(self.pull, "bob", "I shall look at it")

    @property
    def pull(self) -> Pull:
        return self.github.pulls[1]

    def say(self, name: str, body: str) -> None:
        self.said.append(self.github.comment(self.pull, name, body))

    def review(self, state: str) -> None:
        self.said.append(self.github.review(self.pull, "bob", state))

    def merge(self) -> None:
        self.github.merge(self.pull)

    def close(self) -> None:
        self.github.close(self.pull)

    def _comment(self) -> Comment:
        return next(item for item in self.said if isinstance(item, Comment) and item.author == "bob")

    def _edit_unseen(self) -> None:
        self._comment().body = "I do not agree at all"

    def _edit_older(self) -> None:
        self.github.edit(self.older, "/gitops unapprove")

    def _dismiss(self) -> None:
        for item in self.said:
            if isinstance(item, Review):
                item.state = "DISMISSED"

    def _push(self) -> None:
        self.commit("bob", {"README.md": "by bob\n"})
        self.github.push(self.pull, by="bob")


class LocalSide(Side):
    """On a bare repository, through the store's remarks."""

    branch = "pr/team/greet"

    def __init__(self, parts: Parts, work: Repository, bare: Path) -> None:
        super().__init__(parts, work, bare, PullKey(LOCAL, "team/greet"))
        self.ways = {
            "unapprove": lambda: self.say("bob", "/gitops unapprove"),
            "unapprove below other words": lambda: self.say("bob", "I was wrong:\n\n/gitops unapprove"),
            "push": lambda: self.commit("bob", {"README.md": "by bob\n"}),
            "close": self.close,
        }

    def say(self, name: str, body: str) -> None:
        with self.parts.store.write() as connection:
            add_remark(connection, RemarkRecord(0, self.key, name, body, self.parts.now()))

    def merge(self) -> None:
        self.work.git("checkout", "-q", "-B", "main-now", "main")
        self.work.git("merge", "-q", "--no-ff", "-m", "merge", "change")
        self.work.git("push", "-q", str(self.bare), "HEAD:refs/heads/main")

    def close(self) -> None:
        self.work.git("push", "-q", str(self.bare), f":refs/heads/{self.branch}")


@contextmanager
def make_side(folder: Path, forge: str, required: int = 1) -> Iterator[Side]:
    """Give a pull request that is planned, where `required` people have to approve."""
    rules = RULES.replace("required: 1", f"required: {required}")
    work, bare = Repository.make(folder / "work", {"gitops.yaml": rules}), folder / "infra.git"
    work.git("clone", "-q", "--bare", ".", str(bare))
    make = {"github": _make_github, "local": _make_local}[forge]
    with make(folder, work, bare) as side:
        side.propose()
        yield side


@contextmanager
def _make_github(folder: Path, work: Repository, bare: Path) -> Iterator[Side]:
    with StandIn.start(bare) as github:
        github.permissions.update(dict.fromkeys(PEOPLE, "write"))
        github.teams["sre"] = {"bob", "dave"}
        settings = {"github_api_url": github.url, "github_token": TOKEN, "repositories": "acme/infra"}
        forge = open_github(make_settings(folder / "data", **settings))
        with make_bench(folder / "data", {"acme/infra": forge}, **settings) as bench:
            yield GithubSide(replace(bench.parts, key=generate_key(), now=Ticking()), work, github)
        assert github.violations == []


@contextmanager
def _make_local(folder: Path, work: Repository, bare: Path) -> Iterator[Side]:
    users = make_users(make_user("alice", "sre"), make_user("bob", "sre"), make_user("dave", "sre"))
    clock = Ticking()
    with make_bench(folder / "data") as bench:
        forge = make_local_forge(bare, bench.parts.store, users, now=clock, url_of=lambda key: key.path)
        forges = Forges({LOCAL: forge})
        mirrors = Mirrors(folder / "data" / "mirrors", forges)
        yield LocalSide(replace(bench.parts, forges=forges, mirrors=mirrors, key=generate_key(), now=clock), work, bare)


def _sign(name: str) -> dict[str, str]:
    return {
        "GIT_AUTHOR_NAME": name,
        "GIT_COMMITTER_NAME": name,
        "GIT_AUTHOR_EMAIL": f"{name}@example.org",
        "GIT_COMMITTER_EMAIL": f"{name}@example.org",
    }
