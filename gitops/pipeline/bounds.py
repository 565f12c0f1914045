"""Bounds of a compile in this process: time and memory, whatever the config holds.

Two nets. A timer raises LimitReachedError in the code that runs, so that the mistake can be told with its place; should that code sit
in one call that never comes back to Python, a watchdog of the C library ends the process with exit status 1 a little later. Works
in the main thread of a process only (signals do); other threads compile through `gitops.pipeline.child`, which the parent kills.
"""

from __future__ import annotations

import faulthandler
import resource
import signal
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gitops.errors import TrueupError
from gitops.model.limits import DEFAULTS, MIB

AGAIN_SECONDS = 0.5
WATCHDOG_SECONDS = 5
ROOM = 256 * MIB


class LimitReachedError(TrueupError):
    """A compile took longer than it may (exit 1)."""

    code = "C606"
    exit_status = 1


@dataclass(frozen=True)
class Bounds:
    """Seconds on the wall clock and bytes of address space; `stated` are the seconds told to people, when others."""

    seconds: float = DEFAULTS.compile_seconds
    memory: int = DEFAULTS.compile_memory
    stated: float = 0

    @property
    def too_long(self) -> str:
        """Say that the time is over."""
        return f"compiling takes longer than {self.stated or self.seconds:g} s"

    @property
    def too_much(self) -> str:
        """Say that the memory is used up."""
        return f"compiling takes more than {self.memory // MIB} MiB of memory"


@contextmanager
def keep_bounds(bounds: Bounds) -> Generator[None]:
    """Run the body within bounds; it ends in LimitReachedError or MemoryError beyond them. Nested and threaded use bounds nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    memory = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_memory_limit(bounds.memory, memory[1]), memory[1]))
    handler = signal.signal(signal.SIGALRM, _raise_limit)
    started = time.monotonic()
    before = signal.setitimer(signal.ITIMER_REAL, bounds.seconds, AGAIN_SECONDS)
    _watch(bounds.seconds + WATCHDOG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        faulthandler.cancel_dump_traceback_later()
        resource.setrlimit(resource.RLIMIT_AS, memory)
        if before[0]:
            left = before[0] - (time.monotonic() - started)
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left), before[1])


def _raise_limit(_signal: int, _frame: object) -> None:
    raise LimitReachedError("compiling takes too long")


def _watch(seconds: float) -> None:
    """End the process should the timer not; needs a standard error that is a real file."""
    stream = sys.__stderr__
    if stream is not None and not stream.closed:
        faulthandler.dump_traceback_later(seconds, exit=True, file=stream)


def _memory_limit(wanted: int, hard: int) -> int:
    """Give the limit: what is wanted, or what this process has already and some room (a large program that embeds us)."""
    wanted = max(wanted, _address_space() + ROOM)
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def _address_space() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return 0
    return pages * resource.getpagesize()
