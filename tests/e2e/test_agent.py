"""The agent as an operator meets it: the verbs over real HTTP, killed at any moment, running for long, told to stop."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.agents import HOST, Rig
from tests.support.cli import call
from tests.support.githttp import GitServer, serve_git
from tests.support.releases import NOW, Publisher, graphs_of, text_file
from tests.support.reports import ReportService, serve_reports

MOTD = text_file("/etc/motd", "hello\n")
NEWER = text_file("/etc/motd", "hello again\n")


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    (tmp_path / "publisher").mkdir()
    (tmp_path / "root").mkdir()
    return Publisher(tmp_path / "publisher")


@pytest.fixture
def server(publisher: Publisher) -> Iterator[GitServer]:
    publisher.allow_filter()
    with serve_git(publisher.bare.parent) as found:
        yield found


@pytest.fixture
def service() -> Iterator[ReportService]:
    with serve_reports() as found:
        yield found


def enroll(tmp_path: Path, publisher: Publisher, url: str, *more: object) -> int:
    options = ("--repo", url, "--env", "production", "--name", HOST, "--trust-root", publisher.write_root())
    return call("agent", "enroll", *options, "--state", tmp_path / "state", *more).status


def run_once(tmp_path: Path, *more: object) -> tuple[int, dict[str, object], str]:
    done = call("agent", "run", "--once", "--state", tmp_path / "state", "--root", tmp_path / "root", *more)
    return done.status, json.loads(done.out) if done.out.startswith("{") else {}, done.err


def status(tmp_path: Path) -> dict[str, object]:
    done = call("agent", "status", "--state", tmp_path / "state", "--format", "json")
    assert done.status == 0, done.err
    return done.json  # type: ignore[no-any-return]


def test_enrol_run_drift_advance_refuse_over_http(
    tmp_path: Path, publisher: Publisher, server: GitServer, service: ReportService
) -> None:
    publisher.release(graphs_of({HOST: [MOTD]}))
    service.tokens[HOST] = "one-time"
    (tmp_path / "token").write_text("one-time\n")
    url = f"{server.url}/acme.git"
    assert enroll(tmp_path, publisher, url, "--service", service.url, "--token-file", tmp_path / "token") == 0
    code, report, _ = run_once(tmp_path)
    assert (code, report["schema"], report["result"], report["serial"]) == (0, "gitops/report/v1", "changed", 1)
    (tmp_path / "root" / "etc" / "motd").write_text("by hand\n")
    assert run_once(tmp_path)[0] == 0
    assert (tmp_path / "root" / "etc" / "motd").read_text() == "hello\n"
    publisher.release(graphs_of({HOST: [NEWER]}))
    assert run_once(tmp_path)[1]["serial"] == 2
    files, _ = publisher.make(graphs_of({HOST: [MOTD]}))
    files["manifest.json"] = files["manifest.json"].replace(b'"serial":3', b'"serial":4')
    publisher.commit(files)
    code, report, err = run_once(tmp_path)
    assert (code, report["result"], report["serial"]) == (6, "converged", 2)
    assert "error[T101]" in err
    assert [item["serial"] for item in service.reports] == [1, 1, 2, 2]
    found = status(tmp_path)
    assert found["release"]["serial"] == 2  # type: ignore[index]
    assert found["last"]["status"] == 6  # type: ignore[index]
    assert found["spool"] == {"waiting": 0, "dropped": 0, "refused": 0}
    assert "credential-of" not in json.dumps(found)


def test_the_remote_and_the_service_down_still_heals(
    tmp_path: Path, publisher: Publisher, server: GitServer, service: ReportService
) -> None:
    publisher.release(graphs_of({HOST: [MOTD]}))
    service.tokens[HOST] = "one-time"
    (tmp_path / "token").write_text("one-time")
    more = ("--service", service.url, "--token-file", tmp_path / "token")
    assert enroll(tmp_path, publisher, f"{server.url}/acme.git", *more) == 0
    assert run_once(tmp_path)[0] == 0
    server.is_broken, service.forced = True, 503
    (tmp_path / "root" / "etc" / "motd").unlink()
    code, report, err = run_once(tmp_path)
    assert (code, report["result"]) == (7, "changed")
    assert (tmp_path / "root" / "etc" / "motd").read_text() == "hello\n"
    assert "reports are kept" in err
    assert status(tmp_path)["spool"]["waiting"] == 1  # type: ignore[index]


def test_enrolment_is_once_and_every_mistake_is_exit_1(tmp_path: Path, publisher: Publisher, service: ReportService) -> None:
    root = publisher.write_root()
    (tmp_path / "token").write_text("wrong")
    token = ("--token-file", tmp_path / "token")
    base = ("--repo", publisher.url, "--trust-root", root, "--state", tmp_path / "state")
    mistakes = [
        ("--env", "staging", "--name", HOST),
        ("--env", "production", "--name", "Not A Name"),
        ("--env", "production", "--name", HOST, "--service", service.url),
        ("--env", "production", "--name", HOST, *token),
        ("--env", "production", "--name", HOST, "--service", "example.org", *token),
        ("--env", "production", "--name", HOST, "--service", service.url, *token),
    ]
    for mistake in mistakes:
        assert call("agent", "enroll", *base, *mistake).status == 1, mistake
    assert call("agent", "status", "--state", tmp_path / "state").status == 6
    assert enroll(tmp_path, publisher, publisher.url) == 0
    again = call("agent", "enroll", *base, "--env", "production", "--name", HOST)
    assert (again.status, "U080" in again.err) == (1, True)
    (tmp_path / "bad.json").write_bytes(root.read_bytes() + b"\n")
    bad = call(
        "agent",
        "enroll",
        *base[:2],
        "--trust-root",
        tmp_path / "bad.json",
        "--env",
        "production",
        "--name",
        HOST,
        "--state",
        tmp_path / "other",
    )
    assert bad.status == 1


def test_without_an_enrolment_everything_is_exit_6(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    for verb in (("run", "--once"), ("status",), ("pause", "--for", "2h", "--reason", "x"), ("resume",)):
        done = call("agent", *verb, "--state", tmp_path / "state")
        assert (done.status, "T110" in done.err) == (6, True)


def test_pause_and_resume(tmp_path: Path, publisher: Publisher) -> None:
    publisher.release(graphs_of({HOST: [MOTD]}))
    enroll(tmp_path, publisher, publisher.url)
    state = ("--state", tmp_path / "state")
    assert call("agent", "pause", "--for", "2h", "--reason", "moving racks", *state).status == 0
    code, report, _ = run_once(tmp_path)
    assert (code, report["result"]) == (3, "held")
    assert status(tmp_path)["pause"]["reason"] == "moving racks"  # type: ignore[index]
    assert "moving racks" in call("agent", "status", *state).out
    assert call("agent", "pause", "--for", "31d", "--reason", "x", *state).status == 1
    assert call("agent", "resume", *state).status == 0
    assert run_once(tmp_path)[0] == 0


def test_resume_tries_a_failed_release_at_once(tmp_path: Path, publisher: Publisher) -> None:
    (tmp_path / "root" / "etc" / "motd").mkdir(parents=True)
    publisher.release(graphs_of({HOST: [MOTD]}))
    enroll(tmp_path, publisher, publisher.url)
    assert run_once(tmp_path)[0] == 4
    (tmp_path / "root" / "etc" / "motd").rmdir()
    assert run_once(tmp_path)[0] == 4
    assert status(tmp_path)["failure"]["tries"] == 1  # type: ignore[index]
    assert "again after" in call("agent", "status", "--state", tmp_path / "state").out
    assert call("agent", "resume", "--state", tmp_path / "state").status == 0
    assert run_once(tmp_path)[0] == 0


def test_status_in_words_and_its_warnings(tmp_path: Path, publisher: Publisher) -> None:
    enroll(tmp_path, publisher, publisher.url)
    assert "last cycle  none yet" in call("agent", "status", "--state", tmp_path / "state").out
    publisher.release(graphs_of({HOST: [MOTD]}), change=lambda manifest: replace(manifest, expires=NOW + timedelta(days=5)))
    assert run_once(tmp_path, "--format", "text")[0] == 0
    done = call("agent", "status", "--state", tmp_path / "state")
    assert "release     1 (" in done.out
    assert "time to issue it again" in done.err


def test_a_root_that_is_this_machine_is_refused(tmp_path: Path, publisher: Publisher) -> None:
    enroll(tmp_path, publisher, publisher.url)
    assert call("agent", "run", "--once", "--state", tmp_path / "state", "--root", "/").status == 1


def spawn(tmp_path: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "gitops.cli", "agent", "run", *more]
    options = ["--state", str(tmp_path / "rig" / "state"), "--root", str(tmp_path / "rig" / "root")]
    return subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)


@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_lost_and_the_next_run_goes_on(tmp_path: Path) -> None:
    """SIGKILL for the agent, its executor and its fetch, at random points of a run that advances and heals."""
    rig, chance = Rig.make(tmp_path / "rig"), random.Random(20261124)
    names = [f"/srv/data/{number:03d}" for number in range(60)]
    rig.release(MOTD, *(text_file(name, f"0 {name}\n" * 50) for name in names))
    started, killed, between = time.monotonic(), 0, 0
    assert spawn(tmp_path, "--once").wait(60) == 0
    whole = time.monotonic() - started
    attempt = 0
    # A run accepts late and writes quickly: go on until one kill at least fell between the two.
    while (killed < 10 or not between) and attempt < 60:
        attempt += 1
        wanted = {name: f"{attempt} {name}\n" * 50 for name in names}
        before = {name: rig.read(name) for name in names}
        rig.release(MOTD, *(text_file(name, text) for name, text in wanted.items()))
        rig.path("/etc/motd").write_text("by hand\n")
        child = spawn(tmp_path, "--once")
        end = time.monotonic() + chance.uniform(0.3, 0.95) * whole
        while time.monotonic() < end and child.poll() is None:
            time.sleep(0.005)
        if child.poll() is None:
            killed += 1
        else:  # the machine got faster than its first run was: aim earlier
            whole *= 0.8
        kill_group(child)
        done_so_far = sum(rig.read(name) == wanted[name] for name in names)
        between += 0 < done_so_far < len(names) or rig.memory.is_behind
        for name in names:
            assert rig.read(name) in (before[name], wanted[name]), f"half a file: {name}"
        assert rig.read("/etc/motd") in ("by hand\n", "hello\n")
        seen = rig.memory.seen
        assert seen is not None
        assert seen.serial in (attempt, attempt + 1)
        done = spawn(tmp_path, "--once")
        out, err = done.communicate(timeout=60)
        assert done.returncode == 0, err
        assert json.loads(out)["serial"] == attempt + 1
        assert {name: rig.read(name) for name in names} == wanted
        assert rig.read("/etc/motd") == "hello\n"
        assert sorted(path.name for path in rig.path("/srv/data").iterdir()) == [name[-3:] for name in names]
    assert killed >= 10
    assert between >= 1, "no kill fell between accepting and arriving"


def kill_group(child: subprocess.Popen[bytes]) -> None:
    """Kill a process with all that it started, as the end of a machine's power would."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.communicate(timeout=30)


def test_only_the_agent_killed_the_next_run_waits_for_the_executor_and_goes_on(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "rig")
    rig.release(*(text_file(f"/srv/{number:03d}", "x\n") for number in range(100)))
    for delay in (0.4, 0.6, 0.8):
        child = spawn(tmp_path, "--once")
        end = time.monotonic() + delay
        while time.monotonic() < end and child.poll() is None:
            time.sleep(0.005)
        child.kill()
        child.communicate(timeout=30)
    done = spawn(tmp_path, "--once")
    _, err = done.communicate(timeout=90)
    assert done.returncode == 0, err
    assert len(list(rig.path("/srv").iterdir())) == 100


def test_told_to_stop_the_daemon_finishes_what_it_does(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "rig")
    rig.release(MOTD)
    child = spawn(tmp_path, "--interval", "10s", "--format", "text")
    deadline = time.monotonic() + 30
    while not rig.path("/etc/motd").exists() and time.monotonic() < deadline:
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGTERM)
    out, err = child.communicate(timeout=30)
    assert child.returncode == 0, err
    assert b"changed  release 1" in out
    assert rig.memory.good is not None
    assert b"SIGTERM ends it" in err


def test_the_daemon_says_that_its_state_is_lost_and_goes_on_saying(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "rig")
    (rig.machine.state.base / "memory.json").write_bytes(b"{}")
    child = spawn(tmp_path, "--interval", "1s")
    assert child.stderr is not None
    errors = 0
    for line in iter(child.stderr.readline, b""):
        errors += b"error[T111]" in line
        if errors == 2:
            break
    child.terminate()
    child.communicate(timeout=30)
    assert (errors, child.returncode) == (2, 0)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.slow
def test_fifty_cycles_leave_no_open_file_behind(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "rig")
    for number in range(2):
        rig.release(text_file("/etc/motd", f"{number}\n"))
        assert rig.cycle().status == 0
    before = open_descriptors()
    for number in range(50):
        if number % 5 == 0:
            rig.release(text_file("/etc/motd", f"again {number}\n"))
        assert rig.cycle().status == 0
    assert open_descriptors() <= before + 1
