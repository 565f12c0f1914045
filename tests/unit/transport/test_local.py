"""The local transport: the archive unpacked once, checked always, safe against others and against crashes; events and errors."""

from __future__ import annotations

import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gitops.errors import BugError, ConfigError, HeldError, HostError, UsageError
from gitops.executor.ownfolder import seal_own
from gitops.executor.state import Lock, StateFolder
from gitops.model.codec import encode_canonical
from gitops.model.wire import Event
from gitops.transport.local import Executed, Started, executor_command, keep_executor, run_local
from gitops.transport.pack import make_pack
from gitops.transport.payload import build_payload
from tests.support.rooted import Rooted, directory, file, secret

EVIL = make_pack({"gitops/__init__.py": b"raise SystemExit(99)"})


def test_it_is_compiled_once_and_used_again(tmp_path: Path) -> None:
    kept = keep_executor(build_payload(), tmp_path)
    stamp = kept.path.stat().st_mtime_ns
    assert keep_executor(build_payload(), tmp_path) == kept
    assert (kept.path.stat().st_mtime_ns, list(kept.path.parent.iterdir())) == (stamp, [kept.path])
    assert (kept.path.parent.stat().st_mode | kept.path.stat().st_mode) & 0o077 == 0


@pytest.mark.parametrize("damage", ["changed", "missing", "writable", "of another name"])
def test_what_is_not_what_was_kept_is_made_again(tmp_path: Path, damage: str) -> None:
    kept = keep_executor(build_payload(), tmp_path)
    whole = kept.path.read_bytes()
    if damage == "changed":
        kept.path.write_bytes(whole[:64] + EVIL)
    elif damage == "missing":
        kept.path.unlink()
    elif damage == "writable":
        kept.path.write_bytes(seal_own(kept.path.name, EVIL) + EVIL)
        kept.path.chmod(0o622)
    else:
        kept.path.write_bytes(seal_own("another", EVIL) + EVIL)
    again = keep_executor(build_payload(), tmp_path)
    assert (again, again.path.read_bytes(), again.path.stat().st_mode & 0o077) == (kept, whole, 0)


def test_what_is_put_in_its_place_after_it_was_read_is_not_run(tmp_path: Path) -> None:
    kept = keep_executor(build_payload(), tmp_path)
    kept.path.write_bytes(seal_own(kept.path.name, EVIL) + EVIL)
    done = subprocess.run(executor_command(kept), input=b"", capture_output=True, check=False, timeout=60)
    assert (done.returncode, b"the kept executor was changed" in done.stderr) == (1, True)


def test_a_link_in_the_place_of_the_cache_is_refused_and_a_loose_one_closed(tmp_path: Path) -> None:
    (tmp_path / "executor").mkdir(mode=0o777)
    (tmp_path / "executor").chmod(0o777)
    folder = keep_executor(build_payload(), tmp_path).path.parent
    assert folder.stat().st_mode & 0o777 == 0o700
    other = tmp_path / "other"
    other.mkdir()
    (other / "executor").symlink_to(folder)
    with pytest.raises(HostError, match="somebody else"):
        keep_executor(build_payload(), other)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_a_cache_that_belongs_to_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "executor").mkdir()
    os.chown(tmp_path / "executor", 4242, 4242)
    with pytest.raises(HostError, match="somebody else"):
        keep_executor(build_payload(), tmp_path)


def test_many_at_once_agree(tmp_path: Path) -> None:
    archive = build_payload()
    with ThreadPoolExecutor(6) as pool:
        found = {item.result() for item in [pool.submit(keep_executor, archive, tmp_path) for _ in range(6)]}
    assert list((tmp_path / "executor").iterdir()) == [next(iter(found)).path]
    assert len(found) == 1


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    folder = keep_executor(build_payload(), tmp_path).path.parent
    for name, age in (("new-old", 0.0), ("new-fresh", time.time())):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (age, age))
    next(path for path in folder.iterdir() if not path.name.startswith("new-")).unlink()
    keep_executor(build_payload(), tmp_path)
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith("new-")) == ["new-fresh"]


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
        executor_command(keep_executor(build_payload(), tmp_path / "cache")), stdin=subprocess.PIPE, stdout=subprocess.PIPE
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
    command = executor_command(keep_executor(build_payload(), tmp_path / "cache"))
    done = subprocess.run(command, input=b'{"schema": "gitops/request/v9"}', capture_output=True, check=False, timeout=60)
    assert (done.returncode, b'"M012"' in done.stdout, done.stderr) == (1, True, b"")


def test_executed_gives_the_last_body_of_a_name() -> None:
    executed = Executed(0, (Event("plan", 1), Event("plan", 2)))
    assert executed.body("plan") == 2


def test_an_executor_that_gets_no_request_ends_and_made_nothing(tmp_path: Path) -> None:
    with Started(tmp_path / "cache") as started:
        process = vars(started)["_process"]
        assert process.poll() is None
    assert process.returncode is not None
    assert [item.name for item in tmp_path.iterdir()] == ["cache"]
