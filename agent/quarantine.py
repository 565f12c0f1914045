"""The quarantine: a bare store of what was fetched and is not believed, as the child that fills it needs it.

Holds objects that a stranger made, so every walk is bounded and every failure to read is a TrustError. A store that has grown by many
packs is made afresh, since it is only a cache: what was accepted lies elsewhere. `gitops.source.release` opens what is in it.
"""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from dulwich.errors import FileFormatException, NotCommitError, NotGitRepository, NotTreeError
from dulwich.objects import Commit
from dulwich.repo import Repo

from gitops.errors import TrustError
from gitops.model.graph import shard_of
from gitops.model.limits import DEFAULTS
from gitops.source.objects import FOLDER_MODE, Objects

MOST_PACKS = 20
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


def name_signed(objects: Objects, tree: bytes) -> list[str]:
    """Name what says whether a release is to be believed: manifest, signatures, trust roots; raise TrustError for too many of them."""
    found = ["manifest.json"]
    for folder in ("signatures", "trust"):
        found += list_folder(objects, tree, folder)
    for name in [path for path in found if path.endswith(".sigs")]:
        found += list_folder(objects, tree, name)
    if len(found) > DEFAULTS.signature_files:
        raise TrustError(f"the release has more than {DEFAULTS.signature_files} signatures and trust roots", code="T106")
    return [path for path in found if not path.endswith(".sigs")]


def name_own(host: str) -> list[str]:
    """Name what of a release is one host's own."""
    shard = shard_of(host)
    return [f"hosts/{shard}/index.json", f"hosts/{shard}/{host}.json"]


def list_folder(objects: Objects, tree: bytes, folder: str) -> list[str]:
    """List the names in one folder of a release, with the folder's own."""
    entry = objects.find(tree, folder)
    if entry is None or entry.mode != FOLDER_MODE:
        return []
    return [f"{folder}/{name}" for name in objects.rows(entry.ident, f"{folder}/")]


def _has_grown(folder: Path) -> bool:
    packs = [path.stat().st_size for path in (folder / "objects" / "pack").glob("*.pack")]
    return len(packs) > MOST_PACKS or sum(packs) > DEFAULTS.release_bytes


def _broken(commit: str, error: Exception) -> TrustError:
    return TrustError(f"what was fetched as {commit[:12]} cannot be read ({type(error).__name__})", code="T106")
