"""Programs on the machine: started in a session of their own, followed within a time, ended with all that they started.

No terminal, no shell, a given environment and user; what they print is taken while it comes and bounded by who asks.
"""

from __future__ import annotations

import os
import pwd
import re
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import List, Mapping, Sequence

from gitops.errors import HostError
from gitops.executor.durable import write_all
from gitops.executor.redact import Tail

CHUNK = 1 << 16
NO_INPUT = subprocess.DEVNULL
PIPE_BYTES = 4096  # every pipe takes these at once
BREAKING = re.compile(r"[:\x00-\x1f\x7f]")
POLL_SECONDS = 0.1
GRACE_SECONDS = 2.0


@dataclass(frozen=True)
class Account:
    """Whom a command runs as: empty numbers mean the running user."""

    home: str
    name: str = ""
    uid: int = -1
    gid: int = -1


def find_account(user: str) -> Account:
    """Look a user up; the running one when none is named."""
    try:
        if not user:
            return Account(pwd.getpwuid(os.geteuid()).pw_dir)
        found = pwd.getpwnam(user)
    except KeyError:
        if not user:
            return Account("/")
        raise HostError(f"there is no user `{user}` on this machine", code="E210", hint=f"declare user: {user}") from None
    return Account(found.pw_dir, user, found.pw_uid, found.pw_gid)


def join_record(fields: Sequence[str]) -> bytes:
    """Make a line of fields for a tool such as chpasswd; raise HostError when one holds what would end the field or the line."""
    for field in fields:
        if BREAKING.search(field):
            raise HostError("a field for a file of accounts holds a colon or a control character (a line's end?)", code="E343")
    return (":".join(fields) + "\n").encode("utf-8")


def keep_in_memory(data: bytes) -> int:
    """Give an open file with these bytes that is on no disk: of memory, or, where the kernel has none, a pipe that holds them."""
    if not hasattr(os, "memfd_create"):
        return _fill_pipe(data)
    descriptor = os.memfd_create("record", os.MFD_CLOEXEC)
    write_all(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def start(
    argv: Sequence[str], environment: Mapping[str, str], directory: str, account: Account, *, source: int = NO_INPUT
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, as another user when one is named, reading an open file or nothing."""
    is_other = bool(account.name) and account.uid != os.geteuid()
    try:
        return subprocess.Popen(
            list(argv),
            cwd=directory,
            env=dict(environment),
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=account.uid if is_other else None,
            group=account.gid if is_other else None,
            extra_groups=list_groups(account) if is_other else None,
        )
    except (OSError, subprocess.SubprocessError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it could not be prepared"
        where = f" in {directory}" if isinstance(error, OSError) and error.filename == directory else ""
        raise HostError(f"cannot run {argv[0]}{where}: {reason}", code="E112") from error
    except ValueError as error:
        raise HostError(f"cannot run {argv[0]}: an argument or variable holds a NUL character", code="E112") from error


def list_groups(account: Account) -> List[int]:
    """Give the groups that a program of this user has: as many as the kernel takes (macOS 16)."""
    return os.getgrouplist(account.name, account.gid)[: os.sysconf("SC_NGROUPS_MAX")]


def follow(running: subprocess.Popen[bytes], tail: Tail, seconds: float) -> bool:
    """Take output until the program has ended; a service that it left behind may keep the pipe. False: out of time, all ended."""
    deadline = time.monotonic() + seconds
    pipe = running.stdout
    if pipe is None:
        return True
    os.set_blocking(pipe.fileno(), False)
    is_open = True
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while is_open and time.monotonic() < deadline:
                has_ended = running.poll() is not None
                if selector.select(0 if has_ended else POLL_SECONDS):
                    is_open = take_output(pipe.fileno(), tail)
                elif has_ended:
                    return True
        running.wait(max(0.0, deadline - time.monotonic()))
        return True
    except subprocess.TimeoutExpired:
        return False
    finally:
        pipe.close()
        if running.returncode is None:
            end_group(running)


def take_output(descriptor: int, tail: Tail) -> bool:
    """Read what is there now; False at the end of the output."""
    try:
        data = os.read(descriptor, CHUNK)
    except BlockingIOError:
        return True
    tail.add(data)
    return bool(data)


def end_group(running: subprocess.Popen[bytes]) -> None:
    """End a program and all that it started in its session's group, first kindly."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(running.pid, number)
            running.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            break
    kill_group(running.pid)


def kill_group(group: int) -> None:
    """Kill what of the group outlived its first process."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _fill_pipe(data: bytes) -> int:
    if len(data) > PIPE_BYTES:
        raise HostError(
            f"{len(data)} bytes are too many for a program's input on this machine (at most {PIPE_BYTES})", code="E361"
        )
    source, end = os.pipe()
    try:
        write_all(end, data)
    finally:
        os.close(end)
    return source
