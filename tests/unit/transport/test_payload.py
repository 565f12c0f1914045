"""The archive is the same bytes from another checkout, umask, time and Python, and runs on each Python that is here."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gitops.model.codec import encode_canonical
from gitops.transport.local import executor_command, keep_executor
from gitops.transport.payload import build_payload
from tests.support.rooted import Rooted, file

ROOT = Path(__file__).parents[3]
BUILD = "import sys; sys.path.insert(0, sys.argv[1]); from gitops.transport.payload import build_payload; import hashlib; print(hashlib.sha256(build_payload()).hexdigest())"
VERSIONS = ("3", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


def find_pythons() -> list[str]:
    """Give the interpreters of this machine that start: those on the path, and those beside the one that runs."""
    beside = Path(sys.executable).resolve().parents[2].glob("*/bin/python3")
    named = [*(shutil.which(f"python{version}") for version in VERSIONS), *map(str, beside)]
    found = {str(Path(name).resolve()) for name in named if name}
    return sorted(name for name in found if asked(name) == 0)


def asked(python: str) -> int:
    """Give 0 when an interpreter starts and is new enough, 1 when it is too old."""
    program = "import sys; sys.exit(sys.version_info < (3, 9))"
    return subprocess.run([python, "-c", program], capture_output=True, check=False).returncode


def test_another_checkout_umask_and_time_give_the_same_bytes(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "gitops", tmp_path / "other" / "gitops", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (tmp_path / "other").rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(tmp_path / "other")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        umask=0o077,
    )
    assert done.stdout.strip() == hashlib.sha256(build_payload()).hexdigest()


@pytest.mark.parametrize("python", find_pythons())
def test_it_applies_on_every_python_here(python: str, tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    command = executor_command(keep_executor(build_payload(), tmp_path / "cache", python), python)
    request = encode_canonical(machine.request("apply", (file("/etc/x", "hello"),)).to_json())
    done = subprocess.run(command, input=request, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert machine.read("/etc/x") == "hello"
