"""Run the executor on this machine: a child process out of a pack, request in, events out.

The pack lies by digest in a folder of the user's own (importing from a zip costs most of the time budget) and is read by descriptor; the
child is told the digest of what was read, and runs that or nothing. Events are bounded; a child that dies without a word is an error.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from gitops.errors import BugError, HeldError, HostError, RemoteError, TrueupError, TrustError, UsageError
from gitops.executor.ownfolder import DIGEST_LETTERS, NotOwnError, evict_own, open_own, read_own, seal_own, write_own
from gitops.model.codec import decode_json, encode_canonical
from gitops.model.fields import Fields
from gitops.model.limits import DEFAULTS
from gitops.model.wire import Event, Request
from gitops.transport.pack import make_pack, name_pack
from gitops.transport.payload import build_payload

ERRORS: dict[int, type[TrueupError]] = {1: UsageError, 3: HeldError, 4: HostError, 6: TrustError, 7: RemoteError}
Tell = Callable[[Event], None]
MOST_KEPT = 40


@dataclass(frozen=True)
class KeptExecutor:
    """The file of a kept executor, the digest of all its bytes, and how many: whoever starts it runs these bytes or none."""

    path: Path
    digest: str
    size: int


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


class Started:
    """An executor that waits for its request, so that its start and the compiler's work go on at the same time. Without a request it
    ends when this is left, having done nothing.
    """

    def __init__(self, cache: Path, python: str = sys.executable) -> None:
        self._process = subprocess.Popen(  # the executor ends by its own bounds; a deadline here could cut a run in half
            executor_command(keep_executor(build_payload(), cache, python), python),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(Path.home()), "LANG": "C.UTF-8"},
        )

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.communicate()

    def run(self, request: Request, tell: Tell | None = None) -> Executed:
        """Run a request, once; raise the error that the executor reports, with its code and exit status."""
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise BugError("no pipes to the executor", code="B031")
        events: list[Event] = []
        try:
            process.stdin.write(encode_canonical(request.to_json()))
            process.stdin.close()
            for line in iter(lambda: process.stdout.readline(DEFAULTS.event_bytes), b""):  # pyright: ignore[reportOptionalMemberAccess]  it is a pipe
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


def run_local(request: Request, *, cache: Path, tell: Tell | None = None, python: str = sys.executable) -> Executed:
    """Run a request here; raise the error that the executor reports, with its code and exit status."""
    with Started(cache, python) as started:
        return started.run(request, tell)


def executor_command(kept: KeptExecutor, python: str = sys.executable) -> list[str]:
    """Give the command that runs the executor out of its pack: isolated, and started by hand, since `runpy` alone costs 4 ms; ended by
    hand too, since every event is flushed and taking the interpreter apart costs 5 ms.
    """
    steps = (
        "import os, sys",
        "sys.version_info < (3, 9) and sys.exit('gitops: the executor needs Python 3.9 or newer')",
        f"descriptor = os.open({str(kept.path)!r}, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)",
        f"with os.fdopen(descriptor, 'rb') as stream: data = stream.read({kept.size} + 1)",
        "from hashlib import sha256",
        f"sha256(data).hexdigest() == {kept.digest!r} or sys.exit('gitops: the kept executor was changed; start it again')",
        f"{inline('gitops.transport.pack')}",
        f"import_pack(memoryview(data)[{DIGEST_LETTERS}:])",
        "from gitops.executor.__main__ import main",
        "os._exit(main())",
    )
    return [python, "-I", "-S", "-B", "-c", "\n".join(steps)]


@cache
def inline(name: str) -> str:
    """Give a module's text to put before a program's own; it may import only the standard library."""
    package, _, stem = name.rpartition(".")
    text = files(package).joinpath(f"{stem}.py").read_text("utf-8")
    return text.replace("from __future__ import annotations\n", "", 1)


def keep_executor(archive: bytes, cache: Path, python: str = sys.executable) -> KeptExecutor:
    """Give the executor of an archive, compiled when it is not kept yet, or not whole, or not this user's alone.

    Raise HostError when the folder is somebody else's. Processes may do this at the same time, and may be killed at any point of it.
    """
    is_own = python == sys.executable
    key = name_pack(hashlib.sha256(archive).hexdigest()) if is_own else f"{hashlib.sha256(archive).hexdigest()}-any"
    folder = cache / "executor"
    try:
        with open_own(str(folder), make=True) as descriptor:
            try:
                pack = read_own(descriptor, key, DEFAULTS.cached_entry_bytes)
            except OSError:
                pack = make_pack(read_members(archive), compiled=is_own)
                write_own(descriptor, key, pack)
                evict_own(descriptor, MOST_KEPT, DEFAULTS.cached_bytes)
    except (NotOwnError, NotADirectoryError) as error:
        hint = "set XDG_CACHE_HOME to a folder of your own"
        raise HostError(f"{folder} belongs to somebody else", code="E262", hint=hint) from error
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise HostError(f"{folder} is a link", code="E262", hint="remove it, or set XDG_CACHE_HOME to another folder") from error
    whole = seal_own(key, pack) + pack
    return KeptExecutor(folder / key, hashlib.sha256(whole).hexdigest(), len(whole))


def read_members(archive: bytes) -> dict[str, bytes]:
    """Give the files of an archive by name."""
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        return {name: source.read(name) for name in source.namelist()}


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
