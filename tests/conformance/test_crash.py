"""Killed at every step, an apply leaves whole files, and the next run cleans up, says so and goes on."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from gitops.model.codec import Json, encode_canonical
from gitops.model.resource import Resource
from gitops.transport.local import executor_command, keep_executor
from gitops.transport.payload import build_payload
from tests.support.rooted import Rooted, file, quick_folder

ROOT = Path(__file__).parents[2]
POINTS = 10
FILES = 150


def test_killed_at_every_step_it_recovers(tmp_path: Path) -> None:
    with quick_folder(tmp_path) as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.conformance.crash", str(folder)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=240,
        )
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(steps) > 80
    assert [step["killed"] for step in steps] == [True] * (len(steps) - 1) + [False]
    assert [(step["step"], step["broken"]) for step in steps if step["broken"]] == []
    assert [(step["step"], step["temps"]) for step in steps if step["temps"]] == []
    assert {step["result"] for step in steps} == {"changed", "converged"}
    assert {step["again"] for step in steps} == {"converged"}
    assert len({step["state"] for step in steps}) == 1
    marked = [step for step in steps if "interrupted" in step["runs"]]
    assert len(marked) > len(steps) // 2
    assert all(len(step["runs"]) <= 2 for step in steps)


def make_resources(round_number: int) -> tuple[Resource, ...]:
    return tuple(file(f"/srv/f{number:03}", f"{round_number} {number}\n" * 20) for number in range(FILES))


def make_request(machine: Rooted, round_number: int) -> Json:
    return machine.request("apply", make_resources(round_number), lock_timeout=30).to_json()


def test_kill_9_of_the_real_executor_at_random_points_loses_nothing(tmp_path: Path) -> None:
    chance = random.Random(20261124)
    command = executor_command(keep_executor(build_payload(), tmp_path / "cache"))
    machine = Rooted(tmp_path / "machine")
    start = time.monotonic()
    subprocess.run(command, input=encode_canonical(make_request(machine, 0)), check=True, stdout=subprocess.DEVNULL, timeout=120)
    whole = time.monotonic() - start
    killed = 0
    for round_number in range(1, POINTS + 1):
        resources = make_resources(round_number)
        request = encode_canonical(make_request(machine, round_number))
        running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert running.stdin is not None
        running.stdin.write(request)
        running.stdin.close()
        time.sleep(whole * chance.uniform(0.3, 1.0))
        running.send_signal(signal.SIGKILL)
        killed += running.wait() == -signal.SIGKILL
        for path in sorted((machine.root / "srv").glob("f*")) if (machine.root / "srv").exists() else ():
            assert path.read_text() in {f"{number} {int(path.name[1:])}\n" * 20 for number in (round_number - 1, round_number)}
        report = machine.apply(*resources, lock_timeout=30)
        assert report.result in ("changed", "converged")
        assert machine.temps() == []
        assert machine.apply(*resources).result == "converged"
    assert killed > POINTS // 2
    assert "interrupted" in {row["result"] for row in machine.runs()}
