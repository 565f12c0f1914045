"""Every benchmark runs, at a tiny size; no time is asserted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY = (
    ("converge.py", "--rounds", "1", "--sizes", "3"),
    ("scale.py", "--rounds", "1", "--sizes", "3"),
    ("fromtext.py", "--rounds", "1", "--files", "3"),
    ("compile.py", "3"),
    ("fleet.py", "--hosts", "3"),
    ("push.py", "--rounds", "1", "--hosts", "2", "--parallel", "2"),
    ("mixed.py", "--rounds", "1", "--files", "2", "--others", "1"),
)


@pytest.mark.parametrize("words", TINY, ids=lambda words: words[0])
def test_a_benchmark_runs(words: tuple[str, ...]) -> None:
    if words[0] == "mixed.py" and os.geteuid() != 0:
        pytest.skip("makes real users in a mount namespace: needs root")
    accounts = Path("/etc/passwd").read_bytes()
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / words[0]), *words[1:]], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 1
    assert Path("/etc/passwd").read_bytes() == accounts
