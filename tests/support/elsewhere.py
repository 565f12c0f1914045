"""A process that runs as if its kernel were not Linux: what only Linux has is taken out of it before anything of ours is imported.

Not a Mac: it shows that nothing of ours needs what was taken out, not that the rest works there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PRELUDE = r"""
import builtins, fcntl, io, os, sys

PREFIXES = ("MFD_", "XATTR_", "POSIX_FADV_", "SCHED_", "EFD_", "TFD_", "SPLICE_", "CLONE_", "GRND_", "sched_", "pidfd_", "eventfd", "timerfd")
NAMES = (
    "O_PATH", "O_TMPFILE", "O_DIRECT", "O_NOATIME", "O_LARGEFILE", "O_RSYNC", "memfd_create", "listxattr", "getxattr", "setxattr",
    "removexattr", "posix_fadvise", "posix_fallocate", "copy_file_range", "splice", "getrandom", "pipe2", "fdatasync", "setresuid",
    "setresgid", "getresuid", "getresgid", "unshare", "setns",
)
for name in dir(os):
    if name in NAMES or name.startswith(PREFIXES):
        delattr(os, name)
for name in dir(fcntl):
    if "SEAL" in name:
        delattr(fcntl, name)


def hide(function):
    def call(path, *args, **keywords):
        if isinstance(path, str) and path.startswith(("/proc", "/sys/", "/run")):
            raise FileNotFoundError(2, "No such file or directory", path)
        return function(path, *args, **keywords)
    return call


os.open, os.readlink, os.stat, os.lstat, builtins.open = hide(os.open), hide(os.readlink), hide(os.stat), hide(os.lstat), hide(open)
io.open = builtins.open
os.uname = lambda: os.uname_result(("Darwin", "mac.example.org", "24.1.0", "Darwin Kernel Version 24.1.0", "arm64"))
"""


def run_elsewhere(program: str, *arguments: str) -> Any:
    """Run a program that prints JSON, and give that; it fails with what the program said."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
