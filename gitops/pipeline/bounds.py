"""Bounds of a compile in this process: processor time and memory, whatever the config holds. Waiting costs nothing.

Two nets. A timer of the processor's time raises LimitReachedError in the code that runs, so that the mistake can be told with its place;
should that code sit in one call that never comes back to Python, the kernel ends the process a little later (SIGXCPU), and a forked
process that waits for just that says why, since the stuck one cannot. The time grows with the hosts, up to a bound (`Bounds.for_hosts`).
Works in the main thread of a process only (signals do); other threads compile through `gitops.pipeline.child`, which the parent kills.
"""

from __future__ import annotations

import faulthandler
import math
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
SPARE_SECONDS = 3
ROOM = 256 * MIB
STDERR = 2
HINT = "look for a loop, a pattern or an expansion that does not end"


class LimitReachedError(TrueupError):
    """A compile took longer than it may (exit 1)."""

    code = "C606"
    exit_status = 1


@dataclass(frozen=True)
class Bounds:
    """Seconds of processor time for up to a thousand hosts, bytes of address space, and seconds on the clock for a child process."""

    seconds: float = DEFAULTS.compile_seconds
    memory: int = DEFAULTS.compile_memory
    wall: float = DEFAULTS.compile_wall_seconds

    def for_hosts(self, hosts: int) -> float:
        """Give the seconds that so many hosts may take: as many again for each further thousand, at most ten times as many."""
        return self.seconds * min(DEFAULTS.compile_growth, max(1.0, hosts / DEFAULTS.compile_hosts))

    @property
    def most_seconds(self) -> float:
        """Give the seconds that no number of hosts may exceed."""
        return self.seconds * DEFAULTS.compile_growth

    @property
    def too_long(self) -> str:
        """Say that the processor time is over, where the number of hosts is not known."""
        return f"{say_too_long(self.seconds)} for each thousand hosts"

    @property
    def too_slow(self) -> str:
        """Say that the time on the clock is over."""
        return f"compiling was not done after {self.wall:g} s, though it did not use up its processor time"

    @property
    def too_much(self) -> str:
        """Say that the memory is used up."""
        return f"compiling takes more than {self.memory // MIB} MiB of memory"


def say_too_long(seconds: float) -> str:
    """Say that so much processor time is over."""
    return f"compiling takes longer than {seconds:g} s of processor time"


@contextmanager
def keep_bounds(bounds: Bounds) -> Generator[Callable[[int], None]]:
    """Run the body within bounds; it ends in LimitReachedError or MemoryError beyond them. Gives what is told the number of hosts.

    Nested and threaded use bounds nothing more.
    """
    if threading.current_thread() is not threading.main_thread() or isinstance(_handler_of_alarm(), _Guard):
        yield lambda _hosts: None
        return
    guard = _Guard(bounds)
    try:
        try:
            guard.start()
            yield guard.allow
        finally:
            guard.stop()
    finally:
        guard.stop()  # the alarm, or Ctrl-C, may have come in the middle of the first


class _Guard:
    """The nets of one compile; as a signal's handler it raises until it was stopped."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._begun = time.process_time()
        self._seconds = bounds.seconds
        self._is_over = False
        self._undo: list[Callable[[], object]] = []

    def start(self) -> None:
        """Set limits and alarm."""
        handler = _handler_of_alarm()
        signal.signal(signal.SIGPROF, self)
        # Never back to the default, which ends the process: an alarm may still be under way.
        self._undo.append(lambda: signal.signal(signal.SIGPROF, handler if callable(handler) else _ignore))
        self._limit(resource.RLIMIT_AS, _memory_limit(self._bounds.memory))
        self._limit(resource.RLIMIT_CORE, 0)
        before = resource.getrlimit(resource.RLIMIT_CPU)[0]
        self._undo.append(lambda: _set_soft(resource.RLIMIT_CPU, before))
        self._undo.append(_watch(self._bounds))
        self._arm()
        self._undo.append(lambda: signal.setitimer(signal.ITIMER_PROF, 0))

    def allow(self, hosts: int) -> None:
        """Let so many hosts take the time that they may take."""
        self._seconds = self._bounds.for_hosts(hosts)
        self._arm()

    def stop(self) -> None:
        """Leave the process as it was; may be called again after an interruption."""
        self._is_over = True
        while self._undo:
            self._undo.pop()()

    def __call__(self, _signal: int, _frame: object) -> None:
        """Be the handler of the alarm."""
        if not self._is_over:
            raise LimitReachedError(say_too_long(self._seconds))

    def _arm(self) -> None:
        _set_soft(resource.RLIMIT_CPU, math.ceil(self._begun + self._seconds + SPARE_SECONDS))
        left = self._begun + self._seconds - time.process_time()
        signal.setitimer(signal.ITIMER_PROF, max(0.001, left), AGAIN_SECONDS)

    def _limit(self, kind: int, wanted: int) -> None:
        before = resource.getrlimit(kind)[0]
        self._undo.append(lambda: _set_soft(kind, before))
        _set_soft(kind, wanted)


def _handler_of_alarm() -> object:
    return signal.getsignal(signal.SIGPROF)


def _ignore(_signal: int, _frame: object) -> None:
    return


def _set_soft(kind: int, wanted: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if resource.RLIM_INFINITY not in (wanted, hard):
        wanted = min(wanted, hard)
    resource.setrlimit(kind, (wanted, hard))


def _watch(bounds: Bounds) -> Callable[[], None]:
    """Say why, should the kernel end the process for the processor time that it took; give what ends the watch."""
    line = f"error[{LimitReachedError.code}]: {bounds.too_long}\n   = {HINT}\n".encode()
    reader, writer = os.pipe()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))  # a Ctrl-C is the watched process's to handle
    child = os.fork()
    if child == 0:
        _tell_the_end(reader, line)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.close(reader)
    faulthandler.register(signal.SIGXCPU, file=writer, all_threads=False, chain=True)

    def stop() -> None:
        faulthandler.unregister(signal.SIGXCPU)
        os.close(writer)
        os.waitpid(child, 0)

    return stop


def _tell_the_end(reader: int, line: bytes) -> NoReturn:
    """Be the forked process: wait until the other one ends or stops the watch; what the last signal writes means that it was stuck."""
    try:
        os.closerange(0, STDERR)
        os.closerange(STDERR + 1, reader)
        os.closerange(reader + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        if os.read(reader, 1):
            os.write(STDERR, line)
    finally:
        os._exit(0)  # nothing of the process that was copied may run


def _memory_limit(wanted: int) -> int:
    """Give the limit: what is wanted, or what this process has already and some room (a large program that embeds us)."""
    return max(wanted, _address_space() + ROOM)


def _address_space() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return 0
    return pages * resource.getpagesize()
