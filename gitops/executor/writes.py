"""Write to the tree: files in batches, directories, links, metadata, removal. The caller has journalled what was there.

New things are made complete (content, owner, mode) under a temporary name in the same folder, flushed, and renamed into place;
what fails leaves the old thing as it was and nothing beside it. `settle` makes the renames durable, once for each folder.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from gitops.errors import HostError
from gitops.executor.durable import start_writeback, sync_many
from gitops.executor.extended import (
    apply_declared,
    apply_metadata,
    apply_new,
    change_declared,
    put_back,
    set_extended,
)
from gitops.executor.tree import Tree
from gitops.model.codec import Json
from gitops.providers.host import FileWrite, Metadata
from gitops.providers.steps import describe_failure

OPEN_AT_ONCE = 700  # with the directories kept open it stays below the usual limit of 1,024
NEW_FILE_MODE = 0o644
NEW_SECRET_MODE = 0o600
NEW_DIRECTORY_MODE = 0o755
TEMP_PREFIX = ".gitops-"
NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Pour = Callable[[FileWrite, int], None]
Check = Callable[[FileWrite, str], None]


@dataclass(frozen=True)
class _Temp:
    write: FileWrite
    name: str
    descriptor: int


class Writer:
    """Writes below one root for one run. `pour` writes a content into an open file; `check` raises when a validator refuses one."""

    def __init__(self, tree: Tree, run: str, *, pour: Pour, check: Check) -> None:
        self._tree = tree
        self._prefix = f"{TEMP_PREFIX}{run}-"
        self._count = 0
        self._pour = pour
        self._check = check
        self._touched: Dict[str, None] = {}

    def write_files(self, writes: Sequence[FileWrite]) -> Dict[str, str]:
        """Write all beside their places, flush them together, rename; give the reason of each that failed, by path."""
        failures: Dict[str, str] = {}
        for start in range(0, len(writes), OPEN_AT_ONCE):
            self._write_some(writes[start : start + OPEN_AT_ONCE], failures)
        self._tree.walker.forget()
        return failures

    def make_directory(self, path: str, metadata: Metadata) -> None:
        """Make one directory, complete before it appears; its parent is there."""
        ids = self._tree.accounts.ids(metadata.owner, metadata.group)
        mode = int(metadata.mode, 8) if metadata.mode else NEW_DIRECTORY_MODE
        temp = self._next_temp()
        parent, name = self._touch(path)
        os.mkdir(temp, 0o700, dir_fd=parent)
        try:
            descriptor = os.open(temp, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            try:
                apply_new(descriptor, metadata, ids, mode, self._tree.accounts)
            finally:
                os.close(descriptor)
            if self._tree.look(path) is not None:
                raise HostError(f"something has come to {path} since it was looked at", code="E237")
            os.rename(temp, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            os.rmdir(temp, dir_fd=parent)
            raise

    def make_symlink(self, path: str, target: str, owner: Tuple[int, int] = (-1, -1)) -> None:
        """Make a link beside its place and rename it over what is there, if that is a file or a link."""
        temp = self._next_temp()
        parent, name = self._touch(path)
        os.symlink(target, temp, dir_fd=parent)
        try:
            if owner != (-1, -1):
                os.chown(temp, *owner, dir_fd=parent, follow_symlinks=False)
            os.rename(temp, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            os.unlink(temp, dir_fd=parent)
            raise
        self._tree.walker.forget()

    def set_metadata(self, path: str, metadata: Metadata) -> None:
        """Set what is declared of the file or directory that is there, on the open thing itself: all of it or nothing."""
        ids = self._tree.accounts.ids(metadata.owner, metadata.group)
        self._touch(path)
        with self._tree.opened(path) as target:
            mode = int(metadata.mode, 8) if metadata.mode else keep_mode(os.stat(target), *ids)
            change_declared(target, metadata, ids, mode, self._tree.accounts)

    def restore_metadata(self, path: str, ids: Tuple[int, int], mode: int, extended: Optional[Mapping[str, Json]]) -> None:
        """Give something that stayed the owner and mode that it had, and its extended attributes when they are known."""
        self._touch(path)
        with self._tree.opened(path) as target:
            if extended is not None:
                put_back(target, extended)
            apply_metadata(target, *ids, mode)

    def remove_one(self, path: str, *, is_directory: bool) -> None:
        """Remove one thing; a directory must be empty."""
        parent, name = self._touch(path)
        if is_directory:
            os.rmdir(name, dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)
        self._tree.walker.forget()

    def replace_file(self, path: str, fill: Callable[[int], None]) -> None:
        """Put a new file into a place, made by `fill` (content, owner, mode), flushed before it is renamed."""
        temp = self._next_temp()
        parent, name = self._touch(path)
        descriptor = os.open(temp, NEW_FLAGS, 0o600, dir_fd=parent)
        try:
            fill(descriptor)
            os.fsync(descriptor)
            os.rename(temp, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            os.unlink(temp, dir_fd=parent)
            raise
        finally:
            os.close(descriptor)

    def settle(self) -> None:
        """Make renames and removals durable."""
        for folder in self._touched:
            try:
                os.fsync(self._tree.walker.directory(folder))
            except (HostError, OSError):
                continue  # the folder itself is gone, or may only be searched
        self._touched.clear()

    def _touch(self, path: str) -> Tuple[int, str]:
        self._touched[path.rpartition("/")[0]] = None
        return self._tree.walker.parent_of(path)

    def _write_some(self, writes: Sequence[FileWrite], failures: Dict[str, str]) -> None:
        ready: List[_Temp] = []
        placed: Set[int] = set()
        try:
            for write in writes:
                try:
                    ready.append(self._write_temp(write))
                except (HostError, OSError) as error:
                    failures[write.path] = describe_failure(error)
            errors = sync_many([temp.descriptor for temp in ready])
            for place in range(len(ready)):
                try:
                    self._finish(ready[place], errors.get(place))
                    placed.add(place)
                except (HostError, OSError) as error:
                    failures[ready[place].write.path] = describe_failure(error)
        finally:
            for place, temp in enumerate(ready):
                os.close(temp.descriptor)
                if place not in placed:
                    self._drop(temp)

    def _finish(self, temp: _Temp, error: Optional[OSError]) -> None:
        if error is not None:
            raise error
        if temp.write.validate:
            self._check(temp.write, temp.name)
        parent, name = self._touch(temp.write.path)
        os.rename(temp.name, name, src_dir_fd=parent, dst_dir_fd=parent)

    def _drop(self, temp: _Temp) -> None:
        """Remove a temporary file that did not get to its place (after an interruption none may have)."""
        try:
            os.unlink(temp.name, dir_fd=self._tree.walker.parent_of(temp.write.path)[0])
        except (HostError, OSError):
            return

    def _write_temp(self, write: FileWrite) -> _Temp:
        metadata = write.metadata
        uid, gid = self._tree.accounts.ids(metadata.owner, metadata.group)
        temp = self._next_temp()
        parent, name = self._tree.walker.parent_of(write.path)
        new_mode = NEW_SECRET_MODE if write.is_sensitive else NEW_FILE_MODE
        mode = int(metadata.mode, 8) if metadata.mode else new_mode
        before = _lstat(name, parent)
        descriptor = os.open(temp, NEW_FLAGS, 0o600, dir_fd=parent)
        try:
            self._pour(write, descriptor)
            if before is not None and stat.S_ISREG(before.st_mode):
                set_extended(descriptor, self._tree.read_extended(write.path))
                uid, gid, mode = _keep_undeclared(before, metadata, (uid, gid, mode))
                apply_declared(descriptor, metadata, (uid, gid), mode, self._tree.accounts)
            else:
                apply_new(descriptor, metadata, (uid, gid), mode, self._tree.accounts)
            start_writeback(descriptor)
        except BaseException:
            os.close(descriptor)
            os.unlink(temp, dir_fd=parent)
            raise
        return _Temp(write, temp, descriptor)

    def _next_temp(self) -> str:
        self._count += 1
        return f"{self._prefix}{self._count}"


def keep_mode(info: os.stat_result, uid: int, gid: int) -> int:
    """Give the mode that something keeps when it gets these ids (-1: as they are). A file that changes hands loses setuid and setgid, as
    with chown(2): whoever owned it would have made it run as the new owner.
    """
    mode = stat.S_IMODE(info.st_mode)
    is_given_away = uid not in (-1, info.st_uid) or gid not in (-1, info.st_gid)
    return mode & ~(stat.S_ISUID | stat.S_ISGID) if is_given_away and stat.S_ISREG(info.st_mode) else mode


def sweep_temps(tree: Tree, folders: Sequence[str], run: str) -> List[str]:
    """Remove what an interrupted run left beside the places in these folders; give what was removed."""
    removed: List[str] = []
    for folder in folders:
        try:
            descriptor = tree.walker.directory(folder)
            names = [name for name in os.listdir(descriptor) if name.startswith(f"{TEMP_PREFIX}{run}-")]
            for name in names:
                is_directory = stat.S_ISDIR(os.lstat(name, dir_fd=descriptor).st_mode)
                (os.rmdir if is_directory else os.unlink)(name, dir_fd=descriptor)
                removed.append(f"{folder}/{name}")
        except (HostError, OSError):
            continue  # the folder went with the run, or never came
    return removed


def _lstat(name: str, parent: int) -> Optional[os.stat_result]:
    try:
        return os.lstat(name, dir_fd=parent)
    except FileNotFoundError:
        return None


def _keep_undeclared(info: os.stat_result, metadata: Metadata, ids: Tuple[int, int, int]) -> Tuple[int, int, int]:
    uid, gid, mode = ids
    is_other_owner = info.st_uid != os.geteuid() or info.st_gid != os.getegid()
    return (
        info.st_uid if not metadata.owner and is_other_owner else uid,
        info.st_gid if not metadata.group and is_other_owner else gid,
        mode if metadata.mode else keep_mode(info, uid, gid),
    )


__all__ = ["TEMP_PREFIX", "Writer", "keep_mode", "sweep_temps"]
