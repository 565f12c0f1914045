"""A release as it lies in a repository: the tree of a commit opened as a Candidate, its history, its commit signature.

Takes a repository and a commit, believes nothing: every entry is listed with its mode (links, submodules and odd modes too), walks are
bounded, bytes are read when asked for. What is not a release tree at all is TrustError (exit 6); what is signed is `gitops.trust`'s matter.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dulwich.errors import NotGitRepository, ObjectFormatException
from dulwich.objects import Blob, Commit, ObjectID, Tree

from gitops.errors import RemoteError, TrustError
from gitops.model.candidate import Candidate, Listed
from gitops.model.limits import DEFAULTS, Limits
from gitops.source.opening import open_repository

MAX_DEPTH = 16
FOLDER_MODE = 0o040000


@dataclass(frozen=True)
class CommitSignature:
    """What a commit's signature is over, and the signature (empty: unsigned)."""

    payload: bytes
    armor: str


def open_release(repository: Path, commit: str, limits: Limits = DEFAULTS) -> Candidate:
    """Open a commit's whole tree; raise TrustError for a tree that no Git writes, RemoteError when the commit is not there.

    Sizes and bytes are read on demand; reading a path that is not a file, or one larger than `blob_bytes`, raises TrustError.
    """
    objects = _Objects(repository, limits)
    entries = objects.list_tree(objects.commit(commit).tree)
    return Candidate(_Listing(objects, entries), lambda path: objects.blob(path, entries[path].ident))


def open_signed(repository: Path, commit: str) -> Candidate:
    """Open only what the chain's checks read: manifest, signatures, approvals; all in memory, so that a long chain keeps no files open."""
    candidate = open_release(repository, commit)
    paths = [path for path in candidate.listing if path == "manifest.json" or path.startswith(("signatures/", "approvals/"))]
    contents = {path: candidate.read(path) for path in paths}
    return Candidate({path: candidate.listing[path] for path in paths}, contents.__getitem__)


def list_history(repository: Path, commit: str, most: int = DEFAULTS.chain_length) -> tuple[str, ...]:
    """List a release commit's first parents that the repository has, newest first, at most `most`."""
    objects = _Objects(repository, DEFAULTS)
    found: list[str] = []
    parents = objects.commit(commit).parents
    while parents and len(found) < most and objects.has(parents[0]):
        found.append(parents[0].decode())
        parents = objects.commit(found[-1]).parents
    return tuple(found)


def read_commit_signature(repository: Path, commit: str) -> CommitSignature:
    """Give what the `gpgsig` header signs, as Git defines it: the commit without that header."""
    found = _Objects(repository, DEFAULTS).commit(commit)
    signature = found.gpgsig
    if not signature:
        return CommitSignature(found.as_raw_string(), "")
    bare = Commit.from_string(found.as_raw_string())
    bare.gpgsig = None
    return CommitSignature(bare.as_raw_string(), signature.decode("ascii", "replace"))


@dataclass(frozen=True)
class _Entry:
    mode: int
    ident: ObjectID


class _Listing(Mapping[str, Listed]):
    """Paths with mode and size; a size is looked up when it is asked for, since a chain walk needs only a few."""

    def __init__(self, objects: _Objects, entries: Mapping[str, _Entry]) -> None:
        self._objects = objects
        self._entries = entries

    def __getitem__(self, path: str) -> Listed:
        entry = self._entries[path]
        return Listed(f"{entry.mode:06o}", self._objects.size(entry))

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class _Objects:
    """One open repository, closed with the last candidate that reads from it."""

    def __init__(self, repository: Path, limits: Limits) -> None:
        try:
            self._repo = open_repository(repository)
        except NotGitRepository:
            raise RemoteError(f"{repository} is not a Git repository", code="R020") from None
        self._limits = limits
        self._sizes: dict[ObjectID, int] = {}
        weakref.finalize(self, self._repo.close)

    def has(self, ident: bytes) -> bool:
        """Say whether the repository has an object."""
        return ObjectID(ident) in self._repo.object_store

    def commit(self, ident: str) -> Commit:
        """Give a commit; raise RemoteError when there is none."""
        try:
            found = self._repo[ident.encode()]
        except (KeyError, ValueError, AssertionError):
            raise RemoteError(
                f"the repository has no commit {ident[:80]}", code="R020", hint="fetch it, or check the name"
            ) from None
        except ObjectFormatException as error:
            raise _unreadable(ident, error) from error
        if not isinstance(found, Commit):
            raise TrustError(f"{ident[:80]} is not a commit", code="T106")
        return found

    def list_tree(self, tree: bytes) -> dict[str, _Entry]:
        """List all files of a tree, deepest names joined with `/`."""
        found: dict[str, _Entry] = {}
        stack: list[tuple[str, bytes]] = [("", tree)]
        visited = 0
        while stack:
            prefix, ident = stack.pop()
            rows = self._rows(ident, prefix)
            for name, entry in rows:
                visited += 1
                self._check_bounds(visited, prefix)
                if entry.mode == FOLDER_MODE:
                    stack.append((f"{prefix}{name}/", entry.ident))
                else:
                    found[prefix + name] = entry
        return found

    def size(self, entry: _Entry) -> int:
        """Give a file's size; what is no file of this repository (a submodule) has none."""
        if entry.ident not in self._sizes:
            self._sizes[entry.ident] = len(self._raw(entry.ident)) if self.has(entry.ident) else 0
        return self._sizes[entry.ident]

    def blob(self, path: str, ident: ObjectID) -> bytes:
        """Give a file's bytes."""
        try:
            found = self._repo[ident]
        except KeyError:
            raise TrustError(f"the content of {path[:200]} is not in the repository", code="T106") from None
        except ObjectFormatException as error:
            raise _unreadable(path, error) from error
        if not isinstance(found, Blob):
            raise TrustError(f"{path[:200]} is not a file", code="T106")
        data = found.data
        if len(data) > self._limits.blob_bytes:
            raise TrustError(f"{path[:200]} is larger than {self._limits.blob_bytes} bytes", code="T106")
        return data

    def _raw(self, ident: ObjectID) -> bytes:
        return self._repo.object_store.get_raw(ident)[1]

    def _rows(self, ident: bytes, prefix: str) -> list[tuple[str, _Entry]]:
        where = prefix or "the tree"
        try:
            tree = self._repo[ObjectID(ident)]
            if not isinstance(tree, Tree):
                raise TrustError(f"{where[:200]} is not a folder", code="T106")
            # One pass over the raw rows: a dict of names, as most libraries make it, would hide a second entry of the same name.
            rows = [(item.path, _Entry(item.mode, item.sha)) for item in _parse_rows(tree.as_raw_string())]
        except (KeyError, ObjectFormatException, ValueError) as error:
            raise _unreadable(where, error) from error
        names = [name for name, _ in rows]
        if len(set(names)) != len(names) or any(name in (b"", b".", b"..") or b"/" in name for name in names) or not rows:
            raise TrustError(f"{where[:200]} has names that no Git writes: empty, twice, or with a slash", code="T106")
        return [(name.decode("utf-8", "backslashreplace"), entry) for name, entry in rows]

    def _check_bounds(self, visited: int, prefix: str) -> None:
        if visited > self._limits.release_files or prefix.count("/") > MAX_DEPTH:
            raise TrustError(f"the release has more than {self._limits.release_files} files, or is too deep", code="T106")


@dataclass(frozen=True)
class _Row:
    path: bytes
    mode: int
    sha: ObjectID


def _parse_rows(data: bytes) -> Iterator[_Row]:
    """Read rows of an octal mode, a blank, a name, a NUL and 20 bytes (gitformat-tree)."""
    position = 0
    while position < len(data):
        blank = data.index(b" ", position)
        end = data.index(b"\0", blank)
        sha = data[end + 1 : end + 21]
        if len(sha) != 20:  # noqa: PLR2004  SHA-1
            raise ValueError("a tree entry is cut short")
        yield _Row(data[blank + 1 : end], int(data[position:blank], 8), ObjectID(sha.hex().encode()))
        position = end + 21


def _unreadable(what: str, error: Exception) -> TrustError:
    return TrustError(f"{what[:200]} cannot be read ({type(error).__name__})", code="T106")
