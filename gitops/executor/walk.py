"""Walk to a path without being led astray: each component is opened relative to its parent's descriptor, links not followed.

A link in a parent is followed only where nobody but root (or the running user) could have put it; absolute links restart at the
root and `..` in a link never climbs over it, so that `--root` is never left. Directories are kept open for a while, since many
managed paths share them: a descriptor that was given is valid until the next call.
"""

from __future__ import annotations

import os
import stat
from typing import Dict, List, Tuple

from gitops.errors import HostError

MAX_LINKS = 40
MAX_OPEN = 200
MAX_DEPTH = 200
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Elsewhere than on Linux a folder on the way must be readable.
SEARCH_ONLY: int = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
WRITABLE_BY_OTHERS = 0o022


class MissingParentsError(HostError):
    """Parents are missing; `parents` names them as the config would, outermost first."""

    def __init__(self, parents: Tuple[str, ...]) -> None:
        super().__init__(f"the directory {parents[0]} does not exist", code="E201")
        self.parents = parents


class UnsafePathError(HostError):
    """A component may not be walked through."""

    code = "E202"


class Walker:
    """Opens parents below one root."""

    def __init__(self, root: str) -> None:
        self._root = root or "/"
        self._open: Dict[str, int] = {}
        self.generation = 0  # grows whenever what was open is let go

    def parent_of(self, path: str) -> Tuple[int, str]:
        """Give an open descriptor of the directory that holds a path, and the last component."""
        parent, _, name = path.rpartition("/")
        return self.directory(parent), name

    def directory(self, path: str) -> int:
        """Give an open descriptor of a directory; raise MissingParentsError or UnsafePathError."""
        found = self._open.get(path)
        if found is None:
            found = _Walk(self._root, path).run()
            if len(self._open) >= MAX_OPEN:
                self.close()
            self._open[path] = found
        return found

    def forget(self) -> None:
        """Drop what is open, after directories or links may have changed."""
        self.close()

    def close(self) -> None:
        """Close all descriptors."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()
        self.generation += 1


class _Walk:
    """One walk: the directories opened so far, and the components still to come (the next one last)."""

    def __init__(self, root: str, path: str) -> None:
        self._path = path
        self._parts = [part for part in path.split("/") if part]
        self._coming = self._parts[::-1]
        self._own = len(self._parts)
        self._links = 0
        self._opened = [os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]

    def run(self) -> int:
        """Walk to the end; give the last directory's descriptor and close the others."""
        try:
            while self._coming:
                self._step(self._coming.pop())
            return self._opened.pop()
        finally:
            for descriptor in self._opened:
                os.close(descriptor)

    def _step(self, name: str) -> None:
        if name == "..":
            if len(self._opened) > 1:
                os.close(self._opened.pop())
            return
        if len(self._opened) > MAX_DEPTH:
            raise UnsafePathError(f"{self._path} is deeper than {MAX_DEPTH} directories")
        try:
            self._opened.append(_open_directory(name, self._opened[-1]))
        except FileNotFoundError:
            raise self._missing() from None
        except OSError as error:
            self._follow(name, error)

    def _missing(self) -> HostError:
        left = len(self._coming) + 1
        if left > self._own:
            return UnsafePathError(f"{self._here()} is a link to something that does not exist")
        first = len(self._parts) - left
        return MissingParentsError(tuple("/" + "/".join(self._parts[: count + 1]) for count in range(first, len(self._parts))))

    def _here(self) -> str:
        """Give the path, as the config writes it, of the component that is being walked."""
        done = len(self._parts) - min(len(self._coming), self._own)
        return "/" + "/".join(self._parts[:done])

    def _follow(self, name: str, error: OSError) -> None:
        folder = self._opened[-1]
        try:
            info = os.lstat(name, dir_fd=folder)
        except OSError as reason:
            raise UnsafePathError(f"{self._here()} cannot be looked at: {reason.strerror}") from reason
        if not stat.S_ISLNK(info.st_mode):
            raise UnsafePathError(f"{self._here()} is not a directory that can be opened: {error.strerror}") from error
        self._links += 1
        if self._links > MAX_LINKS:
            raise UnsafePathError(f"too many links on the way to {self._path}")
        if info.st_uid not in (0, os.geteuid()) or is_open_to_others(os.fstat(folder)):
            raise UnsafePathError(f"{self._here()} is a link that others could have put there; it is not followed")
        target = os.readlink(name, dir_fd=folder)
        if target.startswith("/"):
            while len(self._opened) > 1:
                os.close(self._opened.pop())
        self._own = min(self._own, len(self._coming))
        self._coming.extend(part for part in reversed(target.split("/")) if part not in ("", "."))


def is_open_to_others(folder: os.stat_result) -> bool:
    """Say whether anyone but root and the running user can put things into a directory."""
    return folder.st_uid not in (0, os.geteuid()) or bool(folder.st_mode & WRITABLE_BY_OTHERS)


def _open_directory(name: str, folder: int) -> int:
    """Open for reading, or, where only searching is allowed, for walking through."""
    try:
        return os.open(name, DIRECTORY, dir_fd=folder)
    except PermissionError:
        return os.open(name, SEARCH_ONLY, dir_fd=folder)


__all__: List[str] = ["MissingParentsError", "UnsafePathError", "Walker", "is_open_to_others"]
