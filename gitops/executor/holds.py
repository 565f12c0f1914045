"""What keeps a path as it is, whoever asks: mounts, file systems that are mounted read-only, immutable and append-only flags.

Takes open folders and what lies in them, gives words or nothing; changes nothing. What the kernel does not tell (no /proc, a file that may
not be opened, a file system without flags) keeps nothing: then the attempt itself says so.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import struct
import sys
from dataclasses import dataclass
from typing import Callable, Dict, FrozenSet, List, Optional, Tuple

from gitops.executor.walk import Walker

TABLE = "/proc/self/mountinfo"
MOUNT_POINT, LEAST_FIELDS = 4, 6  # see proc(5)
ESCAPE = rb"\\([0-7]{3})"
_OTHER_LAYOUT = os.uname().machine.startswith(("ppc", "mips", "sparc", "alpha"))  # of ioctl numbers, see asm/ioctl.h
GET_FLAGS = (2 << (29 if _OTHER_LAYOUT else 30)) | (struct.calcsize("l") << 16) | (ord("f") << 8) | 1  # FS_IOC_GETFLAGS
IMMUTABLE_FLAG, APPEND_FLAG = 0x10, 0x20
ANY_MAY_RUN = 0o111
OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

READ_ONLY = "the file system here is mounted read-only; mount it writable first"
IMMUTABLE = "it is immutable; `chattr -i` takes that away"
APPEND_ONLY = "it is append-only; `chattr -a` takes that away"
IN_IMMUTABLE = "its folder is immutable, so nothing in it can be made, replaced or removed; `chattr -i` takes that away"
IN_APPEND_ONLY = "its folder is append-only, so nothing in it can be replaced or removed; `chattr -a` takes that away"
MOUNTED = (
    "it is a mount point, so it can be neither replaced nor removed; unmount it, or change what is mounted where that comes from"
)


@dataclass(frozen=True)
class Folder:
    """An open folder: its name as the kernel has it (empty: not told), and why no name in it can change."""

    real: str
    pinned: str


class Holds:
    """The mount table, read when it is first needed, and what was found of folders while the walker keeps them open."""

    def __init__(self, walker: Walker) -> None:
        self._walker = walker
        self._folders: Dict[str, Folder] = {}
        self._generation = walker.generation
        self._mounts: Optional[FrozenSet[str]] = None

    def forget_mounts(self) -> None:
        """Read the mount table again when it is needed: a program may have mounted something."""
        self._mounts = None

    def pin_of(self, path: str) -> str:
        """Say why nothing can be made at a path, or what is there be neither replaced nor removed; its folder is there."""
        above, _, name = path.rpartition("/")
        folder = self._look_at(above)
        return MOUNTED if self._is_mount_point(folder, name) else folder.pinned

    def hold_of(
        self, path: str, parent: int, info: os.stat_result, read: Optional[Callable[[int], None]] = None
    ) -> Tuple[str, bool]:
        """Say why neither content nor metadata of a file or directory can change, and whether it has capabilities. `read` gets the open
        thing; that it cannot be read is no matter here.
        """
        if not stat.S_ISREG(info.st_mode) and not stat.S_ISDIR(info.st_mode):
            return "", False
        above, _, name = path.rpartition("/")
        folder = self._look_at(above)
        is_mounted = self._is_mount_point(folder, name)
        try:
            descriptor = os.open(name, OPEN, dir_fd=parent)
        except OSError:
            return (READ_ONLY if folder.pinned == READ_ONLY and not is_mounted else ""), False
        try:
            is_read_only = _is_read_only(descriptor) if is_mounted else folder.pinned == READ_ONLY
            flags = 0 if is_read_only else read_flags(descriptor)
            is_program = stat.S_ISREG(info.st_mode) and bool(info.st_mode & ANY_MAY_RUN)
            has_capabilities = is_program and _has_capabilities(descriptor)
            if read is not None:
                _try_reading(read, descriptor)
        finally:
            os.close(descriptor)
        if is_read_only:
            return READ_ONLY, has_capabilities
        return IMMUTABLE if flags & IMMUTABLE_FLAG else APPEND_ONLY if flags & APPEND_FLAG else "", has_capabilities

    def list_mounts(self, path: str) -> List[str]:
        """List the mount points at or below a directory, as the config would name them, sorted."""
        real = real_name(self._walker.directory(path))
        if not real:
            return []
        inside = f"{real.rstrip('/')}/"
        return sorted(
            f"{path}/{found[len(inside) :]}".rstrip("/") for found in self._read_mounts() if f"{found}/".startswith(inside)
        )

    def _is_mount_point(self, folder: Folder, name: str) -> bool:
        return bool(folder.real) and f"{folder.real.rstrip('/')}/{name}" in self._read_mounts()

    def _look_at(self, path: str) -> Folder:
        if self._generation != self._walker.generation:
            self._generation = self._walker.generation
            self._folders.clear()
        found = self._folders.get(path)
        if found is None:
            found = self._folders[path] = _describe_folder(self._walker.directory(path))
            self._generation = self._walker.generation
        return found

    def _read_mounts(self) -> FrozenSet[str]:
        if self._mounts is None:
            self._mounts = read_mount_points()
        return self._mounts


def read_mount_points() -> FrozenSet[str]:
    """Give every mount point by the name that the kernel has for it."""
    try:
        with open(TABLE, "rb") as table:
            rows = [line.split(b" ") for line in table]
    except OSError:
        return frozenset()
    return frozenset(_unescape(row[MOUNT_POINT]) for row in rows if len(row) >= LEAST_FIELDS)


def read_flags(descriptor: int) -> int:
    """Give the flags that chattr(1) sets; none where the file system has no such thing."""
    if sys.platform != "linux":
        return 0
    try:
        found = fcntl.ioctl(descriptor, GET_FLAGS, bytes(struct.calcsize("l")))
    except OSError:
        return 0
    return int.from_bytes(found[:4], sys.byteorder)


def real_name(descriptor: int) -> str:
    """Give the name that the kernel has for an open folder; empty where it does not tell."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""


def _describe_folder(descriptor: int) -> Folder:
    real = real_name(descriptor)
    if _is_read_only(descriptor):
        return Folder(real, READ_ONLY)
    flags = read_flags(descriptor)
    return Folder(real, IN_IMMUTABLE if flags & IMMUTABLE_FLAG else IN_APPEND_ONLY if flags & APPEND_FLAG else "")


def _has_capabilities(descriptor: int) -> bool:
    try:
        return bool(os.getxattr(descriptor, "security.capability"))
    except (AttributeError, OSError):  # Python has them on Linux only
        return False


def _try_reading(read: Callable[[int], None], descriptor: int) -> None:
    try:
        read(descriptor)
    except OSError:
        return  # who needs the content asks for it, and is told why there is none


def _is_read_only(descriptor: int) -> bool:
    try:
        return bool(os.fstatvfs(descriptor).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _unescape(name: bytes) -> str:
    return os.fsdecode(re.sub(ESCAPE, lambda found: bytes((int(found[1], 8),)), name) if b"\\" in name else name)


__all__ = ["Holds", "read_flags", "read_mount_points", "real_name"]
