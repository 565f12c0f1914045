"""Folders and files that are this user's alone: how every cache is read and written, and which paths nobody else can bend.

All below a folder is done by its descriptor, so that a link put in its place meanwhile changes nothing; an entry is a plain file of this
user's that no other may write, bounded, with the digest of its own bytes. What was read is what is used: nothing is opened twice.
Standard library only, and nothing of this project: the program that runs first on a host holds this text too.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import stat
import time
from typing import Generator, List, Mapping, Optional, Tuple

OTHERS = 0o077
WRITABLE_BY_OTHERS = 0o002
WRITABLE_BY_GROUP = 0o020
UNFINISHED = "new-"
OLD_SECONDS = 3600
DIGEST_LETTERS = 64
READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class NotOwnError(PermissionError):
    """A folder or file that is somebody else's, or that somebody else may change."""


def find_home() -> str:
    """Give the home of the account that this process runs as, whatever HOME says."""
    return pwd.getpwuid(os.geteuid()).pw_dir


def correct_homes(environment: Mapping[str, str]) -> Mapping[str, Optional[str]]:
    """Give what must change in root's environment (None: goes): HOME and XDG folders where another user decides what lies there.

    After `sudo` that keeps HOME, all that is looked up below it (caches, settings of git, ssh and cue) would be that user's word.
    """
    if os.geteuid() != 0:
        return {}
    found: dict[str, Optional[str]] = {}
    if not is_safe_way(environment.get("HOME", "")):
        found["HOME"] = find_home()
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        if name in environment and not is_safe_way(environment[name]):
            found[name] = None
    return found


def is_safe_way(path: str) -> bool:
    """Say whether only root and this user decide what a path leads to; what is not there yet is judged by the folder it would lie in."""
    if not path.startswith("/"):
        return False
    parts = [part for part in os.path.realpath(path).split("/") if part]
    is_top = True
    for count in range(len(parts), -1, -1):
        try:
            info = os.lstat("/" + "/".join(parts[:count]))
        except FileNotFoundError:
            continue
        except OSError:
            return False
        if not _may_pass(info, is_top=is_top):
            return False
        is_top = False
    return True


def _may_pass(info: os.stat_result, *, is_top: bool) -> bool:
    """A folder of root's or one's own that others cannot write to; in a sticky one (/tmp) they cannot touch what is not theirs."""
    if info.st_uid not in (0, os.geteuid()):
        return False
    # The group of a person is that person's business; what root runs is nobody's but root's.
    loose = WRITABLE_BY_OTHERS | (WRITABLE_BY_GROUP if os.geteuid() == 0 else 0)
    return not info.st_mode & loose or bool(not is_top and info.st_mode & stat.S_ISVTX)


@contextlib.contextmanager
def open_own(folder: str, *, make: bool = False) -> Generator[int, None, None]:
    """Open a folder of this user's alone, and close it again; with `make`, make it, and close to others what they could enter.

    Raise NotOwnError for one that is somebody else's, another OSError for one that is not there or no folder.
    """
    if make:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        info = os.fstat(descriptor)
        if make and info.st_uid == os.geteuid() and info.st_mode & OTHERS:
            os.fchmod(descriptor, 0o700)
            info = os.fstat(descriptor)
        _require_own(info)
        yield descriptor
    finally:
        os.close(descriptor)


def read_own(folder: int, name: str, limit: int) -> bytes:
    """Give an entry's content, whose digest was right; OSError when it is not there, not this user's alone, too large or damaged."""
    descriptor = os.open(name, READ_FLAGS, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as stream:
        info = os.fstat(descriptor)
        _require_own(info)
        if not stat.S_ISREG(info.st_mode) or info.st_size > limit + DIGEST_LETTERS:
            raise NotOwnError("not an entry")
        data = stream.read(limit + DIGEST_LETTERS)
    content = data[DIGEST_LETTERS:]
    if seal_own(name, content) != data[:DIGEST_LETTERS]:
        raise NotOwnError("damaged")
    return content


def touch_own(folder: int, name: str) -> None:
    """Note that an entry was used now."""
    os.utime(name, dir_fd=folder, follow_symlinks=False)


def write_own(folder: int, name: str, content: bytes) -> None:
    """Write an entry beside its place and rename it. Not flushed: what a power cut leaves is damaged, and so is not there."""
    fresh = UNFINISHED + os.urandom(8).hex()  # mkstemp knows no folder by descriptor
    descriptor = os.open(fresh, WRITE_FLAGS, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(seal_own(name, content))
            stream.write(content)
        os.rename(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(fresh, dir_fd=folder)
        raise


def seal_own(name: str, content: bytes) -> bytes:
    """Give what stands before an entry's content: a digest of its name too, so that no entry passes for another."""
    digest = hashlib.sha256(name.encode() + b"\0")
    digest.update(content)
    return digest.hexdigest().encode("ascii")


def evict_own(folder: int, most_entries: int, most_bytes: int) -> None:
    """Remove what was used longest ago until number and size are within bounds, and what was left unfinished an hour ago."""
    found: List[Tuple[int, str, int]] = []
    old = (time.time() - OLD_SECONDS) * 1e9
    with os.scandir(folder) as entries:
        for entry in entries:
            info = entry.stat(follow_symlinks=False)
            if entry.name.startswith(UNFINISHED) and info.st_mtime_ns < old:
                _unlink(folder, entry.name)
            else:
                found.append((info.st_mtime_ns, entry.name, info.st_size))
    total, count = sum(size for _, _, size in found), len(found)
    for _, name, size in sorted(found):
        if total <= most_bytes and count <= most_entries:
            return
        _unlink(folder, name)
        total, count = total - size, count - 1


def _unlink(folder: int, name: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=folder)


def _require_own(info: os.stat_result) -> None:
    if info.st_uid != os.geteuid() or info.st_mode & OTHERS:
        raise NotOwnError("not this user's alone")
