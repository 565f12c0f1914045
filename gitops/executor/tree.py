"""The paths below a root as they are: looked at, opened, listed, described for the journal. Nothing is written here.

Takes the config's paths and walks them safely. What cannot be looked at is said of that path alone: one bad path never stops a run.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from hashlib import sha256
from typing import Dict, Generator, Iterator, List, Optional, Tuple, Union

from gitops.errors import HostError
from gitops.executor.accounts import Accounts
from gitops.executor.extended import read_attributes, read_extended
from gitops.executor.holds import Holds, real_name
from gitops.executor.walk import MissingParentsError, UnsafePathError, Walker, is_open_to_others
from gitops.model.codec import Json, digest_json
from gitops.providers.host import Attributes, Metadata, PathState, Wants
from gitops.providers.steps import show_name

CHUNK, PAGE = 1 << 18, 1 << 12
MOST_BELOW = 1_000_000
PATH_ONLY: int = getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC
READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NOT_THEIRS = "it belongs to another user than its folder, which that user can change"
HARD_LINKED = "it has more than one hard link in a folder that others can write"


class Tree:
    """One root's paths."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.walker = Walker(root)
        self.holds = Holds(self.walker)
        self.accounts = Accounts(root)

    def forget(self) -> None:
        """Drop what is known of folders and mounts, after a program may have changed them."""
        self.walker.forget()
        self.holds.forget_mounts()

    def look(self, path: str) -> Optional[os.stat_result]:
        """Give what is at a path, links not followed; None when nothing is."""
        try:
            parent, name = self.walker.parent_of(path)
            return os.lstat(name, dir_fd=parent)
        except (FileNotFoundError, MissingParentsError):
            return None

    def inspect(self, path: str, wants: Optional[Wants] = None) -> PathState:
        """Describe what is at a path; a file whose size is wanted is read by the descriptor that its flags are read by. What cannot be
        read has no digest: `digest` says why.
        """
        digests: List[str] = []

        def read(descriptor: int) -> None:
            found = os.fstat(descriptor)
            if wants is not None and stat.S_ISREG(found.st_mode) and wants(found.st_size):
                digests.append(hash_parts(descriptor, found.st_size))

        try:
            parent, name = self.walker.parent_of(path)
            info = os.lstat(name, dir_fd=parent)
            kind = type_of(info.st_mode)
            if kind == "file" and info.st_nlink > 1 and is_open_to_others(os.fstat(parent)):
                return PathState("unsafe", reason=HARD_LINKED)
            target = os.readlink(name, dir_fd=parent) if kind == "symlink" else ""
            held, has_capabilities = self.holds.hold_of(path, parent, info, read if wants else None)
            pinned = self.holds.pin_of(path)
        except MissingParentsError as error:
            return PathState("absent", parents=error.parents, pinned=self.holds.pin_of(error.parents[0]))
        except UnsafePathError as error:
            return PathState("unsafe", reason=error.message)
        except FileNotFoundError:
            return PathState("absent", pinned=self.holds.pin_of(path))
        except OSError as error:
            return PathState("unsafe", reason=f"it cannot be looked at: {error.strerror}")
        return PathState(
            type=kind,
            mode=f"{stat.S_IMODE(info.st_mode):04o}",
            owner=self.accounts.user_name(info.st_uid),
            group=self.accounts.group_name(info.st_gid),
            size=info.st_size,
            target=target,
            uid=info.st_uid,
            gid=info.st_gid,
            links=info.st_nlink if kind == "file" else 1,
            has_capabilities=has_capabilities,
            held=held,
            pinned=pinned,
            digest=digests[0] if digests else "",
        )

    def read_attributes(self, path: str, declared: Metadata) -> Attributes:
        """Give what a file or directory has of that which is declared beside owner and mode."""
        with self.opened(path) as target:
            return read_attributes(target, declared, self.accounts)

    def read_extended(self, path: str) -> Dict[str, Json]:
        """Give the extended attributes of a file or directory that do not belong to a content."""
        with self.opened(path) as target:
            return read_extended(target)

    @contextmanager
    def opened(self, path: str) -> Generator[Union[int, str], None, None]:
        """Hold a file or directory open for its metadata; raise HostError for anything else."""
        parent, name = self.walker.parent_of(path)
        descriptor, target = open_thing(name, parent)
        try:
            info = os.fstat(descriptor)
            if stat.S_ISREG(info.st_mode) and info.st_nlink > 1 and is_open_to_others(os.fstat(parent)):
                raise HostError(f"{path}: {HARD_LINKED}", code="E238")
            if not stat.S_ISREG(info.st_mode) and not stat.S_ISDIR(info.st_mode):
                raise HostError(f"{path} is neither a file nor a directory", code="E231")
            yield target
        finally:
            os.close(descriptor)

    def open_file(self, path: str) -> int:
        """Open a regular file for reading; raise HostError for anything else."""
        parent, name = self.walker.parent_of(path)
        descriptor = os.open(name, READ_FLAGS, dir_fd=parent)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        raise HostError(f"{path} is not a regular file", code="E231")

    def digest(self, path: str) -> str:
        """Give the SHA-256 of a regular file, read in pieces."""
        descriptor = self.open_file(path)
        try:
            return hash_parts(descriptor, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)

    def read_text(self, path: str, limit: int) -> str:
        """Read a small text file, empty when it is not there; raise HostError when it is larger than `limit` bytes.

        What is read may be written back for the folder's owner: so in a folder of somebody else only that user's own files are read,
        judged by the open file, which nobody can exchange any more.
        """
        try:
            descriptor = self.open_file(path)
        except (FileNotFoundError, MissingParentsError):
            return ""
        parts: List[bytes] = []
        try:
            info, folder = os.fstat(descriptor), os.fstat(self.walker.parent_of(path)[0])
            if is_open_to_others(folder):
                if info.st_nlink > 1:
                    raise HostError(f"{path}: {HARD_LINKED}", code="E238")
                if info.st_uid != folder.st_uid and folder.st_uid not in (0, os.geteuid()):
                    raise HostError(f"{path}: {NOT_THEIRS}", code="E239")
            for part in read_parts(descriptor):
                parts.append(part)
                if sum(len(item) for item in parts) > limit:
                    raise HostError(f"{path} is larger than {limit} bytes", code="E232")
        finally:
            os.close(descriptor)
        return b"".join(parts).decode("utf-8", "replace")

    def list_names(self, path: str) -> List[str]:
        """List a directory, sorted; names that are not UTF-8 come with surrogates, as Python has them."""
        return sorted(os.listdir(self.walker.directory(path)))

    def list_below(self, path: str) -> Tuple[List[Tuple[str, bool]], List[str]]:
        """List all below a directory, what is inside before what holds it, and whether each is a directory; links are not followed.
        Give also what is left out: mount points and other file systems, which are not entered.
        """
        self.holds.forget_mounts()
        mounts = frozenset(self.holds.list_mounts(path))
        device = os.fstat(self.walker.directory(path)).st_dev
        found: List[Tuple[str, bool]] = []
        left: List[str] = []
        waiting = [path]
        while waiting:
            above = waiting.pop()
            for name in self.list_names(above):
                below = f"{above}/{name}"
                info = os.lstat(name, dir_fd=self.walker.directory(above))
                is_directory = stat.S_ISDIR(info.st_mode)
                # Only folders tell their file system: files of an overlay may have the number of a layer.
                if below in mounts or (is_directory and info.st_dev != device):
                    left.append(below)
                    continue
                found.append((below, is_directory))
                if is_directory:
                    waiting.append(below)
            if len(found) > MOST_BELOW:
                raise HostError(f"{show_name(path)} holds more than {MOST_BELOW} things", code="E345")
        return found[::-1], left

    def list_doomed(self, path: str) -> List[Tuple[str, bool]]:
        """List all below a directory that is to go with it; raise HostError when something is mounted there, or it is a mount point."""
        found, left = self.list_below(path)
        folder, above = os.fstat(self.walker.directory(path)), os.fstat(self.walker.parent_of(path)[0])
        if folder.st_dev != above.st_dev or path in self.holds.list_mounts(path):
            left = [path]
        if left:
            raise HostError(f"{show_name(left[0])} is a mount point; it is not emptied", code="E236")
        return found

    def describe(self, path: str) -> Dict[str, Json]:
        """Give what the journal keeps of a path but for its content: type, mode, owner, target, times, extended attributes."""
        info = self.look(path)
        if info is None:
            return {"type": "absent"}
        kind = type_of(info.st_mode)
        image: Dict[str, Json] = {"type": kind, "mode": f"{stat.S_IMODE(info.st_mode):04o}"}
        image["uid"], image["gid"] = info.st_uid, info.st_gid
        if kind == "symlink":
            parent, name = self.walker.parent_of(path)
            image["target"] = os.readlink(name, dir_fd=parent)
        if kind == "file":
            image["mtime"] = str(info.st_mtime_ns)
        return image

    def fingerprint(self, path: str) -> str:
        """Give a text that differs when what is at a path was touched since; cheap, no content is read."""
        try:
            info = self.look(path)
        except (HostError, OSError):
            return "unknown"
        if info is None:
            return "absent"
        if stat.S_ISDIR(info.st_mode):
            return f"directory {info.st_ino} {info.st_mode:o} {info.st_uid} {info.st_gid}{self._digest_extended(path)}"
        return f"{type_of(info.st_mode)} {info.st_ino} {info.st_ctime_ns} {info.st_size}"

    def _digest_extended(self, path: str) -> str:
        try:
            extended = self.read_extended(path)
        except (HostError, OSError):
            return " unknown"
        return f" {digest_json(dict(extended))}" if extended else ""

    def real_folder(self, path: str) -> str:
        """Give the folder of a path as other programs on this machine would name it, links of the root resolved."""
        parent, _ = self.walker.parent_of(path)
        return real_name(parent) or f"{self.root}{path.rpartition('/')[0]}"


def read_parts(descriptor: int, room: int = CHUNK) -> Iterator[bytes]:
    """Give an open file's content in pieces."""
    while True:
        part = os.read(descriptor, room)
        if not part:
            return
        yield part


def hash_parts(descriptor: int, size: int = CHUNK) -> str:
    """Give the SHA-256 of what is left of an open file; `size` is what is expected, for which room is made."""
    found = sha256()
    for part in read_parts(descriptor, min(max(size + 1, PAGE), CHUNK)):
        found.update(part)
    return found.hexdigest()


def open_thing(name: str, parent: int) -> Tuple[int, Union[int, str]]:
    """Open a file or directory for its metadata: give the descriptor to close, and the target; what may not be read is reached through
    its descriptor's name in /proc.
    """
    try:
        descriptor = os.open(name, READ_FLAGS, dir_fd=parent)
    except PermissionError:
        descriptor = os.open(name, PATH_ONLY, dir_fd=parent)
        return descriptor, f"/proc/self/fd/{descriptor}"
    return descriptor, descriptor


def type_of(mode: int) -> str:
    """Give file, directory, symlink or other."""
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "symlink" if stat.S_ISLNK(mode) else "other"


__all__ = ["READ_FLAGS", "Tree", "open_thing", "read_parts", "type_of"]
