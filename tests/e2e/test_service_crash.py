"""kill -9 at any point: nothing that was accepted is lost, nothing is said twice, and the next start goes on where this one ended."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.cli import call
from tests.support.loop import Loop, run_loop
from tests.support.service import wait_for

SEED = 20261125
KILLS = 12


def kill_during(loop: Loop, action: Callable[[], object], delay: float) -> None:
    """Do something that the service has to work on, kill it so many seconds later, and start it again."""
    done = threading.Thread(target=action)
    done.start()
    done.join()
    time.sleep(delay)  # the point at which it dies is random, on purpose
    loop.service.kill()
    loop.service.start()


@pytest.mark.slow
def test_killed_at_random_points_nothing_is_lost_and_nothing_said_twice(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    with run_loop(tmp_path) as loop:
        kills = 0
        loop.write("change", "text 0")
        pull = loop.open()
        # Killed while it plans, says and judges.
        for number in range(1, 6):
            text = f"text {number}"
            kill_during(loop, lambda text=text: loop.push(pull, text), chance.uniform(0, 2.5))
            kills += 1
            loop.wait_comment(pull, text)
        digest = loop.digest(pull)
        kill_during(loop, lambda: loop.say(pull, "bob", f"/gitops approve {digest}"), chance.uniform(0, 0.5))
        loop.wait_comment(pull, "Approvals: 1 of 1")
        kills += 1
        # Killed while it signs, pushes and writes down what it released, again and again.
        kill_during(loop, lambda: loop.merge(pull), chance.uniform(0, 1))
        for _ in range(KILLS - kills - 1):
            time.sleep(chance.uniform(0.2, 2.5))  # the point at which it dies is random, on purpose
            loop.service.kill()
            loop.service.start()
        loop.wait_comment(pull, "released as serial 1")
        loop.wait_idle()
        # One comment, one release, one approval, spent once; what was released verifies.
        assert len(loop.github.ours(pull)) == 1
        assert loop.github.git("rev-list", "--count", "refs/heads/release/production") == "1"
        assert [(item["approver"], item["state"], item["serial"]) for item in loop.service.items("approvals")] == [
            ("bob", "spent", 1)
        ]
        trust = tmp_path / "trust.json"
        assert call("-C", loop.work.path, "trust", "init", "--key", f"{loop.key}.pub", "--out", trust).status == 0
        assert call("verify", "--trust-root", trust, "--env", "production", "--repo", loop.github.bare).status == 0
        assert loop.service.starts == KILLS + 1


def test_a_second_service_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with run_loop(tmp_path) as loop:
        called = call("serve", "--data", loop.service.folder / "data", "--listen", "127.0.0.1:0")
        assert called.status == 1
        assert "another service uses" in called.err
        wait_for(lambda: loop.service.get("/readyz")["status"] == "ready")
        assert loop.service.stop() == 0
