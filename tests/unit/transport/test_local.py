"""The local transport: the archive unpacked once, checked always, safe against others and against crashes; events and errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gitops.errors import BugError, ConfigError, HeldError, HostError, UsageError
from gitops.executor.state import Lock, StateFolder
from gitops.model.codec import encode_canonical
from gitops.model.wire import Event
from gitops.transport.local import Executed, executor_command, run_local, unpack_payload
from gitops.transport.payload import build_payload
from tests.support.rooted import Rooted, directory, file, secret

ROOT = Path(__file__).parents[3]


def test_it_is_unpacked_once_and_used_again(tmp_path: Path) -> None:
    archive = build_payload()
    folder = unpack_payload(archive, tmp_path)
    stamp = (folder / "gitops/errors.py").stat().st_mtime_ns
    assert unpack_payload(archive, tmp_path) == folder
    assert (folder / "gitops/errors.py").stat().st_mtime_ns == stamp
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert folder.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", ["changed", "missing", "writable"])
def test_what_is_not_what_the_archive_says_is_made_again(tmp_path: Path, damage: str) -> None:
    archive = build_payload()
    folder = unpack_payload(archive, tmp_path)
    victim = folder / "gitops/errors.py"
    if damage == "changed":
        victim.write_text("raise SystemExit(99)")
    elif damage == "missing":
        victim.unlink()
    else:
        folder.chmod(0o777)
    again = unpack_payload(archive, tmp_path)
    assert "class TrueupError" in (again / "gitops/errors.py").read_text()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert again.stat().st_mode & 0o022 == 0


def test_a_cache_of_somebody_else_is_refused_and_a_loose_one_closed(tmp_path: Path) -> None:
    (tmp_path / "executor").mkdir(mode=0o777)
    (tmp_path / "executor").chmod(0o777)
    folder = unpack_payload(build_payload(), tmp_path)
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    other = tmp_path / "other"
    other.mkdir()
    (other / "executor").symlink_to(folder.parent)
    with pytest.raises(HostError, match="somebody else"):
        unpack_payload(build_payload(), other)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_a_cache_that_belongs_to_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "executor").mkdir()
    os.chown(tmp_path / "executor", 4242, 4242)
    with pytest.raises(HostError, match="somebody else"):
        unpack_payload(build_payload(), tmp_path)


def test_many_at_once_agree(tmp_path: Path) -> None:
    archive = build_payload()
    with ThreadPoolExecutor(6) as pool:
        found = {item.result() for item in [pool.submit(unpack_payload, archive, tmp_path) for _ in range(6)]}
    assert len(found) == 1
    assert [path.name for path in (tmp_path / "executor").iterdir()] == [next(iter(found)).name]


def test_killed_while_unpacking_it_harms_nobody_and_the_rest_is_swept(tmp_path: Path) -> None:
    program = f"from pathlib import Path; from gitops.transport import local, payload; local.unpack_payload(payload.build_payload(), Path({str(tmp_path)!r}))"
    parent = tmp_path / "executor"
    running = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    deadline = time.monotonic() + 30
    while not list(parent.glob("new-*/gitops")) and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    running.send_signal(signal.SIGKILL)
    running.wait()
    half = list(parent.glob("new-*"))
    folder = unpack_payload(build_payload(), tmp_path)
    assert (folder / "gitops/executor/__main__.py").is_file()
    for path in half:
        os.utime(path, (0, 0))
    (folder / "gitops/errors.py").unlink()
    unpack_payload(build_payload(), tmp_path)
    assert list(parent.glob("new-*")) == []


def test_a_request_goes_in_and_events_come_back_as_they_happen(tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    told: list[Event] = []
    request = machine.request("apply", (file("/etc/x", "hello"),))
    executed = run_local(request, cache=tmp_path / "cache", tell=told.append)
    assert [event.event for event in told] == ["plan", "step", "step", "report"]
    assert (executed.status, executed.events) == (0, tuple(told))
    assert machine.read("/etc/x") == "hello"
    with pytest.raises(BugError):
        executed.body("runs")


def test_names_that_are_not_utf_8_come_back_readable(tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    (machine.root / "d").mkdir()
    (machine.root / "d" / os.fsdecode(b"\xff\n")).mkdir()
    resource = directory("/d", state="absent", recurse=True)
    (machine.root / "d" / os.fsdecode(b"\xff\n") / os.fsdecode(b"\xfe")).touch()
    planned = run_local(machine.request("plan", (resource,)), cache=tmp_path / "cache").body("plan")
    assert "\\\\udcff\\\\x0a" in json.dumps(planned)
    run_local(machine.request("apply", (resource,)), cache=tmp_path / "cache")
    assert machine.tree() == {}


def test_errors_come_back_as_what_they_were(tmp_path: Path) -> None:
    machine, cache = Rooted(tmp_path), tmp_path / "cache"
    with pytest.raises(UsageError, match="there is no run") as usage:
        run_local(machine.request("runs", run="20261124T150000Z-1a2b3c"), cache=cache)
    assert usage.value.code == "U031"
    lock = Lock(StateFolder(str(machine.state), str(machine.root)).base, "20261124T150000Z-1a2b3c", 0)
    with pytest.raises(HeldError, match=f"pid {os.getpid()}"):
        run_local(machine.request("apply", (file("/x", "a"),)), cache=cache)
    lock.release()
    machine.write("/x", "there")
    needy = machine.request("apply", (file("/x", secret()),))
    with pytest.raises(ConfigError, match="secret `password`") as missing:
        run_local(needy, cache=cache)
    assert missing.value.exit_status == 1


def test_an_executor_that_dies_without_a_word_is_an_error(tmp_path: Path) -> None:
    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\nexit 9\n")
    silent.chmod(0o755)
    with pytest.raises(HostError, match="ended with status 9"):
        run_local(Rooted(tmp_path).request("runs"), cache=tmp_path / "cache", python=str(silent))


def test_sigterm_ends_a_run_cleanly(tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    note = tmp_path / "running"
    slow = file("/etc/x", "a", validate=["sh", "-c", f"touch {note}; sleep 60"])
    running = subprocess.Popen(
        executor_command(unpack_payload(build_payload(), tmp_path / "cache")), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(encode_canonical(machine.request("apply", (slow,)).to_json()))
    running.stdin.close()
    deadline = time.monotonic() + 30
    while not note.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    running.terminate()
    said = running.stdout.read().decode()
    assert running.wait(30) == 4
    assert "interrupted; the next run cleans up" in said
    assert machine.temps() == []
    running.stdout.close()


def test_a_malformed_request_is_refused_with_its_code(tmp_path: Path) -> None:
    command = executor_command(unpack_payload(build_payload(), tmp_path / "cache"))
    done = subprocess.run(command, input=b'{"schema": "gitops/request/v9"}', capture_output=True, check=False, timeout=60)
    assert (done.returncode, b'"M012"' in done.stdout, done.stderr) == (1, True, b"")


def test_executed_gives_the_last_body_of_a_name() -> None:
    executed = Executed(0, (Event("plan", 1), Event("plan", 2)))
    assert executed.body("plan") == 2
