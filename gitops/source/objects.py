"""Objects of a repository that a stranger may have made: commits, trees, files, each with its size known before its bytes are read.

Every walk is bounded, a tree is read row by row (a dict of names, as most libraries make it, would hide a second entry of one name), and a
path is found without listing the rest. What is not what it should be is TrustError (exit 6).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dulwich.errors import NotGitRepository, ObjectFormatException
from dulwich.objects import Blob, Commit, ObjectID, Tree
from dulwich.pack import Pack
from dulwich.repo import Repo

from gitops.errors import RemoteError, TrustError
from gitops.model.limits import DEFAULTS, MIB, Limits
from gitops.source.opening import open_repository

MAX_DEPTH = 16
FOLDER_MODE = 0o040000
LOOKED_UP_TREE = MIB
TREE_ROW = 128
COMMIT_BYTES = MIB
KEPT_TREES = 4
MOST_BASES = 5000
SHA_BYTES = 20
OFFSET_DELTA, NAMED_DELTA = 6, 7
HEADER_BYTES, VARINT_BYTES = 64, 10
COMPRESSED_HEAD = 2048  # the tables of a deflate block alone may take 560 bytes
BROKEN = (KeyError, ValueError, AssertionError, IndexError, OSError, ObjectFormatException, zlib.error)


@dataclass(frozen=True)
class Entry:
    """One row of a tree: its mode, and the object that it names."""

    mode: int
    ident: ObjectID


@dataclass(frozen=True)
class Size:
    """How large an object is, and the most that is held at once to read it: what it is a difference to may be larger."""

    own: int
    most: int


class Objects:
    """The objects of one open repository."""

    def __init__(self, repo: Repo, limits: Limits = DEFAULTS) -> None:
        self._repo = repo
        self._limits = limits
        self._sizes: dict[ObjectID, Size] = {}
        self._trees: dict[bytes, dict[str, Entry]] = {}

    def has(self, ident: bytes) -> bool:
        """Say whether the repository has an object."""
        # The library reads a loose object whole to say that it is there.
        return _loose_path(self._repo, ObjectID(ident)).is_file() or ObjectID(ident) in self._repo.object_store

    def commit(self, ident: str) -> Commit:
        """Give a commit; raise RemoteError when there is none."""
        try:
            if self.has(ident.encode()) and self._measure(ObjectID(ident.encode())).most > COMMIT_BYTES:
                raise TrustError(f"the commit {ident[:80]} is larger than {COMMIT_BYTES} bytes", code="T106")
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

    def find(self, tree: bytes, path: str) -> Entry | None:
        """Find one path below a tree, listing nothing else; None when it is not there."""
        *folders, name = path.split("/")
        ident, prefix = tree, ""
        for folder in folders:
            entry = self.rows(ident, prefix).get(folder)
            if entry is None or entry.mode != FOLDER_MODE:
                return None
            ident, prefix = entry.ident, f"{prefix}{folder}/"
        return self.rows(ident, prefix).get(name)

    def rows(self, ident: bytes, prefix: str) -> dict[str, Entry]:
        """Give the rows of one tree of a bounded size by name."""
        if ident not in self._trees:
            rows = dict(self._read_rows(ident, prefix, LOOKED_UP_TREE))
            while len(self._trees) >= KEPT_TREES:
                del self._trees[next(iter(self._trees))]
            self._trees[ident] = rows
        return self._trees[ident]

    def list_tree(self, tree: bytes) -> dict[str, Entry]:
        """List all files of a tree, deepest names joined with `/`."""
        found: dict[str, Entry] = {}
        stack: list[tuple[str, bytes]] = [("", tree)]
        visited = 0
        while stack:
            prefix, ident = stack.pop()
            for name, entry in self._read_rows(ident, prefix, self._limits.release_files * TREE_ROW):
                visited += 1
                self._check_bounds(visited, prefix)
                if entry.mode == FOLDER_MODE:
                    stack.append((f"{prefix}{name}/", entry.ident))
                else:
                    found[prefix + name] = entry
        return found

    def size(self, ident: ObjectID) -> int:
        """Give an object's size without reading it; what is no object of this repository (a submodule) has none."""
        return self._measure(ident).own

    def _measure(self, ident: ObjectID) -> Size:
        if ident not in self._sizes:
            try:
                self._sizes[ident] = _find_size(self._repo, ident) if self.has(ident) else Size(0, 0)
            except BROKEN as error:
                raise _unreadable(ident.decode("ascii", "replace"), error) from error
        return self._sizes[ident]

    def blob(self, path: str, ident: ObjectID, limit: int) -> bytes:
        """Give a file's bytes, at most `limit`: its size is looked at first."""
        if not self.has(ident):
            raise TrustError(f"the content of {path[:200]} is not in the repository", code="T106")
        found = self._measure(ident)
        if found.own > limit or found.most > self._limits.blob_bytes:
            raise TrustError(f"{path[:200]} is larger than {min(limit, self._limits.blob_bytes)} bytes", code="T106")
        try:
            blob = self._repo[ident]
        except ObjectFormatException as error:
            raise _unreadable(path, error) from error
        if not isinstance(blob, Blob):
            raise TrustError(f"{path[:200]} is not a file", code="T106")
        return blob.data

    def _read_rows(self, ident: bytes, prefix: str, limit: int) -> list[tuple[str, Entry]]:
        where = prefix or "the tree"
        try:
            if self._measure(ObjectID(ident)).most > limit:
                raise TrustError(f"{where[:200]} has too many entries", code="T106")
            tree = self._repo[ObjectID(ident)]
            if not isinstance(tree, Tree):
                raise TrustError(f"{where[:200]} is not a folder", code="T106")
            rows = list(_parse_rows(tree.as_raw_string()))
        except (KeyError, ObjectFormatException, ValueError) as error:
            raise _unreadable(where, error) from error
        names = [name for name, _ in rows]
        if len(set(names)) != len(names) or any(name in (b"", b".", b"..") or b"/" in name for name in names) or not rows:
            raise TrustError(f"{where[:200]} has names that no Git writes: empty, twice, or with a slash", code="T106")
        return [(name.decode("utf-8", "backslashreplace"), entry) for name, entry in rows]

    def _check_bounds(self, visited: int, prefix: str) -> None:
        if visited > self._limits.release_files or prefix.count("/") > MAX_DEPTH:
            raise TrustError(f"the release has more than {self._limits.release_files} files, or is too deep", code="T106")


def open_objects(repository: Path, limits: Limits = DEFAULTS) -> tuple[Objects, Repo]:
    """Open a repository; raise RemoteError when it is none."""
    try:
        repo = open_repository(repository)
    except NotGitRepository:
        raise RemoteError(f"{repository} is not a Git repository", code="R020") from None
    return Objects(repo, limits), repo


def _parse_rows(data: bytes) -> Iterator[tuple[bytes, Entry]]:
    """Read rows of an octal mode, a blank, a name, a NUL and 20 bytes (gitformat-tree)."""
    position = 0
    while position < len(data):
        blank = data.index(b" ", position)
        end = data.index(b"\0", blank)
        sha = data[end + 1 : end + 1 + SHA_BYTES]
        if len(sha) != SHA_BYTES:
            raise ValueError("a tree entry is cut short")
        yield data[blank + 1 : end], Entry(int(data[position:blank], 8), ObjectID(sha.hex().encode()))
        position = end + 1 + SHA_BYTES


def _loose_path(repo: Repo, ident: ObjectID) -> Path:
    name = ident.decode("ascii", "replace")
    return Path(repo.object_store.path, name[:2], name[2:])


def _find_size(repo: Repo, ident: ObjectID) -> Size:
    loose = _loose_path(repo, ident)
    if loose.is_file():
        with loose.open("rb") as stream:
            head = zlib.decompressobj().decompress(stream.read(COMPRESSED_HEAD), HEADER_BYTES)
        size = int(head[: head.index(b"\0")].split(b" ")[1])
        return Size(size, size)
    for pack in repo.object_store.packs:
        try:
            offset = pack.index.object_offset(ident)
        except KeyError:
            continue
        return _find_packed_size(pack, offset)
    size = len(repo.object_store.get_raw(ident)[1])  # of an alternate
    return Size(size, size)


def _find_packed_size(pack: Pack, offset: int) -> Size:
    """Follow an object's header in a pack, and those of its bases (gitformat-pack)."""
    sizes: list[int] = []
    with Path(pack.data.path).open("rb") as stream:
        for _ in range(MOST_BASES):
            stream.seek(offset)
            head = stream.read(HEADER_BYTES + SHA_BYTES + COMPRESSED_HEAD)
            kind, size, position = read_header(head)
            if kind == OFFSET_DELTA:
                back, position = _read_back(head, position)
                sizes.append(read_delta_size(head[position:]))
                offset -= back
            elif kind == NAMED_DELTA:
                sizes.append(read_delta_size(head[position + SHA_BYTES :]))
                offset = pack.index.object_offset(ObjectID(head[position : position + SHA_BYTES].hex().encode()))
            else:
                sizes.append(size)
                return Size(sizes[0], max(sizes))
    raise ValueError("a chain of differences without an end")


def read_header(data: bytes) -> tuple[int, int, int]:
    """Read an object's type and size in a pack, and where its content begins."""
    kind, size, position = data[0] >> 4 & 7, data[0] & 15, 1
    while data[position - 1] & 0x80:
        size |= (data[position] & 0x7F) << (4 + 7 * (position - 1))
        position += 1
        if position > VARINT_BYTES:
            raise ValueError("a size without an end")
    return kind, size, position


def read_delta_size(compressed: bytes) -> int:
    """Read the size of what a difference makes: the second of the two numbers that it begins with."""
    data = zlib.decompressobj().decompress(compressed, 2 * VARINT_BYTES)
    position = _skip_number(data, 0)
    end, size = _skip_number(data, position), 0
    for index in range(position, end):
        size |= (data[index] & 0x7F) << (7 * (index - position))
    return size


def _skip_number(data: bytes, position: int) -> int:
    while data[position] & 0x80:
        position += 1
    return position + 1


def _read_back(data: bytes, position: int) -> tuple[int, int]:
    back = data[position] & 0x7F
    while data[position] & 0x80:
        position += 1
        back = (back + 1) << 7 | data[position] & 0x7F
    if back <= 0:
        raise ValueError("an object that is a difference to itself")
    return back, position + 1


def _unreadable(what: str, error: Exception) -> TrustError:
    return TrustError(f"{what[:200]} cannot be read ({type(error).__name__})", code="T106")
