"""Take a tar or zip archive apart into contents by digest, and give the list of what is in it; nothing is put in its place here.

Refused as a whole: absolute names, `..`, devices, links that lead out, names below a link, encrypted members, more entries or bytes than
the limits, names that are not UTF-8. Owners, times and special bits are not taken; of the mode only whether a file may be executed.
Imported only by a run that unpacks something.
"""

from __future__ import annotations

import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from hashlib import sha256
from typing import IO, Any, Callable, Dict, Iterator, List, Tuple, cast

from gitops.errors import HostError
from gitops.executor.durable import write_all
from gitops.executor.tree import hash_parts
from gitops.model.limits import DEFAULTS, Limits
from gitops.providers.host import Unpacked

CHUNK = 1 << 18
FILE, PROGRAM, FOLDER = "0644", "0755", "0755"
LINK_BYTES = 4096
NAME_BYTES = 1024
ENCRYPTED = 1
UNPRINTABLE = frozenset([*map(chr, range(0x20)), "\x7f"])
Open = Callable[["_Member"], IO[bytes]]
ADDITIONS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, OSError, ValueError)


@dataclass(frozen=True)
class _Member:
    """One member as the archive has it: `kind` is file, directory, symlink, hardlink or other; `target` of a link."""

    name: str
    kind: str
    size: int = 0
    is_program: bool = False
    target: str = ""
    handle: object = None


def unpack(source: str, digest: str, folder: str, strip: int, limits: Limits = DEFAULTS) -> Tuple[Unpacked, ...]:
    """Unpack `source`, which must have its digest, into files of `folder` named by theirs; give what is in it, sorted, parents first.

    `strip` leading parts of each name are taken off. Raise HostError for what is no archive or must not be unpacked.
    """
    try:
        with open(source, "rb") as stream:
            if hash_parts(stream.fileno()) != digest:
                raise HostError("the archive does not have its digest", code="E234")
            stream.seek(0)
            if zipfile.is_zipfile(stream):
                with zipfile.ZipFile(stream) as archive:
                    return _Unpacking(folder, strip, limits).take(_read_zip(archive), lambda item: _open_zip(archive, item))
            stream.seek(0)
            with tarfile.open(fileobj=stream, mode="r:*", tarinfo=_TarInfo) as archive:
                return _Unpacking(folder, strip, limits).take(_read_tar(archive), lambda item: _open_tar(archive, item))
    except BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None and not isinstance(error, EOFError):
            raise HostError(f"the archive cannot be unpacked: {error.strerror}", code="E325") from error
        raise HostError(f"this is no archive that can be read: {str(error)[:200]}", code="E326") from error


class _TarInfo(tarfile.TarInfo):
    """A header whose additions (long names, extended headers) are bounded before they are read: the library reads them whole."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> tarfile.TarInfo:
        """Read one header of 512 bytes."""
        found = super().frombuf(buf, encoding, errors)
        if found.type in ADDITIONS and found.size > DEFAULTS.archive_header_bytes:
            raise HostError(f"the archive has a header of {found.size} bytes", code="E327")
        return found


class _Unpacking:
    def __init__(self, folder: str, strip: int, limits: Limits) -> None:
        self._folder, self._strip, self._limits = folder, strip, limits
        self._found: Dict[str, Unpacked] = {}
        self._left = limits.archive_bytes

    def take(self, members: Iterator[_Member], open_member: Open) -> Tuple[Unpacked, ...]:
        """Take all members."""
        for count, member in enumerate(members):
            if count >= self._limits.archive_files:
                raise HostError(f"the archive has more than {self._limits.archive_files} entries", code="E327")
            path = self._place(member.name)
            if path:
                self._found[path] = self._take_one(path, member, open_member)
        for item in self._found.values():
            self._check_parents(item.path)
            if item.type == "symlink":
                self._check_way(item)
        return tuple(self._found[path] for path in sorted(self._found))

    def _take_one(self, path: str, member: _Member, open_member: Open) -> Unpacked:
        if member.kind == "directory":
            return Unpacked(path, "directory", FOLDER)
        if member.kind == "symlink":
            return Unpacked(path, "symlink", target=self._check_target(path, member.target))
        if member.kind == "hardlink":
            other = self._found.get(self._place(member.target))
            if other is None or other.type != "file":
                raise _refuse(member.name, "it is a hard link to something that is not in the archive before it")
            self._spend(other.size)
            return Unpacked(path, "file", other.mode, other.digest, other.size)
        if member.kind != "file":
            raise _refuse(member.name, "it is a device, pipe or socket")
        self._spend(member.size)
        digest = self._pour(open_member(member), member)
        return Unpacked(path, "file", PROGRAM if member.is_program else FILE, digest, member.size)

    def _spend(self, size: int) -> None:
        """Count what will be written; a hard link becomes a file of its own, so it counts as one."""
        self._left -= size
        if self._left < 0:
            raise HostError(f"the archive is larger than {self._limits.archive_bytes} bytes when unpacked", code="E327")

    def _pour(self, source: IO[bytes], member: _Member) -> str:
        """Write a member's content under its digest; it must be as long as the archive says."""
        fresh, found, size = os.path.join(self._folder, ".unpacking"), sha256(), 0
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            while size <= member.size:
                data = source.read(CHUNK)
                if not data:
                    break
                size += len(data)
                found.update(data)
                write_all(descriptor, data)
        finally:
            os.close(descriptor)
            source.close()
        if size != member.size:
            raise _refuse(member.name, "it is not as long as the archive says")
        os.rename(fresh, os.path.join(self._folder, found.hexdigest()))
        return found.hexdigest()

    def _place(self, name: str) -> str:
        """Give the path below the target, empty for what is stripped away."""
        return "/".join(split_name(name)[self._strip :])

    def _check_target(self, path: str, target: str) -> str:
        if not target or target.startswith("/") or not _is_plain(target):
            raise _refuse(path, "it is a link that is not relative")
        depth = path.count("/")
        for part in target.split("/"):
            depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
            if depth < 0:
                raise _refuse(path, "it is a link that leads out")
        return target

    def _check_way(self, link: Unpacked) -> None:
        """Refuse a target that passes through another link: where `..` then leads is not what it looks like."""
        way = link.path.split("/")[:-1]
        parts = [part for part in link.target.split("/") if part not in ("", ".")]
        for part in parts[:-1]:
            way = way[:-1] if part == ".." else [*way, part]
            passed = self._found.get("/".join(way))
            if passed is not None and passed.type == "symlink":
                raise _refuse(link.path, "it is a link that passes through another link")

    def _check_parents(self, path: str) -> None:
        parts = path.split("/")
        for count in range(1, len(parts)):
            above = self._found.get("/".join(parts[:count]))
            if above is not None and above.type != "directory":
                raise _refuse(path, "it lies below something that is no directory")


def _read_tar(archive: tarfile.TarFile) -> Iterator[_Member]:
    for item in archive:
        kind = "other"
        if item.isreg():
            kind = "file"
        elif item.isdir():
            kind = "directory"
        elif item.issym():
            kind = "symlink"
        elif item.islnk():
            kind = "hardlink"
        yield _Member(item.name, kind, item.size, bool(item.mode & stat.S_IXUSR), item.linkname, item)


def _open_tar(archive: tarfile.TarFile, member: _Member) -> IO[bytes]:
    found = archive.extractfile(cast(tarfile.TarInfo, member.handle))
    if found is None:
        raise _refuse(member.name, "it has no content")
    return found


def _read_zip(archive: zipfile.ZipFile) -> Iterator[_Member]:
    for item in archive.infolist():
        mode = item.external_attr >> 16
        if item.flag_bits & ENCRYPTED:
            raise _refuse(item.filename, "it is encrypted")
        if item.is_dir():
            yield _Member(item.filename, "directory")
        elif stat.S_ISLNK(mode):
            if item.file_size > LINK_BYTES:
                raise _refuse(item.filename, "it is a link of a strange length")
            target = archive.read(item).decode("utf-8", "surrogateescape")
            yield _Member(item.filename, "symlink", target=target)
        else:
            kind = "file" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "other"
            yield _Member(item.filename, kind, item.file_size, bool(mode & stat.S_IXUSR), handle=item)


def _open_zip(archive: zipfile.ZipFile, member: _Member) -> IO[bytes]:
    return archive.open(cast(zipfile.ZipInfo, member.handle))


def split_name(name: str) -> List[str]:
    """Give a member's name in parts; raise HostError for one that must not be written anywhere."""
    if name.startswith("/") or ".." in name.split("/"):
        raise _refuse(name, "its name leads out")
    if not _is_plain(name) or len(name.encode("utf-8", "replace")) > NAME_BYTES:
        raise _refuse(name, "its name is too long, not UTF-8, or has control characters")
    return [part for part in name.split("/") if part not in ("", ".")]


def _is_plain(name: str) -> bool:
    return UNPRINTABLE.isdisjoint(name) and name == name.encode("utf-8", "replace").decode("utf-8")


def _refuse(name: str, why: str) -> HostError:
    shown = name.encode("utf-8", "backslashreplace").decode("utf-8")[:100]
    return HostError(f"the archive is not unpacked, because of {shown!r}: {why}", code="E328")
