"""Snapshots of commits and of bare trees, read from the object store without a checkout.

Takes a repository and an id, gives a Snapshot within the limits. Links and submodules are seen as what they are and never followed;
folders that begin with `.` are left out, as they are of a work tree.
"""

from __future__ import annotations

import stat
from pathlib import Path

from dulwich.objects import Blob, ObjectID, Tree
from dulwich.repo import Repo

from gitops.errors import ConfigError
from gitops.source.opening import need_object, open_repository
from gitops.source.snapshot import Entry, Snapshot, check_limits

KIND_OF_MODE = {0o100644: "file", 0o100664: "file", 0o100755: "executable", 0o120000: "symlink", 0o160000: "submodule"}


def snapshot_commit(repository: Path, commit: str, subpath: str = "") -> Snapshot:
    """Read a commit's tree below `subpath`; the objects stay in the repository and are read on demand."""
    with open_repository(repository) as repo:
        tree_id = _tree_of(repo, commit)
        if subpath:
            tree_id = _descend(repo, tree_id, subpath)
        return _snapshot_tree(repository, commit, repo, tree_id)


def snapshot_tree(repository: Path, tree: str, commit: str, subpath: str = "") -> Snapshot:
    """Read a bare tree id (a merge result that no commit names yet)."""
    with open_repository(repository) as repo:
        tree_id = ObjectID(tree.encode())
        if subpath:
            tree_id = _descend(repo, tree_id, subpath)
        return _snapshot_tree(repository, commit, repo, tree_id)


def _snapshot_tree(repository: Path, commit: str, repo: Repo, tree_id: ObjectID) -> Snapshot:
    entries: dict[str, Entry] = {}
    _walk(repo, tree_id, "", entries)
    contents: dict[str, bytes] = {}

    def read(path: str) -> bytes:
        if path not in contents:
            with open_repository(repository) as reopened:
                contents[path] = _read_blob(reopened, entries[path].ident)
        return contents[path]

    for path, entry in entries.items():
        if entry.kind in ("file", "executable"):
            contents[path] = _read_blob(repo, entry.ident)
    total = sum(len(data) for data in contents.values())
    check_limits(len(entries), total)
    sized = {path: Entry(entry.kind, len(contents.get(path, b"")), entry.ident) for path, entry in entries.items()}
    return Snapshot(commit, sized, read)


def _walk(repo: Repo, tree_id: ObjectID, prefix: str, entries: dict[str, Entry]) -> None:
    stack: list[tuple[ObjectID, str]] = [(tree_id, prefix)]
    while stack:
        current, where = stack.pop()
        tree = need_object(repo, current)
        if not isinstance(tree, Tree):
            raise ConfigError(f"{where or 'the tree'} is not a folder in Git", code="C611")
        for item in tree.iteritems():
            name = _decode_name(item.path, where)
            if stat.S_ISDIR(item.mode):
                if not name.startswith("."):
                    stack.append((item.sha, f"{where}{name}/"))
            else:
                kind = KIND_OF_MODE.get(item.mode, "file")
                entries[where + name] = Entry(kind, 0, item.sha.decode())
                check_limits(len(entries), 0)


def _decode_name(name: bytes, where: str) -> str:
    # No git writes these, but an object may hold them: a path of the project must stay below it.
    if name in (b"", b".", b"..") or b"/" in name:
        raise ConfigError(f"{where or 'the tree'} has a name that no Git writes: {name!r}", code="C611")
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"a file name in {where or '.'} is not UTF-8: {name!r}; rename it", code="C612") from None


def _read_blob(repo: Repo, ident: str) -> bytes:
    found = need_object(repo, ObjectID(ident.encode()))
    if not isinstance(found, Blob):
        raise ConfigError(f"object {ident} is not a file", code="C611")
    return found.data


def _tree_of(repo: Repo, commit: str) -> ObjectID:
    try:
        found = repo[ObjectID(commit.encode())]
    except KeyError:
        raise ConfigError(f"the repository has no commit {commit}", code="C613") from None
    tree = getattr(found, "tree", None)
    if not isinstance(tree, bytes):
        raise ConfigError(f"{commit} is not a commit", code="C613")
    return ObjectID(tree)


def _descend(repo: Repo, tree_id: ObjectID, subpath: str) -> ObjectID:
    for part in subpath.split("/"):
        tree = need_object(repo, tree_id)
        if not isinstance(tree, Tree) or part.encode() not in tree:
            raise ConfigError(f"the commit has no folder {subpath}", code="C614")
        tree_id = tree[part.encode()][1]
    if not isinstance(need_object(repo, tree_id), Tree):
        raise ConfigError(f"{subpath} is a file in the commit, expected the project's folder", code="C614")
    return tree_id
