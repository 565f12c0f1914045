"""The rig itself: hosts see one another, and whatever happens to the process that made them, nothing of them stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.cgroups import find_cgroup2
from tests.support.hosts import NAME, Rig, list_mounts, remove_stale
from tests.support.roots import CACHE, locked

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

PROGRAM = """
import signal
from tests.support.hosts import open_rig
with open_rig() as rig:
    host = rig.boot("brief", "bookworm")
    host.start(["sleep", "600"])
    print("ready", flush=True)
    signal.pause()
"""
LISTEN = "import socket; s = socket.create_server(('', 8000)); print('up', flush=True); s.accept()[0].sendall(b'hello')"
ASK = "import socket; print(socket.create_connection(('{}', 8000), 10).recv(10).decode())"


@contextmanager
def running_rig() -> Generator[subprocess.Popen[bytes]]:
    """Give a process of its own with a rig and a running host."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "XDG_CACHE_HOME": str(CACHE.parent)}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, cwd=root, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert left_by(process.pid) != []
        yield process


def left_by(pid: int) -> list[str]:
    """Give everything with the name of a process's rig: folders, mounts, cgroups."""
    name = f"{NAME}-{pid}"
    folders = list(Path(tempfile.gettempdir()).glob(f"{name}-*"))
    mounts = [mount for folder in folders for mount in list_mounts(folder)]
    groups = [*find_cgroup2().glob(f"{name}*"), *Path("/sys/fs/cgroup").glob(f"*/{name}*")]
    return [*map(str, folders), *mounts, *map(str, groups)]


def test_a_rig_that_is_interrupted_leaves_nothing() -> None:
    with running_rig() as process:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert left_by(process.pid) == []


def test_what_a_killed_rig_left_is_removed_by_the_next() -> None:
    with running_rig() as process:
        process.kill()
        process.wait(60)
    assert left_by(process.pid) != []
    with locked(CACHE / "stale.lock"):
        remove_stale(find_cgroup2())
    assert left_by(process.pid) == []


def test_hosts_reach_one_another_and_the_controller_reaches_them(rig: Rig) -> None:
    first, second = rig.boot("first", "bookworm"), rig.boot("second", "bullseye")
    for asking in (second.run, rig.run):
        server = first.start(["python3", "-c", LISTEN])
        assert server.stdout is not None
        assert server.stdout.readline() == b"up\n"
        answer = asking(["python3", "-c", ASK.format(first.address)])
        assert (answer if isinstance(answer, str) else answer.out) == "hello\n"
        server.communicate(timeout=10)
    first.remove()
    second.remove()
