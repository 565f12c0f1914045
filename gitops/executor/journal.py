"""The write-ahead journal of one run: what was there before, written and flushed before anything changes.

One JSON line an entry: a path with its state before (content in `images/` by digest), a command that undoes, or why nothing can.
A batch of entries is flushed once. Sensitive content goes only to memory-backed storage, or is not kept.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, cast

from gitops.errors import HostError
from gitops.model.codec import Json, decode_json, digest_bytes

JOURNAL = "journal.jsonl"
IMAGES = "images"
MEMORY_FOLDER = "/run/gitops"


@dataclass(frozen=True)
class Entry:
    """One line. `before` is {type, mode, uid, gid, image | target}; for commands `undo` or `why_not`."""

    path: str = ""
    before: Optional[Mapping[str, Json]] = None
    undo: Tuple[str, ...] = ()
    why_not: str = ""

    def to_json(self) -> Dict[str, Json]:
        """Give the line's object."""
        before = None if self.before is None else dict(self.before)
        return {"path": self.path, "before": before, "undo": list(self.undo), "why_not": self.why_not}


class Journal:
    """The journal of a run that is going on."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._images = os.path.join(folder, IMAGES)
        self._memory = ""
        self._pending: List[Entry] = []
        self._has_new_image = False
        os.makedirs(self._images, mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(os.path.join(folder, JOURNAL), flags, 0o600)

    def add(self, entry: Entry) -> None:
        """Put an entry into the batch."""
        self._pending.append(entry)

    def keep_image(self, data: bytes, *, is_sensitive: bool) -> str:
        """Keep content and give its file, or an empty text when it may not be kept."""
        folder = self._images
        if is_sensitive:
            folder = self._memory or _memory_folder(os.path.basename(self._folder))
            self._memory = folder
            if not folder:
                return ""
        path = os.path.join(folder, digest_bytes(data))
        if not os.path.exists(path):
            with open(path, "wb", opener=_private) as stream:
                stream.write(data)
            self._has_new_image = True
        return path

    def flush(self, *, many: int = 16) -> None:
        """Make the batch durable: nothing of it may change before this returns."""
        if not self._pending:
            return
        lines = [json.dumps(entry.to_json(), separators=(",", ":"), ensure_ascii=False) + "\n" for entry in self._pending]
        os.write(self._descriptor, "".join(lines).encode("utf-8", "surrogateescape"))
        if self._has_new_image and len(self._pending) > many:
            os.sync()
        else:
            self._sync_images()
            os.fsync(self._descriptor)
        self._pending = []
        self._has_new_image = False

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _sync_images(self) -> None:
        if not self._has_new_image:
            return
        for entry in self._pending:
            image = (entry.before or {}).get("image")
            if isinstance(image, str) and image:
                _sync_file(image)
        _sync_file(self._images)


def read_journal(folder: str) -> Tuple[Entry, ...]:
    """Give a run's entries in order; a last line that a crash cut short is left out."""
    path = os.path.join(folder, JOURNAL)
    if not os.path.exists(path):
        return ()
    found: List[Entry] = []
    with open(path, "rb") as stream:
        for line in stream:
            if line.endswith(b"\n"):
                found.append(_read_entry(line))
    return tuple(found)


def _read_entry(line: bytes) -> Entry:
    table = cast(Mapping[str, Any], decode_json(line))
    return Entry(
        path=str(table["path"]),
        before=cast("Optional[Mapping[str, Json]]", table["before"]),
        undo=tuple(cast(Sequence[str], table["undo"])),
        why_not=str(table["why_not"]),
    )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _sync_file(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _memory_folder(run: str) -> str:
    if os.geteuid() != 0 or not _is_memory("/run"):
        return ""
    folder = os.path.join(MEMORY_FOLDER, run)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        os.chmod(MEMORY_FOLDER, 0o700)
    except OSError as error:
        raise HostError(f"cannot make {folder}: {error.strerror}", code="E220") from error
    return folder


def _is_memory(folder: str) -> bool:
    with open("/proc/mounts", encoding="utf-8", errors="replace") as stream:
        return any(line.split(" ")[1:3] == [folder, "tmpfs"] for line in stream)
