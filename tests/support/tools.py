"""Run tools of this machine for the rig: an argument list, a deadline, and the output in the message when it fails."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

TOOL_SECONDS = 120


def run_checked(argv: Sequence[str], *, data: bytes = b"", timeout: float = TOOL_SECONDS) -> str:
    """Run and give standard output; fail with both streams when the status is not 0."""
    done = subprocess.run(list(argv), input=data, capture_output=True, timeout=timeout, check=False)
    output = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, (
        f"{' '.join(argv)} ended with {done.returncode}: {output}{done.stderr.decode('utf-8', 'replace')}"
    )
    return output
