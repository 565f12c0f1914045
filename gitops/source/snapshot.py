"""Snapshot: an immutable view of one tree, from a commit (see `commits.py`) or from a work tree.

Takes a folder, gives paths and bytes within the limits. Links are seen as what they are and never followed. A work tree is read with
its untracked files, since people validate before they commit; folders that begin with `.` are left out. Ignore rules are not
consulted: what lies in the project is the project. Imports no Git: a compile from a work tree needs none.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gitops.errors import ConfigError
from gitops.model.limits import DEFAULTS


@dataclass(frozen=True)
class Entry:
    """One path: its kind, its size and, from Git, its object id."""

    kind: str
    size: int
    ident: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A tree that can be read. `commit` is empty for a work tree; `read_entry` gives the bytes of a path."""

    commit: str
    entries: Mapping[str, Entry]
    read_entry: Callable[[str], bytes] = field(repr=False)

    def paths(self) -> Sequence[str]:
        """List all paths, sorted."""
        return sorted(self.entries)

    def kind(self, path: str) -> str:
        """Give the kind of a path."""
        return self.entries[path].kind

    def size(self, path: str) -> int:
        """Give the size of a path in bytes."""
        return self.entries[path].size

    def read(self, path: str) -> bytes:
        """Give a file's bytes; raise ConfigError for a link or submodule."""
        if self.entries[path].kind not in ("file", "executable"):
            raise ConfigError(f"{path} is a {self.entries[path].kind}, expected a file", code="C610")
        return self.read_entry(path)


def snapshot_folder(folder: Path) -> Snapshot:
    """Read a work tree: every file as it is now, untracked ones too."""
    entries: dict[str, Entry] = {}
    total = 0
    for base, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith("."))
        links = [name for name in names if (Path(base) / name).is_symlink()]
        for name in [*files, *links]:
            path = Path(base) / name
            relative = _check_name(path.relative_to(folder).as_posix())
            entry = _entry_of_file(path)
            if entry is not None:
                entries[relative] = entry
                total += entry.size
                check_limits(len(entries), total)
    return Snapshot("", entries, lambda path: (folder / path).read_bytes())


def _check_name(path: str) -> str:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigError(f"a file name is not UTF-8: {os.fsencode(path)!r}; rename it", code="C612") from None
    return path


def _entry_of_file(path: Path) -> Entry | None:
    info = path.lstat()
    if stat.S_ISLNK(info.st_mode):
        return Entry("symlink", 0)
    if not stat.S_ISREG(info.st_mode):
        return None
    return Entry("executable" if info.st_mode & 0o100 else "file", info.st_size)


def check_limits(files: int, size: int) -> None:
    """Refuse a tree of too many files or bytes."""
    if files > DEFAULTS.source_files:
        raise ConfigError(f"the project has more than {DEFAULTS.source_files} files", code="C601")
    if size > DEFAULTS.source_bytes:
        raise ConfigError(
            f"the project's files are larger than {DEFAULTS.source_bytes // 2**20} MiB together",
            code="C602",
            hint="keep large binaries outside the project",
        )
