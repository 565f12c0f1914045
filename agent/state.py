"""The agent's part of the state folder: durable, atomic, private; lost or corrupt is exit 6, "enrol again".

`enrolment.json` and `memory.json` (written at enrolment and never absent after it), `releases/<own digest>.json` with `blobs/` (all that
healing needs with everything else down), `credential.json`, `pause.json`, `last.json`, `quarantine/` (fetched, not believed). Files
are written beside their place, flushed and renamed; the memory is written after all that it points to.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from agent.documents import (
    AgentMemory,
    Enrolment,
    Last,
    Pause,
    Pointer,
    Staged,
    read_credential,
    read_enrolment,
    read_last,
    read_memory,
    read_pause,
    read_staged,
    write_credential,
)
from gitops.errors import HostError, MalformedError, TrustError, UsageError
from gitops.executor.durable import write_durably
from gitops.executor.state import make_private
from gitops.model.codec import decode_canonical, digest_bytes, encode_canonical
from gitops.model.limits import DEFAULTS
from gitops.trust.contents import find_blobs

Noun = TypeVar("Noun")
OTHERS = 0o077
AGAIN = "enrol this machine again, with a fresh --state folder"


class AgentState:
    """What one enrolled agent keeps in DIR/agent; the executor's runs and ledger lie in DIR itself."""

    def __init__(self, base: Path) -> None:
        self.machine = base
        self.base = base / "agent"
        self.blobs = self.base / "blobs"
        self.quarantine = self.base / "quarantine"
        self.spool = self.base / "spool"
        self.cache = self.base / "cache"

    def prepare(self) -> None:
        """Make the folders, private."""
        try:
            for folder in (self.machine, self.base, self.base / "releases", self.blobs, self.spool):
                _make_folder(folder)
        except OSError as error:
            raise HostError(
                f"cannot make the state folder {self.base}: {error.strerror}", code="E270", hint="use --state DIR"
            ) from error

    def refuse_second(self) -> None:
        """Raise UsageError when there is an enrolment: it is never overwritten."""
        if (self.base / "enrolment.json").exists():
            message = f"this machine is enrolled already ({self.base / 'enrolment.json'})"
            raise UsageError(message, code="U080", hint="an enrolment is never overwritten; use another --state folder")

    def enrol(self, enrolment: Enrolment, credential: str) -> None:
        """Write everything of a new enrolment, the enrolment itself last; raise UsageError when there is one."""
        self.refuse_second()
        self.prepare()
        self.write_memory(AgentMemory())
        if credential:
            self._write("credential.json", write_credential(enrolment.host, credential))
        self._write("enrolment.json", enrolment.to_bytes())

    def read_enrolment(self) -> Enrolment:
        """Give the enrolment; raise TrustError when it is lost or corrupt."""
        return self._require("enrolment.json", read_enrolment)

    def read_memory(self) -> AgentMemory:
        """Give the memory; raise TrustError when it is lost or corrupt: without it an old release could come back."""
        return self._require("memory.json", read_memory)

    def write_memory(self, memory: AgentMemory) -> None:
        """Replace the memory."""
        self._write("memory.json", memory.to_bytes())

    def read_credential(self) -> str:
        """Give the credential for the service, or an empty text when none was issued."""
        found = self._read("credential.json", lambda data: read_credential(decode_canonical(data)))
        return "" if found is None else found[1]

    def read_pause(self) -> Pause | None:
        """Give the pause that an operator set, over or not."""
        return self._read("pause.json", read_pause)

    def write_pause(self, pause: Pause | None) -> None:
        """Set or lift a pause."""
        if pause is None:
            (self.base / "pause.json").unlink(missing_ok=True)
        else:
            self._write("pause.json", pause.to_bytes())

    def read_last(self) -> Last | None:
        """Give how the last cycle ended."""
        return self._read("last.json", read_last)

    def write_last(self, last: Last) -> None:
        """Remember how a cycle ended."""
        self._write("last.json", encode_canonical(last.to_json()))

    def stage(self, staged: Staged, read_content: Callable[[str], bytes]) -> Pointer:
        """Write a verified release with every content that its resources name; give the pointer for the memory."""
        for digest in sorted(find_blobs(staged.resources or ())):
            path = self.blobs / digest[:2] / digest
            if not path.exists():
                _make_folder(path.parent)
                write_durably(str(path), read_content(digest))
        data = staged.to_bytes()
        document = digest_bytes(data)
        self._write(f"releases/{document}.json", data)
        return Pointer(staged.manifest.serial, staged.manifest.digest, document)

    def read_staged(self, pointer: Pointer) -> Staged:
        """Give a staged release; raise TrustError when a byte of it, or a content that it names, is lost."""
        path = f"releases/{pointer.document}.json"

        def read(data: bytes) -> Staged:
            if digest_bytes(data) != pointer.document:
                raise MalformedError("it is not what was staged", code="M062")
            return read_staged(data)

        staged = self._require(path, read)
        for digest in find_blobs(staged.resources or ()):
            if not (self.blobs / digest[:2] / digest).is_file():
                raise TrustError(f"the agent's state is corrupt: content {digest[:12]} is lost", code="T111", hint=AGAIN)
        return staged

    def forget(self, memory: AgentMemory) -> None:
        """Remove releases and contents that the memory does not point to, and what a crash left."""
        kept = {item.document: item for item in (memory.seen, memory.good) if item is not None}
        needed = {digest for item in kept.values() for digest in find_blobs(self.read_staged(item).resources or ())}
        for path in (self.base / "releases").iterdir():
            if path.name.removesuffix(".json") not in kept or not path.name.endswith(".json"):
                path.unlink()
        for folder in self.blobs.iterdir():
            for path in folder.iterdir():
                if path.name not in needed:
                    path.unlink()

    def drop_quarantine(self) -> None:
        """Remove everything that was fetched and not staged."""
        shutil.rmtree(self.quarantine, ignore_errors=True)

    def _write(self, name: str, data: bytes) -> None:
        write_durably(str(self.base / name), data)

    def _require(self, name: str, read: Callable[[bytes], Noun]) -> Noun:
        found = self._read(name, read)
        if found is None:
            what = (
                "this machine is not enrolled, or its state was lost" if name == "enrolment.json" else "the agent's state is lost"
            )
            raise TrustError(f"{what}: {self.base / name} is missing", code="T110", hint=AGAIN)
        return found

    def _read(self, name: str, read: Callable[[bytes], Noun]) -> Noun | None:
        path = self.base / name
        try:
            with path.open("rb") as stream:
                info, data = os.fstat(stream.fileno()), stream.read(DEFAULTS.request_bytes)
            if info.st_uid != os.geteuid():
                message = f"{path} belongs to user {info.st_uid}, this agent is user {os.geteuid()}"
                raise TrustError(message, code="T112", hint="run it as that user; if nobody should have written there: " + AGAIN)
            if info.st_mode & OTHERS:
                raise TrustError(f"others may read or write {path}", code="T112", hint=f"chmod 600 {path}, if you trust it still")
            return read(data)
        except FileNotFoundError:
            return None
        except MalformedError as error:
            raise TrustError(f"the agent's state is corrupt: {path}: {error.message}", code="T111", hint=AGAIN) from error


def _make_folder(folder: Path) -> None:
    """Make a private folder that is still there after a power loss (its name is flushed in its parent), or close the one that is there.

    Raise HostError for one of somebody else, or that others may have written in.
    """
    is_there = folder.is_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_private(str(folder))
    if is_there:
        return
    descriptor = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
