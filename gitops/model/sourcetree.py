"""SourceTree: what config reads from, whether a commit or a work tree; the noun that source gives and config takes."""

from __future__ import annotations

from typing import Protocol, Sequence


class SourceTree(Protocol):
    """An immutable view of one tree. Paths are relative to the project, POSIX, sorted; errors are ConfigError."""

    def paths(self) -> Sequence[str]:
        """List every file, link and submodule, sorted by code point."""
        ...

    def kind(self, path: str) -> str:
        """Give `file`, `executable`, `symlink` or `submodule`; raise KeyError for a path that is not there."""
        ...

    def size(self, path: str) -> int:
        """Give the size in bytes."""
        ...

    def read(self, path: str) -> bytes:
        """Give a file's bytes; raise KeyError for a path that is not there."""
        ...
