"""Bounds of a compile in this process: time and memory, whatever the config holds.

Two nets. A timer raises LimitReachedError in the code that runs, so that the mistake can be told with its place; should that code sit
in one call that never comes back to Python, a watchdog of the C library ends the process with exit status 1 a little later, and a
forked process that waits for just that says why, since the stuck one cannot. Works in the main thread of a process only (signals do);
other threads compile through `gitops.pipeline.child`, which the parent kills.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from gitops.errors import TrueupError
from gitops.model.limits import DEFAULTS, MIB

AGAIN_SECONDS = 0.5
WATCHDOG_SECONDS = 5
ROOM = 256 * MIB
STDERR = 2
HINT = "look for a loop, a pattern or an expansion that does not end"


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
    stop_watching = _watch(bounds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        stop_watching()
        resource.setrlimit(resource.RLIMIT_AS, memory)
        if before[0]:
            left = before[0] - (time.monotonic() - started)
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left), before[1])


def _raise_limit(_signal: int, _frame: object) -> None:
    raise LimitReachedError("compiling takes too long")


def _watch(bounds: Bounds) -> Callable[[], None]:
    """End the process should the timer not, and say why; give what ends the watch."""
    line = f"error[{LimitReachedError.code}]: {bounds.too_long}\n   = {HINT}\n".encode()
    reader, writer = os.pipe()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))  # a Ctrl-C is the watched process's to handle
    child = os.fork()
    if child == 0:
        _tell_the_end(reader, line)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.close(reader)
    faulthandler.dump_traceback_later(bounds.seconds + WATCHDOG_SECONDS, exit=True, file=writer)

    def stop() -> None:
        faulthandler.cancel_dump_traceback_later()
        os.close(writer)
        os.waitpid(child, 0)

    return stop


def _tell_the_end(reader: int, line: bytes) -> NoReturn:
    """Be the forked process: wait until the other one ends or stops the watch; the watchdog's own words mean that it was stuck."""
    try:
        os.closerange(0, STDERR)
        os.closerange(STDERR + 1, reader)
        os.closerange(reader + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        if os.read(reader, 1):
            os.write(STDERR, line)
    finally:
        os._exit(0)  # nothing of the process that was copied may run


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
