"""Run tools of this machine for the rig: an argument list, a deadline, and the output in the message when it fails."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

TOOL_SECONDS = 120


def run_checked(argv: Sequence[str], *, data: bytes = b"", timeout: float = TOOL_SECONDS) -> str:
    """Run and give standard output; fail with both streams when the status is not 0."""
    done = subprocess.run(list(argv), input=data, capture_output=True, timeout=timeout, check=False)
    output = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, (
        f"{' '.join(argv)} ended with {done.returncode}: {output}{done.stderr.decode('utf-8', 'replace')}"
    )
    return output


def run_there(root: Path, folder: Path, argv: Sequence[str], *, data: bytes = b"", statuses: Sequence[int] = (0,)) -> bytes:
    """Run a program in a root file system that is not booted, with a folder of ours at /mnt, /proc there, and the root read-only.

    The mounts are in a namespace of the process and vanish with it. Gives standard output; a status that is not among `statuses` fails.
    """
    enter = (
        'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && mount --bind "$1" "$0/mnt" && mount -t proc proc "$0/proc"'
    )
    command = [
        "unshare",
        "-m",
        "sh",
        "-c",
        f'{enter} && cd / && root=$0 && shift && exec chroot "$root" "$@"',
        str(root),
        str(folder),
    ]
    done = subprocess.run([*command, *argv], input=data, capture_output=True, timeout=TOOL_SECONDS, check=False)
    assert done.returncode in statuses, f"{' '.join(argv)} ended with {done.returncode}: {done.stderr.decode('utf-8', 'replace')}"
    return done.stdout
