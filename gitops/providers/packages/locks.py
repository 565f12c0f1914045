"""Locks of package managers: another process's work is waited for, within a bound, and then told by its name.

A tool that gives up at once is asked again; one that waits by itself (`Holder.is_waited_for`) is not. No lock is ever broken or removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Mapping, Optional, Sequence

from gitops.errors import HostError
from gitops.model.codec import Json
from gitops.providers.host import Finished, Host

LOCK_SECONDS = 60
PAUSE_SECONDS = 2
TRANSACTION_SECONDS = 1800
LOCKED = "E360"
HELD_SHOWN = 100


@dataclass(frozen=True)
class Holder:
    """Who holds which lock, in words; `is_waited_for` says that the tool itself waited before it gave up."""

    lock: str
    who: str
    is_waited_for: bool = False


FindHolder = Callable[[str, Host], Optional[Holder]]


def run_when_free(
    argv: Sequence[str],
    host: Host,
    find_holder: FindHolder,
    *,
    environment: Optional[Mapping[str, Json]] = None,
    user: str = "",
    timeout: int = 0,
) -> Finished:
    """Run a command; while its output says that a lock is held, run it again. Raise HostError E360 when that lasts too long."""
    pauses = LOCK_SECONDS // PAUSE_SECONDS
    while True:
        done = host.run(argv, environment=environment, user=user, timeout=timeout)
        holder = find_holder(done.output, host) if done.status != 0 else None
        if holder is None:
            return done
        if holder.is_waited_for or pauses == 0:
            break
        host.run(["sleep", str(PAUSE_SECONDS)])
        pauses -= 1
    raise HostError(
        f"{argv[0]} waited {LOCK_SECONDS} s for {holder.lock}, held by {holder.who}; nothing was done: run again when that has ended",
        code=LOCKED,
    )


def name_process(number: str, host: Host) -> str:
    """Give a process by number and name, as the kernel has it (files of /proc may belong to anybody, so a program reads them)."""
    done = host.run(["cat", f"/proc/{number}/comm"])
    name = done.output.strip()[:HELD_SHOWN]
    return f"process {number} ({name})" if done.status == 0 and name else f"process {number}, which has ended"


def find_processes(name: str, host: Host) -> Sequence[str]:
    """Give the numbers of the processes that have a name."""
    paths = [f"/proc/{entry}/comm" for entry in host.list_names("/proc") if entry.isdigit()]
    found = host.run(["grep", "-l", "-s", "-x", "--", name, *paths]).output.splitlines() if paths else ()
    return [path.split("/")[2] for path in found if path in paths]
