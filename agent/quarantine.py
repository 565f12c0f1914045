"""The quarantine: a bare store of what was fetched and is not believed, as the child that fills it needs it.

Holds objects that a stranger made, so every walk is bounded and every failure to read is a TrustError. A store that has grown by many
packs is made afresh, since it is only a cache: what was accepted lies elsewhere. `gitops.source.release` opens what is in it.
"""

from __future__ import annotations

import shutil
import stat
import zlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dulwich.errors import FileFormatException, NotCommitError, NotGitRepository, NotTreeError
from dulwich.objects import Commit, ObjectID, Tree
from dulwich.repo import Repo

from gitops.errors import TrustError
from gitops.model.graph import shard_of
from gitops.model.limits import DEFAULTS, Limits

MOST_PACKS = 20
MOST_DEPTH = 16
SIGNED = ("signatures/", "approvals/", "trust/")
BROKEN = (FileFormatException, NotCommitError, NotTreeError, KeyError, ValueError, AssertionError, zlib.error, NotGitRepository)
COMPLETE = b"refs/heads/complete"


@contextmanager
def open_store(folder: Path, *, may_rotate: bool = False) -> Generator[Repo]:
    """Open the store, closed at the end (dulwich keeps files open); made afresh when it is missing, or may be and has grown large.

    The agent's own lock lets in one at a time, so a lock of Git that is there is of one that was killed: it would stop every later fetch.
    """
    if (folder / "objects" / "pack").is_dir() and not (may_rotate and _has_grown(folder)):
        for left in (*folder.glob("*.lock"), *(folder / "refs").rglob("*.lock")):
            left.unlink(missing_ok=True)
        repo = Repo(str(folder))
    else:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        repo = Repo.init_bare(str(folder))
    with repo:
        yield repo


def read_commit(repo: Repo, commit: str) -> Commit:
    """Give a commit of the store; raise TrustError when it is not there or not one."""
    try:
        found = repo[commit.encode()]
    except BROKEN as error:
        raise _broken(commit, error) from error
    if not isinstance(found, Commit):
        raise TrustError(f"the branch points to a {found.type_name.decode()}, not to a commit", code="T106")
    return found


def list_entries(repo: Repo, tree: bytes, limits: Limits = DEFAULTS) -> dict[str, tuple[int, ObjectID]]:
    """List a tree's files by path, with mode and object id; raise TrustError for more files or depth than a release may have."""
    found: dict[str, tuple[int, ObjectID]] = {}
    stack: list[tuple[str, bytes]] = [("", tree)]
    visited = 0
    while stack:
        prefix, ident = stack.pop()
        visited += 1
        if len(found) > limits.release_files or visited > limits.release_files or prefix.count("/") > MOST_DEPTH:
            raise TrustError(f"the release has more than {limits.release_files} files, or is too deep", code="T106")
        item = repo[ObjectID(ident)]
        if not isinstance(item, Tree):
            raise TrustError("the release's tree is not one", code="T106")
        for name, mode, child in item.items():
            path = prefix + name.decode("utf-8", "backslashreplace")
            if stat.S_ISDIR(mode):
                stack.append((path + "/", child))
            else:
                found[path] = (mode, child)
    return found


def name_first(paths: Sequence[str], host: str) -> list[str]:
    """Name the files that are needed first: what is signed, who approved, and this host's graph (an empty host: none)."""
    shard = shard_of(host)
    own = (f"hosts/{shard}/index.json", f"hosts/{shard}/{host}.json") if host else ()
    return [path for path in paths if path == "manifest.json" or path in own or path.startswith(SIGNED)]


def _has_grown(folder: Path) -> bool:
    packs = [path.stat().st_size for path in (folder / "objects" / "pack").glob("*.pack")]
    return len(packs) > MOST_PACKS or sum(packs) > DEFAULTS.release_bytes


def _broken(commit: str, error: Exception) -> TrustError:
    return TrustError(f"what was fetched as {commit[:12]} cannot be read ({type(error).__name__})", code="T106")
