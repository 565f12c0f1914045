"""Walk to a path without being led astray: each component is opened relative to its parent's descriptor, links not followed.

A link in a parent is followed only where nobody but root (or the running user) could have put it; absolute links restart at the
root, so that `--root` is never left. Directories are kept open for a while, since many managed paths share them.
"""

from __future__ import annotations

import os
import stat
from typing import Dict, List, Tuple, Union

from gitops.errors import HostError

MAX_LINKS = 40
MAX_OPEN = 200
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
WRITABLE_BY_OTHERS = 0o022


class MissingParentsError(HostError):
    """Parents are missing; `parents` names them, outermost first."""

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

    def parent_of(self, path: str) -> Tuple[int, str]:
        """Give an open descriptor of the directory that holds a path, and the last component."""
        parent, _, name = path.rpartition("/")
        return self.directory(parent), name

    def directory(self, path: str) -> int:
        """Give an open descriptor of a directory; raise MissingParentsError or UnsafePathError."""
        found = self._open.get(path)
        if found is None:
            found = self._walk(path)
            if len(self._open) >= MAX_OPEN:
                self.close()
            self._open[path] = found
        return found

    def forget(self) -> None:
        """Drop what is open, after directories were made or removed."""
        self.close()

    def close(self) -> None:
        """Close all descriptors."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def _walk(self, path: str) -> int:
        links = 0
        parts = [part for part in path.split("/") if part]
        position = 0
        current = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            while position < len(parts):
                step = self._step(current, parts, position)
                if isinstance(step, int):
                    os.close(current)
                    current = step
                    position += 1
                    continue
                links += 1
                if links > MAX_LINKS:
                    raise UnsafePathError(f"too many links on the way to {path}")
                parts, position = step, 0
                os.close(current)
                current = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except BaseException:
            os.close(current)
            raise
        return current

    def _step(self, current: int, parts: List[str], position: int) -> Union[int, List[str]]:
        name = parts[position]
        try:
            return os.open(name, DIRECTORY, dir_fd=current)
        except FileNotFoundError:
            missing = ["/" + "/".join(parts[: count + 1]) for count in range(position, len(parts))]
            raise MissingParentsError(tuple(missing)) from None
        except OSError as error:
            info = os.lstat(name, dir_fd=current)
            here = "/" + "/".join(parts[: position + 1])
            if not stat.S_ISLNK(info.st_mode):
                raise UnsafePathError(f"{here} is not a directory that can be opened: {error.strerror}") from error
        return self._follow(current, parts, position, info)

    def _follow(self, current: int, parts: List[str], position: int, info: os.stat_result) -> List[str]:
        here = "/" + "/".join(parts[: position + 1])
        folder = os.fstat(current)
        trusted = (0, os.geteuid())
        if info.st_uid not in trusted or folder.st_uid not in trusted or folder.st_mode & WRITABLE_BY_OTHERS:
            raise UnsafePathError(f"{here} is a link that others could have put there; it is not followed")
        target = os.readlink(parts[position], dir_fd=current)
        base = [] if target.startswith("/") else parts[:position]
        resolved: List[str] = []
        for part in [*base, *target.split("/")]:
            if part == "..":
                resolved = resolved[:-1]
            elif part not in ("", "."):
                resolved.append(part)
        return [*resolved, *parts[position + 1 :]]
