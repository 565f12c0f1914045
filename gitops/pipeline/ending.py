"""How a compiling child ended, when it did not end well: as a diagnostic with a reason, whatever it was. Never an exception.

Takes the exit status and what the child wrote to its standard error. Two codes: C606 where the config or the machine made it end (time,
memory, nesting, somebody who killed it), C607 where this program broke; then it says what to report.
"""

from __future__ import annotations

import re
import signal
from pathlib import Path

from gitops.config.load import PROJECT_FILE
from gitops.model.diagnostic import Diagnostic, Place
from gitops.pipeline.answer import BROKEN, STOPPED, CompiledCommit
from gitops.pipeline.bounds import HINT, Bounds

TAIL, LAST_WORDS, MOST_LINES = 4000, 200, 30
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
TRY_AGAIN = "plan again; if it ends so once more, look for what grows without end, or give the machine more memory"
REPORT = (
    "this is a bug of gitops and no mistake of yours: report it to the issue tracker named in CONTRIBUTING.md, with this message"
)
TOO_DEEP = "something is nested too deeply to compile"
_FRAME = re.compile(r'File "[^"]*?((?:gitops|cue)/[^"]+)", line (\d+)')


def stop(message: str, hint: str = HINT) -> CompiledCommit:
    """Give the answer of a compile that the config or the machine made end."""
    return CompiledCommit(diagnostics=(Diagnostic(STOPPED, message, Place(PROJECT_FILE), hint=hint),))


def describe_ending(status: int, log: Path, bounds: Bounds) -> CompiledCommit:
    """Say why a child ended with a status that is not 0; negative: by that signal."""
    words = _read_tail(log)
    if status < 0:
        return _describe_signal(-status, words, bounds)
    last = words[-LAST_WORDS:]
    if "MemoryError" in last or "out of memory" in last:
        return stop(bounds.too_much)
    if "RecursionError" in last:
        return stop(TOO_DEEP)
    return describe_breakage(f"the compiling process ended with status {status}", words)


def describe_breakage(what: str, words: str = "") -> CompiledCommit:
    """Give the answer of a compile that this program broke: the last words of its process, and where they came from."""
    lines = [line.rstrip() for line in words.splitlines() if line.strip()]
    frames = _FRAME.findall(words)
    where = f" at {frames[-1][0]}:{frames[-1][1]}" if frames else ""
    message = f"{what}: {lines[-1].strip()[:LAST_WORDS]}{where}" if lines else what
    found = Diagnostic(BROKEN, message, Place(PROJECT_FILE), hint=REPORT, notes=tuple(lines[-MOST_LINES:]))
    return CompiledCommit(diagnostics=(found,))


def _describe_signal(number: int, words: str, bounds: Bounds) -> CompiledCommit:
    name = _name_signal(number)
    if number == signal.SIGXCPU:
        return stop(bounds.too_long)
    if number == signal.SIGKILL:
        memory = f"a machine does that when it is short of memory (compiling may take {bounds.memory >> 20} MiB)"
        return stop(f"compiling was killed ({name}); {memory}", TRY_AGAIN)
    if number in CRASHES:
        reason = (
            TOO_DEEP if "stack overflow" in words or "recursion" in words else "out of memory, or something is nested too deeply"
        )
        return stop(f"compiling crashed ({name}): {reason}", TRY_AGAIN)
    return stop(f"compiling was ended from outside ({name})", "plan again")


def _name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _read_tail(log: Path) -> str:
    try:
        return log.read_bytes()[-TAIL:].decode("utf-8", "replace")
    except OSError:
        return ""
