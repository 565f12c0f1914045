"""A release as it lies in a repository: the tree of a commit opened as a Candidate, its history, its commit signature.

Takes a repository and a commit, believes nothing: every entry has its mode (links, submodules and odd modes too) and its size, walks are
bounded, bytes are read when asked for. What is not a release tree at all is TrustError (exit 6); what is signed is `gitops.trust`'s matter.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dulwich.objects import Commit

from gitops.model.candidate import Candidate, Listed, find_limit
from gitops.model.limits import DEFAULTS, Limits
from gitops.source.objects import FOLDER_MODE, Entry, Objects, open_objects


@dataclass(frozen=True)
class CommitSignature:
    """What a commit's signature is over, and the signature (empty: unsigned)."""

    payload: bytes
    armor: str


def open_release(repository: Path, commit: str, limits: Limits = DEFAULTS) -> Candidate:
    """Open a commit's whole tree; raise RemoteError when the commit is not there.

    A path is found without listing the rest, so that a signature can be checked before anything else is looked at; the whole is listed when
    it is asked for, within bounds, and a tree that no Git writes is TrustError then. A size is known before bytes are read, and no file is
    read that is larger than its name may hold.
    """
    return next(open_releases(repository, [commit], limits))


def open_releases(repository: Path, commits: Iterable[str], limits: Limits = DEFAULTS) -> Iterator[Candidate]:
    """Open several commits of one repository, whose files are opened once for all of them."""
    objects = _open(repository, limits)
    for commit in commits:
        yield _make_candidate(objects, commit, limits)


def _make_candidate(objects: Objects, commit: str, limits: Limits) -> Candidate:
    listing = _Listing(objects, objects.commit(commit).tree)
    return Candidate(listing, lambda path: objects.blob(path, listing.find(path).ident, find_limit(path, limits)))


def list_history(repository: Path, commit: str, most: int = DEFAULTS.chain_length) -> tuple[str, ...]:
    """List a release commit's first parents that the repository has, newest first, at most `most`."""
    objects = _open(repository)
    found: list[str] = []
    parents = objects.commit(commit).parents
    while parents and len(found) < most and objects.has(parents[0]):
        found.append(parents[0].decode())
        parents = objects.commit(found[-1]).parents
    return tuple(found)


def read_commit_signature(repository: Path, commit: str) -> CommitSignature:
    """Give what the `gpgsig` header signs, as Git defines it: the commit without that header."""
    found = _open(repository).commit(commit)
    signature = found.gpgsig
    if not signature:
        return CommitSignature(found.as_raw_string(), "")
    bare = Commit.from_string(found.as_raw_string())
    bare.gpgsig = None
    return CommitSignature(bare.as_raw_string(), signature.decode("ascii", "replace"))


class _Listing(Mapping[str, Listed]):
    """Paths with mode and size; found one by one, listed whole only for who goes through them."""

    def __init__(self, objects: Objects, tree: bytes) -> None:
        self._objects = objects
        self._tree = tree
        self._all: dict[str, Entry] | None = None

    def find(self, path: str) -> Entry:
        """Give an entry; raise KeyError when there is none."""
        entry = self._all.get(path) if self._all is not None else self._objects.find(self._tree, path)
        if entry is None or entry.mode == FOLDER_MODE:
            raise KeyError(path)
        return entry

    def __getitem__(self, path: str) -> Listed:
        entry = self.find(path)
        return Listed(f"{entry.mode:06o}", self._objects.size(entry.ident))

    def __iter__(self) -> Iterator[str]:
        return iter(self._list())

    def __len__(self) -> int:
        return len(self._list())

    def _list(self) -> dict[str, Entry]:
        if self._all is None:
            self._all = self._objects.list_tree(self._tree)
        return self._all


def _open(repository: Path, limits: Limits = DEFAULTS) -> Objects:
    """Open a repository that is closed with the last of what reads from it."""
    objects, repo = open_objects(repository, limits)
    weakref.finalize(objects, repo.close)
    return objects
