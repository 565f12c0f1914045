"""The write-ahead journal of one run: what was there before, written and flushed before anything changes.

One JSON line an entry: a path with its state before (content in `images/` by digest), a command that undoes, or why nothing can. A batch
of entries is flushed once. What is larger than `image_bytes` is not kept, as the plan said; holes stay holes. Sensitive content goes only
to memory-backed storage, or is not kept. A write that fails leaves the journal as it was.
"""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, cast

from gitops.errors import HostError, MalformedError
from gitops.executor.durable import start_writeback, sync_folder, sync_paths, write_all, write_sparse
from gitops.model.codec import Json, decode_json, make_encoder
from gitops.model.limits import DEFAULTS, Limits

JOURNAL = "journal.jsonl"
IMAGES = "images"
CONTENTS = "contents"
MEMORY_FOLDER = "/run/gitops"
CHUNK = 1 << 18
OPEN_AT_ONCE = 512
_dump = make_encoder(json.JSONEncoder(separators=(",", ":")))
Noted = Tuple[str, bool]  # the path, or none of a command; whether it is a refresh


@dataclass(frozen=True)
class Entry:
    """One line. `before` is {type, mode, uid, gid, image | target …} (image null: only owner
    and mode change); for commands `undo` or `why_not`; `is_sensitive` says that the
    path holds a secret before or after, so that no later image of it goes to disk either.
    `program` is the image of an external provider's program that undoes it when asked `request`;
    `record` the image, in memory, of the line that the `undo` command is fed, or of what that request
    hides; `is_refresh`: it lets something read again what was undone before it. `void` are the numbers
    of lines before this one that nothing came of: there is nothing to undo.
    """

    path: str = ""
    before: Optional[Mapping[str, Json]] = None
    undo: Tuple[str, ...] = ()
    why_not: str = ""
    is_sensitive: bool = False
    program: str = ""
    request: Optional[Mapping[str, Json]] = None
    record: str = ""
    is_refresh: bool = False
    void: Tuple[int, ...] = ()

    def to_json(self) -> Dict[str, Json]:
        """Give the line's object."""
        table: Dict[str, Json] = {"path": self.path, "before": None if self.before is None else dict(self.before)}
        table["undo"], table["why_not"] = list(self.undo), self.why_not
        if self.is_sensitive:
            table["sensitive"] = True
        if self.request is not None:
            table["program"], table["request"] = self.program, dict(self.request)
        if self.record:
            table["record"] = self.record
        if self.is_refresh:
            table["refresh"] = True
        if self.void:
            table["void"] = list(self.void)
        return table


class Journal:
    """The journal of a run that is going on; `paths` are all that it has entries of, `noted` the entries in their order without what
    they keep.
    """

    def __init__(self, folder: str, limits: Limits = DEFAULTS) -> None:
        self._folder = folder
        self._limits = limits
        self._kept = 0
        self._images = os.path.join(folder, IMAGES)
        self._memory = ""
        self._pending: List[Entry] = []
        self._fresh: List[str] = []
        self._size = 0
        self.paths: Dict[str, None] = {}
        self.noted: List[Noted] = []
        self._beside: Optional[List[str]] = [os.path.join(folder, name) for name in os.listdir(folder)]
        os.makedirs(self._images, mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(os.path.join(folder, JOURNAL), flags, 0o600)

    @property
    def contents_folder(self) -> str:
        """Where this machine keeps contents that its runs make themselves: beside the folder of all runs."""
        return os.path.join(os.path.dirname(os.path.dirname(self._folder)), CONTENTS)

    def add(self, entry: Entry) -> None:
        """Put an entry into the batch."""
        self._pending.append(entry)

    def keep_image(self, source: int, *, is_sensitive: bool) -> str:
        """Copy an open file's content and give its image, or an empty text when it may not be kept, or is too large for that.

        Raise HostError when the run has kept so much already that this one would be too much: it is for the next run.
        """
        size = os.fstat(source).st_size
        if size > self._limits.image_bytes:
            return ""
        folder = self._images
        if is_sensitive:
            self._memory = self._memory or make_memory_folder(os.path.basename(self._folder))
            folder = self._memory
            if not folder:
                return ""
        if self._kept + size > self._limits.journal_bytes:
            message = f"this run has kept {self._kept >> 20} MiB of what was there, and keeps at most {self._limits.journal_bytes >> 20}"
            raise HostError(message, code="E224", hint="the next run goes on")
        temp = os.path.join(folder, "new")
        try:
            name = _copy(source, temp, self._limits.image_bytes)
            path = os.path.join(folder, name)
            os.rename(temp, path)
        except OSError:
            _unlink_quietly(temp)
            raise
        self._kept += size
        if not is_sensitive:
            self._fresh.append(path)
        return path if is_sensitive else os.path.join(IMAGES, name)

    def flush(self) -> None:
        """Make the batch durable: nothing of it may change before this returns. Raise HostError, nothing written, when it cannot."""
        if not self._pending:
            return
        batch, self._pending = self._pending, []
        lines = [_dump(entry.to_json()) + "\n" for entry in batch]
        try:
            self._sync_images()
            data = "".join(lines).encode("ascii")
            write_all(self._descriptor, data)
            self._sync()
        except OSError as error:
            os.ftruncate(self._descriptor, self._size)
            message = f"the journal cannot be written, so nothing of this is changed: {error.strerror}"
            raise HostError(message, code="E221", hint=f"make room in {self._folder}") from error
        self._size += len(data)
        self.paths.update((entry.path, None) for entry in batch if entry.path)
        self.noted.extend((entry.path, entry.is_refresh) for entry in batch)

    def void(self, numbers: Sequence[int]) -> None:
        """Note that nothing came of these entries (numbers of `noted`), so that nobody undoes what another did since."""
        if numbers:
            self.add(Entry(void=tuple(numbers)))
            self.flush()

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _sync(self) -> None:
        """Flush the journal; the first time with all that makes it findable: what lies beside it, its folder, the folder of runs."""
        if self._beside is None:
            os.fsync(self._descriptor)
            return
        path = os.path.join(self._folder, JOURNAL)
        sync_paths([path, *self._beside, self._images, self._folder, os.path.dirname(self._folder)])
        self._beside = None

    def _sync_images(self) -> None:
        fresh, self._fresh = self._fresh, []
        for start in range(0, len(fresh), OPEN_AT_ONCE):
            sync_paths(fresh[start : start + OPEN_AT_ONCE])
        if fresh:
            sync_folder(self._images)


def has_entries(folder: str) -> bool:
    """Say whether a run's journal holds anything that could be undone."""
    try:
        return os.path.getsize(os.path.join(folder, JOURNAL)) > 0
    except OSError:
        return False


def read_journal(folder: str) -> Tuple[Entry, ...]:
    """Give a run's entries in order, but those that nothing came of; what follows a line that a crash cut short was never acted on and
    is left out.
    """
    path = os.path.join(folder, JOURNAL)
    if not os.path.exists(path):
        return ()
    found: List[Entry] = []
    with open(path, "rb") as stream:
        for line in stream:
            try:
                found.append(_read_entry(line, folder))
            except (MalformedError, KeyError, TypeError):
                break
    void = {number for entry in found for number in entry.void}
    return tuple(entry for number, entry in enumerate(found) if number not in void and not entry.void)


def make_memory_folder(run: str) -> str:
    """Give the folder for a run's sensitive images, made when missing; an empty text where there is no memory-backed storage."""
    if not has_memory():
        return ""
    folder = os.path.join(MEMORY_FOLDER, run)
    try:
        os.makedirs(MEMORY_FOLDER, mode=0o700, exist_ok=True)
        os.chmod(MEMORY_FOLDER, 0o700)
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise HostError(f"cannot make {folder}: {error.strerror}", code="E220") from error
    return folder


def has_memory() -> bool:
    """Say whether this user has memory-backed storage for sensitive images (root, and /run is a tmpfs)."""
    if os.geteuid() != 0:
        return False
    try:
        with open("/proc/mounts", encoding="utf-8", errors="replace") as stream:
            return any(line.split(" ")[1:3] == [os.path.dirname(MEMORY_FOLDER), "tmpfs"] for line in stream)
    except OSError:
        return False


def _copy(source: int, path: str, limit: int) -> str:
    """Copy an open file to a new one, its write-back begun; give the digest. What grows beyond the limit meanwhile is OSError."""
    digest, size = sha256(), 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        while True:
            part = os.read(source, CHUNK)
            if not part:
                break
            size += len(part)
            if size > limit:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
            digest.update(part)
            write_sparse(descriptor, part)
        os.ftruncate(descriptor, size)
        start_writeback(descriptor)
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def _read_entry(line: bytes, folder: str) -> Entry:
    if not line.endswith(b"\n"):
        raise MalformedError("a line without an end", code="E242")
    table = cast(Mapping[str, Any], decode_json(line))
    before = cast("Optional[Dict[str, Json]]", table["before"])
    if before is not None and before.get("image"):
        before["image"] = os.path.join(folder, str(before["image"]))
    request = cast("Optional[Dict[str, Json]]", table.get("request"))
    return Entry(
        program=os.path.join(folder, str(table["program"])) if request is not None else "",
        request=request,
        path=str(table["path"]),
        before=before,
        undo=tuple(cast(Sequence[str], table["undo"])),
        why_not=str(table["why_not"]),
        is_sensitive=bool(table.get("sensitive")),
        record=str(table.get("record") or ""),
        is_refresh=bool(table.get("refresh")),
        void=tuple(int(number) for number in cast(Sequence[int], table.get("void") or ())),
    )


def _unlink_quietly(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
