"""Push 20 files to N hosts over SSH, beside the floor: the same connections, a bare Python there, the same file work and nothing else.

Run it as `python benchmarks/push.py` (Debian package openssh-server). All hosts are ports of sshd on loopback, so one machine does
both ends and the ratios are what counts. First: the files are made (the executor is there already, as after any earlier run); again:
nothing has to be done. Both sides use as many connections at a time, and shared ones that are open already. `--pyinfra PROGRAM` (a
`pyinfra` of a venv of its own) lets pyinfra put the same files, once, with as many hosts at a time.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gitops.model.graph import Graphs, HostGraph
from gitops.model.plan import HostPlan
from gitops.model.resource import Resource
from gitops.pipeline.push import Pace, Push, apply_there, plan_there, visit_hosts
from gitops.transport.kept import KeptSessions
from gitops.transport.ssh import Destination, Ssh, ssh_command
from tests.support.sshd import Fleet, serve_ssh

FILES = 20
# Both sides start the system's own Python: a version manager's `python3` is a shell script that takes longer than all the rest.
PYTHON_FIRST = "/usr/bin:/bin"
FLOOR = """\
import json, os, sys
for path, text in json.load(sys.stdin.buffer):
    try:
        with open(path) as stream:
            if stream.read() == text:
                continue
    except OSError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(path + ".new", path)
"""
PYINFRA = """\
from io import StringIO
from pyinfra import host
from pyinfra.operations import files
for number in range({files}):
    files.put(src=StringIO(f"file {{number}} of {{host.name}}\\n"), dest=f"{folder}/{{host.name}}/f{{number}}")
"""


def main() -> None:
    """Run both in turn and print one table."""
    options = argparse.ArgumentParser(description="time push over SSH beside its floor")
    options.add_argument("--hosts", type=int, default=50)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--parallel", type=int, default=20)
    options.add_argument("--pyinfra", type=Path, help="a pyinfra program to time beside")
    given = options.parse_args()
    names = tuple(f"h{number:03}" for number in range(given.hosts))
    with (
        tempfile.TemporaryDirectory(prefix="p", dir="/tmp") as folder,
        serve_ssh(Path(folder) / "d", *names, path=PYTHON_FIRST) as fleet,
    ):
        ssh = Ssh(Path(folder), config=str(fleet.config), environment=dict(os.environ))
        rounds = [_run_round(Path(folder) / str(number), fleet, ssh, given.parallel) for number in range(given.rounds + 1)][1:]
        pyinfra = None if given.pyinfra is None else _time_pyinfra(Path(folder) / "pyinfra", fleet, given.pyinfra, given.parallel)
        for name in names:
            leave = ["ssh", "-F", str(fleet.config), "-S", f"{folder}/%C", "-O", "exit", name]
            subprocess.run(leave, check=False, capture_output=True, timeout=30)
    print(f"{given.hosts} hosts x {FILES} files, {given.parallel} at a time, median of {given.rounds} (seconds)")
    print(f"{'':8}{'floor':>8}{'push':>8}{'ratio':>8}")
    for index, word in ((0, "first"), (1, "again")):
        floor, push = (statistics.median(item[side + index] for item in rounds) for side in (0, 2))
        print(f"{word:8}{floor:8.2f}{push:8.2f}{push / floor:8.2f}")
        if pyinfra is not None:
            print(f"  pyinfra {pyinfra[index]:.1f} s: {pyinfra[index] / push:.1f} times push")


def _run_round(folder: Path, fleet: Fleet, ssh: Ssh, parallel: int) -> tuple[float, float, float, float]:
    names = tuple(fleet.ports)
    for side in ("floor", "push"):  # all hosts are this machine: two must not make the folder above theirs at the same time
        (folder / side).mkdir(parents=True)
    floor = partial(_time_floor, folder / "floor", names, ssh, parallel)
    push = partial(_time_push, folder / "push", names, ssh, parallel)
    times = floor(), floor(), push(), push()
    made = [sorted(path.read_text() for path in (folder / side).rglob("f*") if path.is_file()) for side in ("floor", "push")]
    if made[0] != made[1] or len(made[0]) != len(names) * FILES:
        sys.exit("the end states differ")
    return times


def _time_floor(folder: Path, names: tuple[str, ...], ssh: Ssh, parallel: int) -> float:
    def visit(name: str) -> None:
        work = [(f"{folder}/{name}/f{number}", f"file {number} of {name}\n") for number in range(FILES)]
        command = ssh_command(Destination(name), ssh, len(FLOOR))
        subprocess.run(command, input=FLOOR.encode() + json.dumps(work).encode(), check=True, timeout=120)

    def run() -> None:
        with ThreadPoolExecutor(parallel) as pool:
            list(pool.map(visit, names))

    return _clock(run)


def _time_push(folder: Path, names: tuple[str, ...], ssh: Ssh, parallel: int) -> float:
    graphs = Graphs("", {name: HostGraph(name, "", (), _files(folder, name)) for name in names})
    push = Push(graphs, {name: Destination(name) for name in names}, ssh, {}, kept=KeptSessions())

    def run() -> None:
        planned = visit_hosts(names, partial(plan_there, push), Pace(parallel))
        plans: dict[str, HostPlan] = {item.host: item.found for item in planned if item.found is not None}
        due = [name for name, plan in plans.items() if not plan.scope.is_empty]
        ended = visit_hosts(due, lambda name: apply_there(push, plans[name], approved=plans[name].scope), Pace(parallel))
        if len(plans) != len(names) or any(item.has_failed for item in ended):
            sys.exit(f"push failed: {[item.error for item in (*planned, *ended) if item.error][:3]}")

    return _clock(run)


def _time_pyinfra(folder: Path, fleet: Fleet, program: Path, parallel: int) -> tuple[float, float]:
    """Let pyinfra put the same files, then again."""
    folder.mkdir()
    hosts = [
        (
            name,
            {
                "ssh_hostname": "127.0.0.1",
                "ssh_port": port,
                "ssh_user": getpass.getuser(),
                "ssh_key": f"{fleet.folder}/user_key",
                "ssh_strict_host_key_checking": "no",
                "ssh_known_hosts_file": f"{folder}/known_hosts",
            },
        )
        for name, port in fleet.ports.items()
    ]
    (folder / "inventory.py").write_text(f"hosts = {hosts!r}\n")
    (folder / "deploy.py").write_text(PYINFRA.format(folder=folder, files=FILES))
    command = [str(program), "-y", "--parallel", str(parallel), "inventory.py", "deploy.py"]

    def run() -> None:
        subprocess.run(command, cwd=folder, check=True, timeout=1800, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    times = _clock(run), _clock(run)
    made = [path for path in folder.rglob("f*") if path.is_file()]
    if len(made) != len(hosts) * FILES:
        sys.exit(f"pyinfra made {len(made)} files")
    return times


def _files(folder: Path, name: str) -> tuple[Resource, ...]:
    return tuple(
        Resource("file", f"{folder}/{name}/f{number}", {"content": f"file {number} of {name}\n"}) for number in range(FILES)
    )


def _clock(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
