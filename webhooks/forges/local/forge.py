"""The `local` forge: the three sides of `webhooks.forges.port` on a bare repository, the store and the users of the settings.

Git is the truth about branches and merges, whoever made them; the store keeps what Git has no place for: remarks and statuses. Its
repository is called `local`, its pull requests are the branches `pr/<name>`, their target the branch that HEAD of the repository names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from gitops.errors import UsageError
from gitops.source.git import run_git
from gitops.source.repository import find_ref, is_ancestor
from webhooks.auth.users import Users
from webhooks.forges.local.branches import PREFIX, Person, list_heads, read_branch, why_no_name
from webhooks.forges.port import Forge, ForgeComment, ForgePull, ForgeReview, Posted, Remote, Status
from webhooks.records import PullKey, PullRecord, RemarkRecord, StatusRecord
from webhooks.store.pulls import find_pull, list_pulls
from webhooks.store.remarks import list_remarks, list_statuses, save_status
from webhooks.store.store import Store

NAME = "local"
HEADS = "refs/heads/"
RECENT = 50
MOST_MERGES = 2000
NO_REF = (1, 128)


@dataclass(frozen=True)
class LocalPulls:
    """Pull requests of a bare repository."""

    repository: Path
    store: Store
    users: Users
    url_of: Callable[[PullKey], str]

    def read_pull(self, key: PullKey) -> ForgePull | None:
        """Give a branch's pull request, or how one that the store knows ended; None for a name nobody ever pushed."""
        if key.repository != NAME or why_no_name(key.name):
            return None
        branch = find_target(self.repository)
        target = find_ref(self.repository, HEADS + branch)
        head = find_ref(self.repository, PREFIX + key.name)
        with self.store.read() as connection:
            known = find_pull(connection, key)
            said = list_remarks(connection, key)
        # What is said is the only thing that changes beside the head.
        version = f"remark:{said[-1].ident if said else 0}"
        is_in = bool(head and target) and is_ancestor(self.repository, head, target)
        if head and (known is None or not is_in):
            return replace(self._read_open(key, head, branch=branch, target=target), version=version)
        return None if known is None else replace(self._read_ended(known, branch, head or known.head), version=version)

    def list_open(self, repository: str) -> tuple[ForgePull, ...]:
        """List the branches `pr/<name>`."""
        if repository != NAME:
            return ()
        found = (self.read_pull(PullKey(NAME, name)) for name in list_heads(self.repository))
        return tuple(pull for pull in found if pull is not None and pull.state == "open")

    def list_recently_closed(self, repository: str) -> tuple[ForgePull, ...]:
        """List those that the store knows last and that have no branch, or a merged one."""
        if repository != NAME:
            return ()
        with self.store.read() as connection:
            known = list_pulls(connection, repository=NAME, limit=RECENT)
        found = (self.read_pull(record.key) for record in known)
        return tuple(pull for pull in found if pull is not None and pull.state != "open")

    def find_remote(self, repository: str) -> Remote:  # noqa: ARG002  there is one
        """Give the path of the bare repository."""
        return Remote(str(self.repository), branch=find_target(self.repository))

    def head_ref(self, key: PullKey) -> str:
        """Give `refs/heads/pr/<name>`."""
        return PREFIX + key.name

    def _read_open(self, key: PullKey, head: str, *, branch: str, target: str) -> ForgePull:
        found = read_branch(self.repository, key.name, head, target)
        people = self._name(found.people)
        author = people[0] if people else ""
        return ForgePull(key, found.title, author, head, branch, contributors=people, url=self.url_of(key))

    def _read_ended(self, known: PullRecord, branch: str, head: str) -> ForgePull:
        """Say how it ended. What was pushed and merged between two looks has authors, too."""
        merged, people = known.merged, known.contributors
        if not merged:
            merged = _find_merge(self.repository, branch, head)
            people = (*people, *self._name(_find_people(self.repository, known, merged, head)))
        return ForgePull(
            key=known.key,
            title=known.title,
            author=known.author,
            head=head,
            branch=known.branch,
            state="merged" if merged else "closed",
            merged=merged,
            contributors=tuple(dict.fromkeys(people)),
            url=self.url_of(known.key),
        )

    def _name(self, people: Iterable[Person]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.users.of_commit(person.name, person.email) for person in people))


@dataclass(frozen=True)
class LocalTalk:
    """Remarks of users, in the store. Our comment is kept with its pull request, where the service puts it."""

    store: Store
    now: Callable[[], datetime]

    def find_comment(self, key: PullKey, marker: str) -> Posted | None:
        """Give our comment, if the pull request has it."""
        with self.store.read() as connection:
            known = find_pull(connection, key)
        if known is None or known.updated is None or not known.comment_ident or not known.comment.startswith(marker):
            return None
        return Posted(known.comment_ident, known.comment_at or known.updated, known.comment)

    def write_comment(self, key: PullKey, body: str, ident: str = "") -> Posted:
        """Say that it can be read from now on: the page shows what the service keeps with the pull request."""
        return Posted(ident or f"page:{key.name}", self.now(), body)

    def list_comments(self, key: PullKey) -> tuple[ForgeComment, ...]:
        """Give what users said."""
        with self.store.read() as connection:
            found = list_remarks(connection, key)
        return tuple(comment_of(remark) for remark in found)

    def list_reviews(self, key: PullKey) -> tuple[ForgeReview, ...]:  # noqa: ARG002  approving is a remark here
        """There are none: the approve button makes a remark with the command."""
        return ()


@dataclass(frozen=True)
class LocalStatuses:
    """Statuses in the store: nobody else sets any."""

    store: Store

    def list_statuses(self, repository: str, commit: str) -> tuple[Status, ...]:
        """Give what is kept."""
        with self.store.read() as connection:
            found = list_statuses(connection, repository, commit)
        return tuple(Status(item.context, item.state, item.description, item.url) for item in found)

    def set_status(self, repository: str, commit: str, status: Status) -> None:
        """Keep a status."""
        with self.store.write() as connection:
            save_status(
                connection, StatusRecord(repository, commit, status.context, status.state, status.description, status.url)
            )


@dataclass(frozen=True)
class LocalPeople:
    """The users of the settings: they may all write, and are in the teams that the settings say."""

    users: Users

    def may_write(self, repository: str, login: str) -> bool:
        """Say whether somebody is a user."""
        return repository == NAME and self.users.find(login) is not None

    def is_in_team(self, repository: str, team: str, login: str) -> bool:
        """Say whether a user has a team."""
        user = self.users.find(login)
        return repository == NAME and user is not None and team in user.teams


def make_local_forge(
    repository: Path, store: Store, users: Users, *, now: Callable[[], datetime], url_of: Callable[[PullKey], str]
) -> Forge:
    """Put the forge on a repository; raise UsageError (exit 1) when there is none. `url_of` gives the address of a page."""
    if run_git_here(repository) != 0:
        raise UsageError(
            f"{repository} is not a Git repository",
            code="U075",
            hint="make one with `git init --bare`, or name another with --repo",
        )
    pulls, talk = LocalPulls(repository, store, users, url_of), LocalTalk(store, now)
    return Forge(NAME, (NAME,), pulls, talk, LocalStatuses(store), LocalPeople(users))


def run_git_here(repository: Path) -> int:
    """Give git's status on a folder: 0 when it is a repository."""
    if not repository.is_dir():
        return 1
    return run_git(repository, ["rev-parse", "--git-dir"], accept=(0, *NO_REF)).status


def find_target(repository: Path) -> str:
    """Name the branch that pull requests go to: what HEAD of the bare repository names, `main` when it names none."""
    # The full name: git would shorten it to `heads/main` beside a tag `main`.
    done = run_git(repository, ["symbolic-ref", "--quiet", "HEAD"], accept=(0, *NO_REF))
    return done.output.decode("utf-8", "replace").strip().removeprefix(HEADS) or "main"


def _find_merge(repository: Path, branch: str, head: str) -> str:
    """Give the commit that brought `head` into a branch: the oldest of its first parents that has it (head itself: fast-forward)."""
    if not head or not find_ref(repository, HEADS + branch):
        return ""
    arguments = ["rev-list", "--first-parent", f"--max-count={MOST_MERGES}", HEADS + branch, "--"]
    chain = run_git(repository, arguments).output.decode("ascii", "replace").split()
    newer, older = -1, len(chain)
    while older - newer > 1:
        middle = (newer + older) // 2
        newer, older = (middle, older) if is_ancestor(repository, head, chain[middle]) else (newer, middle)
    return chain[newer] if newer >= 0 else ""


def _find_people(repository: Path, known: PullRecord, merged: str, head: str) -> Iterator[Person]:
    """Give who wrote any of what a merge brought; who merged is none of them."""
    if not merged:
        return
    done = run_git(repository, ["rev-list", "--parents", "--max-count=1", merged, "--"])
    first, *others = [*done.output.decode("ascii", "replace").split()[1:], ""]
    spans = [(known.target, head)] if merged == head else [(first, other) for other in others if other]
    for base, tip in spans:
        if base:
            yield from read_branch(repository, known.key.name, tip, base).people


def comment_of(remark: RemarkRecord) -> ForgeComment:
    """Give a remark as every forge's comments are."""
    return ForgeComment(f"comment:{remark.ident}", remark.author, remark.body, remark.at)
