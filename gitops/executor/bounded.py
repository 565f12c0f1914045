"""Work on somebody else's bytes in a process that may be lost: bounds of time as a whole, memory, processor time and file size.

Takes a function that gives JSON, runs it in a forked child, gives what it gave or raises the HostError that it raised. What goes beyond the
bounds ends there: the executor goes on with an error, and neither its memory nor the machine's disk is spent. Imported only by a run
that fetches or unpacks something.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import select
import signal
import time
from dataclasses import dataclass
from typing import Any, Callable, List, Tuple

from gitops.errors import HostError, TrueupError
from gitops.executor.durable import write_all
from gitops.model.limits import DEFAULTS, MIB

CHUNK = 1 << 16
GRACE_SECONDS = 5
ANSWER_BYTES = 64 * MIB
OPEN_FILES = 256


@dataclass(frozen=True)
class Bounds:
    """Seconds in all, and of processor; memory for data; the size of a file that is written; and what is said when time is over."""

    seconds: float
    too_long: str
    code: str = "E324"
    processor: int = 3600
    memory: int = DEFAULTS.bounded_memory
    file_bytes: int = DEFAULTS.archive_bytes


def run_bounded(work: Callable[[], Any], bounds: Bounds) -> Any:
    """Run a function in a child and give what it gave; raise HostError for what it raised, or what ended it."""
    source, end = os.pipe()
    child = os.fork()
    if not child:
        os.close(source)
        _serve(work, bounds, end)
    os.close(end)
    try:
        answer = _read_answer(source, time.monotonic() + bounds.seconds)
    finally:
        os.close(source)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    if answer is None:
        raise HostError(bounds.too_long, code=bounds.code)
    if not answer:
        raise HostError(f"it took more than this machine gives it (ended by signal {status & 0x7F})", code="E333")
    table = json.loads(answer)
    if "error" in table:
        message, code, hint = table["error"]
        raise HostError(message, code=code, hint=hint)
    return table["result"]


def _read_answer(source: int, deadline: float) -> Any:
    """Read to the end; None when time is over, empty when the child said nothing."""
    parts: List[bytes] = []
    size = 0
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([source], [], [], left)[0]:
            return None
        part = os.read(source, CHUNK)
        size += len(part)
        if not part:
            return b"".join(parts)
        if size > ANSWER_BYTES:
            raise HostError(f"the answer is larger than {ANSWER_BYTES} bytes", code="E333")
        parts.append(part)


def _serve(work: Callable[[], Any], bounds: Bounds, end: int) -> None:
    """Do the work and say how it ended; never returns."""
    try:
        _bound(bounds)
        answer = _answer(work)
        write_all(end, json.dumps(answer).encode("ascii"))
    finally:
        os._exit(0)


def _answer(work: Callable[[], Any]) -> Any:
    try:
        return {"result": work()}
    except TrueupError as error:
        return {"error": [error.message, error.code, error.hint]}
    except (MemoryError, RecursionError):
        pass  # what was being made is let go of first
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "")
        return {"error": [f"{error.strerror or error}", "E333" if name == "EFBIG" else "E334", ""]}
    return {"error": ["it needs more memory than this work is given", "E333", ""]}


def _highest_file() -> int:
    """Give the highest number of a file that is open: those count, too, that came along and are not used."""
    try:
        return max(int(name) for name in os.listdir("/proc/self/fd"))
    except OSError:
        return 0


def _bound(bounds: Bounds) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error of the write, which says more
    signal.alarm(int(bounds.seconds) + GRACE_SECONDS)  # should the executor be gone
    rows: Tuple[Tuple[int, int], ...] = (
        (resource.RLIMIT_DATA, _used_memory() + bounds.memory),
        (resource.RLIMIT_FSIZE, bounds.file_bytes),
        (resource.RLIMIT_CPU, bounds.processor),
        (resource.RLIMIT_NOFILE, _highest_file() + OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    )
    for name, most in rows:
        hard = resource.getrlimit(name)[1]
        with contextlib.suppress(ValueError, OSError):  # a system that knows it by name only
            value = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(name, (value, value))


def _used_memory() -> int:
    """Give the data that the executor has already, so that the bound is on what is added."""
    with (
        contextlib.suppress(OSError, ValueError, IndexError),
        open("/proc/self/status", encoding="ascii", errors="replace") as stream,
    ):
        return next((int(line.split()[1]) << 10 for line in stream if line.startswith("VmData:")), 0)
    return 0
