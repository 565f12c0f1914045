"""Repositories: find them, resolve revisions, list commits and refs, keep mirrors.

Takes paths and URLs, gives commit ids and Snapshots. What a remote lacks or a network refuses is RemoteError (exit 7).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dulwich.errors import NotGitRepository

from gitops.errors import ConfigError, RemoteError
from gitops.source.commits import snapshot_commit
from gitops.source.git import GitResult, run_git
from gitops.source.opening import open_repository
from gitops.source.snapshot import Snapshot

BROKEN = 128
ID_LENGTH = 40
HEADS = "refs/heads/"
HEX = frozenset("0123456789abcdef")
EXPRESSION = "~^:@"
# What git says of a name that it does not know; anything else is a failure of its own.
UNKNOWN = ("Needed a single revision", "only has", "unknown revision")


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
        with open_repository(directory, is_discovered=True) as repo:
            root = Path(repo.path).resolve()
    except NotGitRepository:
        raise ConfigError(f"{directory} is not in a Git repository", code="U020", hint="run `git init`, or use -C DIR") from None
    if not (root / ".git").exists():
        return Location(root, "")
    relative = directory.resolve().relative_to(root).as_posix()
    return Location(root, "" if relative == "." else relative)


def resolve(repository: Path, revision: str) -> str:
    """Give the commit id of a branch, tag, id or expression as git users write them; raise RemoteError when there is none.

    Where a branch and a tag have the same name, the branch is meant: git would take the tag, which anybody who may push can make.
    """
    base, rest = _split_revision(revision)
    full = f"{HEADS}{base}{rest}" if _is_branch(repository, base) else revision
    done = _parse_revision(repository, full + "^{commit}")
    found = done.output.decode().strip()
    if done.status == 0 and len(found) >= ID_LENGTH:
        return found
    if done.status == BROKEN and not any(words in done.error for words in UNKNOWN):
        said = next((line for line in done.error.split("\n") if line.startswith("fatal:")), done.error)
        raise RemoteError(f"git cannot look up {revision[:200]!r}: {said.removeprefix('fatal: ')[:400]}", code="R012")
    named = _parse_revision(repository, full).output.decode().strip()
    if named:
        message = f"{revision[:200]!r} names {named[:12]}, which is no commit that this repository has"
        raise RemoteError(message, code="R021", hint="`git fsck` names what is missing")
    raise RemoteError(f"the repository has no revision {revision[:200]!r}", code="R020", hint="fetch it, or check the name")


def _parse_revision(repository: Path, revision: str) -> GitResult:
    return run_git(repository, ["rev-parse", "--verify", "--end-of-options", revision], accept=(0, 1, BROKEN))


def _split_revision(revision: str) -> tuple[str, str]:
    """Part an expression (`main~2`, `main@{1}`, `main:dir`) into the name that it begins with and the rest; gitrevisions(7)."""
    end = next((place for place, mark in enumerate(revision) if mark in EXPRESSION), len(revision))
    return revision[:end], revision[end:]


def _is_branch(repository: Path, name: str) -> bool:
    """Say whether a name is surely meant as a branch: not one of git's own names, not a whole id, and there is one."""
    if not name or name == "HEAD" or name.endswith("_HEAD") or (len(name) >= ID_LENGTH and set(name) <= HEX):
        return False
    done = run_git(repository, ["show-ref", "--verify", "--quiet", "--", HEADS + name], accept=(0, 1, BROKEN))
    return done.status == 0


def find_ref(repository: Path, ref: str) -> str:
    """Give the commit id of a full ref name, or an empty text when there is none."""
    with open_repository(repository) as repo:
        try:
            return repo.refs[ref.encode()].decode()  # pyright: ignore[reportArgumentType]  dulwich's NewType of bytes
        except KeyError:
            return ""


def list_refs(repository: Path, prefix: str) -> dict[str, str]:
    """Give full ref names below a prefix with their commit ids, sorted; what is not UTF-8 in a name becomes U+FFFD."""
    done = run_git(repository, ["for-each-ref", "--format=%(refname)%00%(objectname)", prefix])
    rows = sorted(row.partition(b"\0") for row in done.output.split(b"\n") if row)
    return {name.decode("utf-8", "replace"): ident.decode("ascii") for name, _, ident in rows}


def list_commits(repository: Path, base: str, head: str, most: int = 500) -> tuple[CommitInfo, ...]:
    """List the commits of head that base lacks, newest first, with the addresses that they name."""
    form = "%H%x00%ae%x00%ce%x00%s"
    fields = form.count("%x00") + 1
    span = head if not base else f"{base}..{head}"
    done = run_git(repository, ["log", "-z", f"--max-count={most}", f"--format={form}", "--end-of-options", span])
    parts = done.output.decode("utf-8", "replace").split("\0")
    return tuple(CommitInfo(*parts[start : start + fields]) for start in range(0, len(parts) - fields + 1, fields))


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
