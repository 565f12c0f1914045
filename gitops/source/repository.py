"""Repositories: find them, resolve revisions, list commits and refs, keep mirrors.

Takes paths and URLs, gives commit ids and Snapshots. What a remote lacks or a network refuses is RemoteError (exit 7).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dulwich.errors import NotGitRepository
from dulwich.repo import Repo

from gitops.errors import ConfigError, RemoteError
from gitops.source.commits import snapshot_commit
from gitops.source.git import run_git
from gitops.source.snapshot import Snapshot

ID_LENGTH = 40


@dataclass(frozen=True)
class Location:
    """Where a project lies: its repository's root (or the bare folder) and the path of the project below it."""

    root: Path
    subpath: str


@dataclass(frozen=True)
class CommitInfo:
    """Who made a commit, as it says itself."""

    ident: str
    author: str
    committer: str
    subject: str


def locate(directory: Path) -> Location:
    """Find the repository that a project folder lies in; raise ConfigError when there is none."""
    try:
        with Repo.discover(str(directory)) as repo:
            root = Path(repo.path).resolve()
    except NotGitRepository:
        raise ConfigError(f"{directory} is not in a Git repository", code="U020", hint="run `git init`, or use -C DIR") from None
    if not (root / ".git").exists():
        return Location(root, "")
    relative = directory.resolve().relative_to(root).as_posix()
    return Location(root, "" if relative == "." else relative)


def resolve(repository: Path, revision: str) -> str:
    """Give the commit id of a branch, tag, id or expression as git users write them; raise RemoteError when there is none."""
    done = run_git(
        repository,
        ["rev-parse", "--verify", "--quiet", "--end-of-options", revision + "^{commit}"],
        accept=(0, 1, 128),
    )
    found = done.output.decode().strip()
    if done.status != 0 or len(found) < ID_LENGTH:
        raise RemoteError(f"the repository has no revision {revision!r}", code="R020", hint="fetch it, or check the name")
    return found


def find_ref(repository: Path, ref: str) -> str:
    """Give the commit id of a full ref name, or an empty text when there is none."""
    with Repo(str(repository)) as repo:
        try:
            return repo.refs[ref.encode()].decode()  # pyright: ignore[reportArgumentType]  dulwich's NewType of bytes
        except KeyError:
            return ""


def list_refs(repository: Path, prefix: str) -> dict[str, str]:
    """Give full ref names below a prefix with their commit ids, sorted."""
    done = run_git(repository, ["for-each-ref", "--format=%(refname) %(objectname)", prefix])
    # A name may hold what Python takes for the end of a line (U+2028), but never a newline.
    rows = sorted(row for row in done.output.decode("utf-8", "replace").split("\n") if row)
    return {name: ident for name, _, ident in (row.rpartition(" ") for row in rows)}


def list_commits(repository: Path, base: str, head: str, most: int = 500) -> tuple[CommitInfo, ...]:
    """List the commits of head that base lacks, newest first, with the addresses that they name."""
    form = "%H%x00%ae%x00%ce%x00%s"
    span = head if not base else f"{base}..{head}"
    done = run_git(repository, ["log", f"--max-count={most}", f"--format={form}", "--end-of-options", span])
    rows = [line.split("\0") for line in done.output.decode("utf-8", "replace").splitlines()]
    return tuple(CommitInfo(row[0], row[1], row[2], row[3]) for row in rows if len(row) >= 4)  # noqa: PLR2004  four fields


def is_ancestor(repository: Path, older: str, newer: str) -> bool:
    """Say whether one commit is reachable from another."""
    done = run_git(repository, ["merge-base", "--is-ancestor", older, newer], accept=(0, 1, 128))
    return done.status == 0


def update_mirror(
    url: str, mirror: Path, refs: Sequence[str] = ("+refs/*:refs/*",), *, access: Mapping[str, str] | None = None
) -> None:
    """Make or refresh a bare mirror of a remote; raise RemoteError when it cannot be reached.

    `access` goes into the environment of the git that talks to it: credentials, which never stand in arguments.
    """
    if not (mirror / "HEAD").exists():
        mirror.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(mirror, ignore_errors=True)
        run_git(mirror.parent, ["init", "-q", "--bare", str(mirror)])
    arguments = ["fetch", "-q", "--prune", "--no-write-fetch-head", "--end-of-options", url, *refs]
    run_git(mirror, arguments, environment=access)


def read_project(repository: Path, revision: str, subpath: str = "") -> Snapshot:
    """Give the snapshot of a revision."""
    return snapshot_commit(repository, resolve(repository, revision), subpath)
