"""The real machine: the only place on the machine side that runs programs and writes managed state.

Every path goes through the Walker; every write is journalled before it is made; new files are complete, with owner and mode, before
they are renamed into place. Commands get a clean environment, no terminal, a timeout, and their output is bounded and redacted.
"""

from __future__ import annotations

import os
import stat
import subprocess
from typing import Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple, cast

from gitops.errors import HostError
from gitops.executor.accounts import Accounts
from gitops.executor.journal import Entry, Journal
from gitops.executor.walk import MissingParentsError, UnsafePathError, Walker
from gitops.model.codec import Json, digest_bytes
from gitops.model.limits import DEFAULTS
from gitops.model.secret import fill_text, text_from_json
from gitops.providers.host import FileWrite, Finished, Metadata, PathState
from gitops.providers.steps import describe_failure

CHUNK = 1 << 20
MANY_FILES = 16
NEW_FILE_MODE = 0o644
NEW_DIRECTORY_MODE = 0o755
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
TEMP_PREFIX = ".gitops-"


class RealHost:
    """See `gitops.providers.host.Host`. `journal` None makes it read-only."""

    def __init__(
        self,
        *,
        root: str = "",
        blobs: str = "",
        secrets: Optional[Mapping[str, str]] = None,
        managed: FrozenSet[str] = frozenset(),
        journal: Optional[Journal] = None,
        run: str = "",
    ) -> None:
        self._root = root.rstrip("/")
        self._blobs = blobs
        self._secrets = dict(secrets or {})
        self._managed = managed
        self._journal = journal
        self._temp = f"{TEMP_PREFIX}{run}-"
        self._count = 0
        self._walker = Walker(self._root)
        self.accounts = Accounts(self._root)

    @property
    def managed(self) -> FrozenSet[str]:
        """Paths that the config manages here."""
        return self._managed

    def close(self) -> None:
        """Close descriptors."""
        self._walker.close()

    def inspect(self, path: str) -> PathState:
        """Say what is at a path, links not followed."""
        try:
            parent, name = self._walker.parent_of(path)
            info = os.lstat(name, dir_fd=parent)
        except MissingParentsError as error:
            return PathState("absent", parents=error.parents)
        except UnsafePathError as error:
            return PathState("unsafe", reason=error.message)
        except FileNotFoundError:
            return PathState("absent")
        kind = _type_of(info.st_mode)
        if kind == "file" and info.st_nlink > 1 and os.fstat(parent).st_mode & 0o022:
            return PathState("unsafe", reason="it has more than one hard link in a folder that others can write")
        return PathState(
            type=kind,
            mode=f"{stat.S_IMODE(info.st_mode):04o}",
            owner=self.accounts.user_name(info.st_uid),
            group=self.accounts.group_name(info.st_gid),
            size=info.st_size,
            target=os.readlink(name, dir_fd=parent) if kind == "symlink" else "",
        )

    def digest(self, path: str) -> str:
        """Give the SHA-256 of a regular file."""
        return digest_bytes(self._read(path, -1))

    def digest_content(self, content: Json) -> str:
        """Give the SHA-256 of a content, secrets filled in."""
        if isinstance(content, dict) and "blob" in content:
            return str(content["blob"])
        return digest_bytes(self.content_bytes(content))

    def content_bytes(self, content: Json) -> bytes:
        """Give a content's bytes; a blob is read from the run's folder and must have its digest."""
        if content is None:
            return b""
        if isinstance(content, dict) and "blob" in content:
            return self._read_blob(str(content["blob"]))
        return fill_text(text_from_json(content, "content"), self._secrets).encode("utf-8")

    def list_names(self, path: str) -> Sequence[str]:
        """List a directory, sorted."""
        return sorted(os.listdir(self._walker.directory(path)))

    def read_text(self, path: str) -> str:
        """Read a small text file, empty when it is not there."""
        try:
            return self._read(path, DEFAULTS.document_bytes).decode("utf-8", "replace")
        except (FileNotFoundError, MissingParentsError):
            return ""

    def prepare(self, paths: Sequence[str], *, is_sensitive: bool = False) -> None:
        """Journal what is at these paths, in one flush."""
        journal = self._writable()
        for path in paths:
            before = self._take_image(path, is_sensitive=is_sensitive)
            image_lost = before.get("type") == "file" and not before.get("image")
            journal.add(Entry(path, before, why_not="sensitive content is not kept on disk" if image_lost else ""))
        journal.flush()

    def write_files(self, writes: Sequence[FileWrite]) -> Mapping[str, str]:
        """Write all beside their places, make them durable, rename; give reasons of failure by path."""
        self._writable()
        failures: Dict[str, str] = {}
        ready: List[Tuple[FileWrite, int, str, str]] = []
        for write in writes:
            try:
                ready.append(self._write_temp(write, is_single=len(writes) <= MANY_FILES))
            except (HostError, OSError) as error:
                failures[write.path] = describe_failure(error)
        if len(writes) > MANY_FILES:
            os.sync()
        folders: Dict[int, None] = {}
        for write, _, name, temp in ready:
            try:
                parent, _ = self._walker.parent_of(write.path)
                os.rename(temp, name, src_dir_fd=parent, dst_dir_fd=parent)
                folders[parent] = None
            except (HostError, OSError) as error:
                self._unlink_quietly(write.path, temp)
                failures[write.path] = describe_failure(error)
        if len(writes) <= MANY_FILES:
            for folder in folders:
                os.fsync(folder)
        return failures

    def make_directory(self, path: str, metadata: Metadata) -> None:
        """Make one directory with its owner and mode."""
        self._writable()
        parent, name = self._walker.parent_of(path)
        uid, gid = self.accounts.ids(metadata.owner, metadata.group)
        os.mkdir(name, 0o700, dir_fd=parent)
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            _apply_metadata(descriptor, uid, gid, int(metadata.mode, 8) if metadata.mode else NEW_DIRECTORY_MODE)
        finally:
            os.close(descriptor)

    def make_symlink(self, path: str, target: str) -> None:
        """Make a link beside its place and rename it over."""
        self._writable()
        parent, name = self._walker.parent_of(path)
        temp = self._next_temp()
        os.symlink(target, temp, dir_fd=parent)
        os.rename(temp, name, src_dir_fd=parent, dst_dir_fd=parent)
        self._walker.forget()

    def set_metadata(self, path: str, metadata: Metadata) -> None:
        """Set owner, group and mode on the open file."""
        self._writable()
        parent, name = self._walker.parent_of(path)
        uid, gid = self.accounts.ids(metadata.owner, metadata.group)
        descriptor = os.open(name, READ_FLAGS, dir_fd=parent)
        try:
            mode = int(metadata.mode, 8) if metadata.mode else stat.S_IMODE(os.fstat(descriptor).st_mode)
            _apply_metadata(descriptor, uid, gid, mode)
        finally:
            os.close(descriptor)

    def remove(self, path: str, *, is_recursive: bool = False) -> None:
        """Remove what is there; a tree is journalled whole before the first of it goes."""
        journal = self._writable()
        parent, name = self._walker.parent_of(path)
        if not stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
            os.unlink(name, dir_fd=parent)
            return
        below = self._list_tree(path) if is_recursive else []
        for item in below:
            journal.add(Entry(item, self._take_image(item, is_sensitive=False)))
        journal.add(Entry(path, self._take_image(path, is_sensitive=False)))
        journal.flush()
        for item in below:
            folder, last = self._walker.parent_of(item)
            is_directory = stat.S_ISDIR(os.lstat(last, dir_fd=folder).st_mode)
            (os.rmdir if is_directory else os.unlink)(last, dir_fd=folder)
        os.rmdir(name, dir_fd=self._walker.parent_of(path)[0])
        self._walker.forget()

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Optional[Mapping[str, Json]] = None,
        directory: str = "",
        user: str = "",
        timeout: int = 0,
    ) -> Finished:
        """Run a program; raise HostError when it cannot start or does not end in time."""
        values = {name: fill_text(text_from_json(item, name), self._secrets) for name, item in (environment or {}).items()}
        home = "/root" if os.geteuid() == 0 else os.environ.get("HOME", "/")
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--", *argv] if user else list(argv)
        try:
            done = subprocess.run(
                command,
                cwd=directory or "/",
                env={"PATH": PATH, "HOME": home, "LANG": "C.UTF-8", **values},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout or DEFAULTS.command_seconds,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise HostError(f"{argv[0]} took longer than {timeout or DEFAULTS.command_seconds} s", code="E111") from None
        except OSError as error:
            raise HostError(f"cannot run {argv[0]}: {error.strerror}", code="E112") from error
        return Finished(done.returncode, self.redact(done.stdout.decode("utf-8", "replace")[-DEFAULTS.command_output :]))

    def redact(self, text: str) -> str:
        """Take every secret value out, as a whole and line by line."""
        values = {value for whole in self._secrets.values() for value in (whole, *whole.splitlines()) if value.strip()}
        for value in sorted(values, key=len, reverse=True):
            text = text.replace(value, "[secret]")
        return text

    def note_undo(self, argv: Sequence[str], why_not: str = "") -> None:
        """Journal the command that undoes what follows, or why nothing can."""
        journal = self._writable()
        journal.add(Entry(undo=tuple(argv), why_not=why_not))
        journal.flush()

    def restore(self, path: str, before: Mapping[str, Json]) -> None:
        """Bring a path back to a journalled state (rollback); the state now is journalled first."""
        self.prepare([path])
        kind = str(before.get("type"))
        found = self.inspect(path)
        if kind == "absent":
            if found.type != "absent":
                self.remove(path)
            return
        if kind == "directory":
            if found.type == "absent":
                self.make_directory(path, Metadata())
                self._walker.forget()
        elif kind == "symlink":
            self.make_symlink(path, str(before["target"]))
            return
        else:
            with open(str(before["image"]), "rb") as stream:
                self._replace_bytes(path, stream.read())
        self._restore_metadata(path, before)

    def _restore_metadata(self, path: str, before: Mapping[str, Json]) -> None:
        parent, name = self._walker.parent_of(path)
        descriptor = os.open(name, READ_FLAGS, dir_fd=parent)
        try:
            _apply_metadata(descriptor, _number(before["uid"]), _number(before["gid"]), int(str(before["mode"]), 8))
        finally:
            os.close(descriptor)

    def _replace_bytes(self, path: str, data: bytes) -> None:
        parent, name = self._walker.parent_of(path)
        temp = self._next_temp()
        descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
        os.rename(temp, name, src_dir_fd=parent, dst_dir_fd=parent)

    def _write_temp(self, write: FileWrite, *, is_single: bool) -> Tuple[FileWrite, int, str, str]:
        parent, name = self._walker.parent_of(write.path)
        data = self.content_bytes(write.content)
        uid, gid = self.accounts.ids(write.metadata.owner, write.metadata.group)
        mode = int(write.metadata.mode, 8) if write.metadata.mode else NEW_FILE_MODE
        uid, gid, mode = self._keep_undeclared(parent, name, write.metadata, (uid, gid, mode))
        temp = self._next_temp()
        descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                _apply_metadata(descriptor, uid, gid, mode)
                if is_single:
                    os.fsync(descriptor)
            self._validate(write, temp)
        except BaseException:
            self._unlink_quietly(write.path, temp)
            raise
        return write, parent, name, temp

    @staticmethod
    def _keep_undeclared(parent: int, name: str, metadata: Metadata, ids: Tuple[int, int, int]) -> Tuple[int, int, int]:
        try:
            info = os.lstat(name, dir_fd=parent)
        except FileNotFoundError:
            return ids
        if not stat.S_ISREG(info.st_mode):
            return ids
        uid, gid, mode = ids
        is_other_owner = info.st_uid != os.geteuid() or info.st_gid != os.getegid()
        return (
            info.st_uid if not metadata.owner and is_other_owner else uid,
            info.st_gid if not metadata.group and is_other_owner else gid,
            mode if metadata.mode else stat.S_IMODE(info.st_mode),
        )

    def _validate(self, write: FileWrite, temp: str) -> None:
        if not write.validate:
            return
        real = f"{self._root}{write.path.rpartition('/')[0]}/{temp}"
        done = self.run([part.replace("{path}", real) for part in write.validate])
        if done.status != 0:
            output = "" if write.is_sensitive else f": {done.output.strip()[-1000:]}"
            raise HostError(f"{write.validate[0]} did not accept the new file (status {done.status}){output}", code="E230")

    def _unlink_quietly(self, path: str, temp: str) -> None:
        try:
            os.unlink(temp, dir_fd=self._walker.parent_of(path)[0])
        except (HostError, OSError):
            return

    def _take_image(self, path: str, *, is_sensitive: bool) -> Dict[str, Json]:
        try:
            parent, name = self._walker.parent_of(path)
            info = os.lstat(name, dir_fd=parent)
        except (FileNotFoundError, MissingParentsError):
            return {"type": "absent"}
        image: Dict[str, Json] = {"type": _type_of(info.st_mode), "mode": f"{stat.S_IMODE(info.st_mode):04o}"}
        image["uid"], image["gid"] = info.st_uid, info.st_gid
        if image["type"] == "file":
            image["image"] = self._writable().keep_image(self._read(path, -1), is_sensitive=is_sensitive)
        elif image["type"] == "symlink":
            image["target"] = os.readlink(name, dir_fd=parent)
        return image

    def _list_tree(self, path: str) -> List[str]:
        found: List[str] = []
        for name in self.list_names(path):
            below = f"{path}/{name}"
            parent, last = self._walker.parent_of(below)
            if stat.S_ISDIR(os.lstat(last, dir_fd=parent).st_mode):
                found.extend(self._list_tree(below))
            found.append(below)
        return found

    def _read(self, path: str, limit: int) -> bytes:
        parent, name = self._walker.parent_of(path)
        descriptor = os.open(name, READ_FLAGS, dir_fd=parent)
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise HostError(f"{path} is not a regular file", code="E231")
            parts: List[bytes] = []
            while True:
                part = stream.read(CHUNK)
                if not part:
                    return b"".join(parts)
                parts.append(part)
                if 0 <= limit < sum(len(item) for item in parts):
                    raise HostError(f"{path} is larger than {limit} bytes", code="E232")

    def _read_blob(self, digest: str) -> bytes:
        path = os.path.join(self._blobs, digest[:2], digest)
        try:
            with open(path, "rb") as stream:
                data = stream.read()
        except OSError as error:
            raise HostError(f"content {digest[:12]} is not in the run's folder: {error.strerror}", code="E233") from error
        if digest_bytes(data) != digest:
            raise HostError(f"content {digest[:12]} does not have its digest", code="E234")
        return data

    def _next_temp(self) -> str:
        self._count += 1
        return f"{self._temp}{self._count}"

    def _writable(self) -> Journal:
        if self._journal is None:
            raise HostError("this run may only read", code="E235")
        return self._journal


def _apply_metadata(descriptor: int, uid: int, gid: int, mode: int) -> None:
    if uid >= 0 or gid >= 0:
        os.fchown(descriptor, uid, gid)
    os.fchmod(descriptor, mode)


def _type_of(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "symlink" if stat.S_ISLNK(mode) else "other"


def _number(value: Json) -> int:
    return cast(int, value)
