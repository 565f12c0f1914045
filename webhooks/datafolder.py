"""The data folder: the service's alone, and one service's at a time.

It holds the database (credentials' hashes, plans, reports), the session secret and the mirrors of private repositories.
"""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from gitops.errors import UsageError

PRIVATE, OTHERS = 0o700, 0o077


def lock_folder(folder: Path) -> int:
    """Make the folder private and take it for this process; the kernel gives it back when the process ends, however it ends.

    A folder of ours that others may enter is closed to them; raise UsageError (exit 1) for one of somebody else, or one in use.
    """
    make_private(folder)
    descriptor = os.open(folder / "service.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise UsageError(f"another service uses {folder}", code="U078", hint="give it a data folder of its own") from None
    return descriptor


def make_private(folder: Path) -> None:
    """Make a folder that nobody else may enter, or close an existing one; raise UsageError when it is not ours to close."""
    folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
    # The folder that is checked is the folder that is closed, whatever its name leads to a moment later.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        info = os.fstat(descriptor)
        if info.st_uid != os.geteuid():
            message = f"the data folder {folder} belongs to user {info.st_uid}, the service runs as {os.geteuid()}"
            raise UsageError(message, code="U099", hint="give it a folder of its own, or chown it")
        if stat.S_IMODE(info.st_mode) & OTHERS:
            os.fchmod(descriptor, PRIVATE)
    finally:
        os.close(descriptor)
