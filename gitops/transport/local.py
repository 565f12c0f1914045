"""Run the executor on this machine: a child process from the unpacked archive, request in, events out.

The archive lies unpacked by digest in a folder of the user's own (importing from a zip costs most of the time budget); what is
found there is checked against the archive before it is run. Events are bounded; a child that dies without a word is an error.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import py_compile
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gitops.errors import BugError, HeldError, HostError, RemoteError, TrueupError, TrustError, UsageError
from gitops.model.codec import decode_json, encode_canonical
from gitops.model.fields import Fields
from gitops.model.limits import DEFAULTS
from gitops.model.wire import Event, Request
from gitops.transport.payload import build_payload

ERRORS: dict[int, type[TrueupError]] = {1: UsageError, 3: HeldError, 4: HostError, 6: TrustError, 7: RemoteError}
Tell = Callable[[Event], None]
UNFINISHED = "new-"
OLD_SECONDS = 3600


@dataclass(frozen=True)
class Executed:
    """How the executor ended, and all its events."""

    status: int
    events: tuple[Event, ...]

    def body(self, event: str) -> object:
        """Give the body of the last event of a name; raise BugError when there is none."""
        for item in reversed(self.events):
            if item.event == event:
                return item.body
        raise BugError(f"the executor gave no `{event}`", code="B030")


def run_local(request: Request, *, cache: Path, tell: Tell | None = None, python: str = sys.executable) -> Executed:
    """Run a request here; raise the error that the executor reports, with its code and exit status."""
    folder = unpack_payload(build_payload(), cache)
    process = subprocess.Popen(  # the executor ends by its own bounds; a deadline here could cut a run in half
        executor_command(folder, python),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(Path.home()), "LANG": "C.UTF-8"},
    )
    if process.stdin is None or process.stdout is None:
        raise BugError("no pipes to the executor", code="B031")
    events: list[Event] = []
    try:
        process.stdin.write(encode_canonical(request.to_json()))
        process.stdin.close()
        for line in iter(lambda: process.stdout.readline(DEFAULTS.event_bytes), b""):  # pyright: ignore[reportOptionalMemberAccess]
            event = Event.from_json(decode_json(line))
            events.append(event)
            if tell is not None:
                tell(event)
    except BrokenPipeError:
        pass
    finally:
        process.stdout.close()
        status = process.wait()
    raise_error(events, status)
    return Executed(status, tuple(events))


def executor_command(folder: Path, python: str = sys.executable) -> list[str]:
    """Give the command that runs the unpacked executor: isolated, and started by hand, since `runpy` alone costs 4 ms; ended by hand too,
    since every event is flushed and taking the interpreter apart costs 5 ms.
    """
    steps = (
        "import os, sys",
        "sys.version_info < (3, 9) and sys.exit('gitops: the executor needs Python 3.9 or newer')",
        f"sys.path.insert(0, {str(folder)!r})",
        "from gitops.executor.__main__ import main",
        "os._exit(main())",
    )
    return [python, "-I", "-S", "-B", "-c", "; ".join(steps)]


def unpack_payload(archive: bytes, cache: Path) -> Path:
    """Give the folder of the unpacked archive; made when it is missing or not what the archive says. Raise HostError when others can
    write to the cache. Processes may do this at the same time, and may be killed at any point of it.
    """
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    parent = cache / "executor"
    folder = parent / hashlib.sha256(archive).hexdigest()
    _own_folder(parent)
    if _is_whole(folder, members):
        return folder
    _sweep(parent)
    fresh = Path(tempfile.mkdtemp(dir=parent, prefix=UNFINISHED))
    try:
        _unpack(members, fresh)
        return _put(fresh, folder, members)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _own_folder(folder: Path) -> None:
    """Make the folder, or refuse it when it is another user's; nobody else may write or read here."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        raise HostError(f"{folder} belongs to somebody else", code="E262", hint="set XDG_CACHE_HOME to a folder of your own")
    if info.st_mode & 0o077:
        folder.chmod(0o700)


def _unpack(members: dict[str, bytes], folder: Path) -> None:
    """Write sources and compiled files, flushed: after a power cut a folder is whole or not there."""
    for name, data in members.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        compiled = py_compile.compile(str(path), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        for written in (path, Path(str(compiled))):
            with written.open("rb") as stream:
                os.fsync(stream.fileno())


def _put(fresh: Path, folder: Path, members: dict[str, bytes]) -> Path:
    """Rename into place; whoever comes second takes what the first has put there, and a damaged folder is moved aside."""
    for _ in range(DEFAULTS.retries):
        try:
            fresh.rename(folder)
        except OSError:
            if _is_whole(folder, members):
                return folder
            aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=UNFINISHED))
            with contextlib.suppress(OSError):
                folder.rename(aside / "damaged")
            shutil.rmtree(aside, ignore_errors=True)
        else:
            return folder
    raise HostError(f"cannot put the executor into {folder}", code="E263", hint="remove the folder")


def _sweep(parent: Path) -> None:
    """Remove what processes that were killed left half unpacked, once it is old."""
    for path in parent.glob(f"{UNFINISHED}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > OLD_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def _is_whole(folder: Path, members: dict[str, bytes]) -> bool:
    try:
        info = folder.stat()
        if info.st_uid != os.geteuid() or info.st_mode & 0o022:
            return False
        return all((folder / name).read_bytes() == data for name, data in members.items())
    except OSError:
        return False


def raise_error(events: list[Event], status: int) -> None:
    """Raise what the executor reported as an error; one that said nothing is an error too."""
    for event in events:
        if event.event == "error":
            fields = Fields(event.body, "executor error")
            code, message, hint = fields.text("code"), fields.text("message"), fields.text("hint")
            kind = ERRORS.get(fields.integer("exit"), BugError)
            raise kind(message, code=code, hint=hint)
    if not events:
        raise HostError(f"the executor ended with status {status} and said nothing", code="E260")
