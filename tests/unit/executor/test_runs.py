"""Runs: lock, history, ledger, holding, recovery, rollback and what it warns of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.errors import HeldError, MalformedError, UsageError
from gitops.executor import apply as apply_module
from gitops.executor import state as state_module
from gitops.executor.host import RealHost
from gitops.executor.journal import Entry, Journal, read_journal
from gitops.executor.state import KEPT_RUNS, Lock, StateFolder
from gitops.model.scope import HostScope
from tests.support.rooted import Rooted, directory, file, secret, symlink

RUN = "20261124T150000Z-1a2b3c"


@pytest.fixture
def machine(tmp_path: Path) -> Rooted:
    return Rooted(tmp_path)


def part_of(machine: Rooted) -> StateFolder:
    return StateFolder(str(machine.state), str(machine.root))


def test_a_second_run_waits_then_names_the_holder(machine: Rooted) -> None:
    part = part_of(machine)
    holder = Lock(part.base, RUN, 0)
    with pytest.raises(HeldError, match=rf"pid {os.getpid()}, run {RUN}") as held:
        machine.apply(file("/x", "a"))
    assert (held.value.exit_status, machine.tree()) == (3, {})
    holder.release()
    assert machine.apply(file("/x", "a")).result == "changed"


def test_the_lock_of_a_dead_holder_is_free(machine: Rooted) -> None:
    part = part_of(machine)
    program = f"from gitops.executor.state import Lock; import os; Lock({part.base!r}, {RUN!r}, 0); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", program], check=False, timeout=60, cwd=Path(__file__).parents[3])
    assert RUN in (Path(part.base) / "lock").read_text()
    assert machine.apply(file("/x", "a")).result == "changed"


def test_runs_are_listed_and_shown_wherever_their_root_is(machine: Rooted) -> None:
    report = machine.apply(file("/x", "a"))
    machine.apply(file("/x", "a"))
    assert [(row["run"], row["host"], row["result"]) for row in machine.runs()] == [(report.run, "web-1", "changed")]
    shown = machine.send(machine.request("runs", run=report.run, root=""))["runs"]["report"]
    assert shown["run"] == report.run
    for unknown in (RUN, "no run at all"):
        with pytest.raises((UsageError, MalformedError)):
            machine.send(machine.request("runs", run=unknown))


def test_old_runs_go_but_those_that_changed_nothing_push_out_none_that_did(machine: Rooted) -> None:
    first = machine.apply(file("/x", "0"))
    part = part_of(machine)
    for number in range(KEPT_RUNS + 5):
        run = f"20261124T15{number // 60:02}{number % 60:02}Z-1a2b3c"
        part.begin_run(run, {"host": "h", "root": "", "started": "2026-11-24T15:00:00Z"})
        part.write_report(run, {"result": "held"})
    assert first.run in part.list_runs()
    assert len(part.list_runs()) == KEPT_RUNS + 1


def test_the_newest_run_stays_even_when_the_clock_went_back(machine: Rooted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "KEPT_RUNS", 3)
    part = part_of(machine)
    for year in (2030, 2031, 2032, 2026):
        run = f"{year}1124T150000Z-1a2b3c"
        part.begin_run(run, {"host": "h", "root": "", "started": "2026-11-24T15:00:00Z"})
        part.write_report(run, {"result": "held"})
    assert "20261124T150000Z-1a2b3c" in part.list_runs()


def test_more_than_was_approved_is_held_and_nothing_changes(machine: Rooted) -> None:
    report = machine.apply(file("/x", "a"), approved=HostScope())
    assert (machine.status, report.result, machine.tree()) == (3, "held", {})
    scope = machine.plan(file("/x", "a")).scope
    assert machine.apply(file("/x", "a"), approved=scope).result == "changed"
    machine.write("/x", "drifted")
    assert machine.apply(file("/x", "a"), approved=HostScope()).result == "changed"  # corrective needs no approval


def test_dry_run_changes_nothing_and_makes_no_state(machine: Rooted) -> None:
    machine.send(machine.request("apply", (file("/x", "a"),), dry_run=True))
    assert (machine.status, machine.tree(), machine.state.exists()) == (2, {}, False)


def test_what_failed_keeps_its_old_ledger_entry_and_only_touches_only_its_own(machine: Rooted) -> None:
    machine.apply(file("/a", "1"), file("/b", "1"))
    failing = file("/a", "2", validate=["false"])
    machine.apply(failing, file("/b", "2"))
    plan = machine.plan(file("/a", "1"), file("/b", "2"))
    assert plan.changes == ()
    assert plan.scope.intents == frozenset()
    machine.apply(file("/a", "3"), file("/b", "3"), only=("file:/b",))
    assert (machine.read("/a"), machine.read("/b")) == ("1", "3")
    assert machine.plan(file("/a", "1"), file("/b", "3")).scope.intents == frozenset()


def test_what_left_the_config_is_named_once_and_stays(machine: Rooted) -> None:
    machine.apply(file("/a", "1"), file("/b", "1"))
    assert machine.plan(file("/a", "1")).unmanaged == ("file:/b",)
    machine.apply(file("/a", "1"))
    assert machine.plan(file("/a", "1")).unmanaged == ()
    assert machine.read("/b") == "1"


def test_rollback_restores_content_mode_target_and_time(machine: Rooted) -> None:
    path = machine.write("/etc/x", "old", 0o640)
    os.utime(path, ns=(1, 1_500_000_000_123_456_789))
    (machine.root / "etc/l").symlink_to("old-target")
    (machine.root / "etc/d").mkdir(mode=0o700)
    before = machine.tree()
    report = machine.apply(
        file("/etc/x", "new", mode="0600"), symlink("/etc/l", "new"), directory("/etc/d", mode="0755"), file("/new/y", "y")
    )
    assert machine.rollback(report.run).result == "reverted"
    assert machine.tree() == before
    assert path.stat().st_mtime_ns == 1_500_000_000_123_456_789


def test_a_rollback_can_be_rolled_back(machine: Rooted) -> None:
    machine.write("/etc/x", "old")
    report = machine.apply(file("/etc/x", "new"), file("/etc/y", "y"))
    after = machine.tree()
    undone = machine.rollback(report.run)
    assert machine.read("/etc/x") == "old"
    assert machine.rollback(undone.run).result == "reverted"
    assert machine.tree() == after


def test_a_rollback_takes_back_its_own_part_of_the_ledger_only(machine: Rooted) -> None:
    first = machine.apply(file("/a", "1"))
    machine.apply(file("/a", "1"), file("/b", "1"))
    machine.rollback(first.run)
    plan = machine.plan(file("/a", "1"), file("/b", "1"))
    assert [(item.address, item.classification) for item in plan.changes] == [("file:/a", "initial")]


def test_the_plan_of_an_undo_warns_of_what_was_changed_since(machine: Rooted) -> None:
    report = machine.apply(file("/a", "1"), file("/b", "1"))
    assert [item["warning"] for item in machine.undo_plan(report.run)] == ["", ""]
    assert machine.status == 2
    machine.write("/a", "by hand")
    warned = {item["what"]: item["warning"] for item in machine.undo_plan(report.run)}
    assert "changed since" in warned["/a: back to absent"]
    assert warned["/b: back to absent"] == ""
    assert machine.read("/a") == "by hand"


def test_a_rollback_sweeps_nothing_away_that_came_since(machine: Rooted) -> None:
    report = machine.apply(directory("/new"), file("/new/x", "x"))
    machine.write("/new/mine", "precious")
    undone = machine.rollback(report.run)
    assert (machine.status, undone.result) == (4, "failed")
    assert "not empty" in next(item.message for item in undone.changes if item.result == "failed")
    assert sorted(machine.tree()) == ["/new", "/new/mine"]


def test_a_rollback_stops_at_what_changed_its_type(machine: Rooted) -> None:
    (machine.root / "d").mkdir(mode=0o700)
    report = machine.apply(directory("/d", mode="0755"))
    (machine.root / "d").rmdir()
    machine.write("/d", "a file now", 0o644)
    undone = machine.rollback(report.run)
    assert undone.result == "failed"
    assert machine.mode("/d") == "0644"


def test_a_damaged_image_is_not_restored(machine: Rooted) -> None:
    machine.write("/x", "old")
    report = machine.apply(file("/x", "new"))
    next(machine.state.rglob("images/*")).write_text("0ld")
    undone = machine.rollback(report.run)
    assert "damaged" in undone.changes[0].message
    assert (machine.read("/x"), machine.temps()) == ("new", [])


@pytest.mark.skipif(
    os.geteuid() == 0 and " /run tmpfs " in Path("/proc/mounts").read_text(), reason="here memory-backed storage is there"
)
def test_what_cannot_be_undone_says_so_in_the_plan_and_fails_the_rollback(machine: Rooted) -> None:
    machine.write("/key", "old secret")
    report = machine.apply(file("/key", secret()), secrets={"env:PASSWORD": "new secret"})
    (item,) = machine.undo_plan(report.run)
    assert (item["undoable"], item["reason"]) == (False, "sensitive content is not kept on disk")
    assert machine.rollback(report.run).result == "failed"
    assert machine.read("/key") == "new secret"


def test_nothing_to_undo_is_no_change(machine: Rooted) -> None:
    report = machine.apply(file("/x", "a"), approved=HostScope())
    assert machine.undo_plan(report.run) == []
    assert machine.status == 0


def test_an_interrupted_run_is_marked_cleaned_and_can_be_undone(machine: Rooted) -> None:
    machine.write("/etc/x", "old")
    report = machine.apply(file("/etc/x", "new"))
    part = part_of(machine)
    (Path(part.run_folder(report.run)) / "report.json").unlink()
    machine.write(f"/etc/.gitops-{report.run}-7", "left")
    (machine.root / f"etc/.gitops-{report.run}-8").mkdir()
    (machine.root / "etc/.gitops-of-somebody-else").touch()
    machine.apply(file("/other", "x"))
    assert [row["result"] for row in machine.runs()] == ["interrupted", "changed"]
    assert machine.temps() == ["/etc/.gitops-of-somebody-else"]
    assert machine.rollback(report.run).result == "reverted"
    assert machine.read("/etc/x") == "old"


def test_a_crash_while_a_run_begins_or_is_dropped_harms_no_later_run(machine: Rooted) -> None:
    part = part_of(machine)
    half = Path(part.base) / "runs" / f"new-{RUN}" / "images"
    half.mkdir(parents=True)
    (half / "x").write_text("x")
    assert machine.apply(file("/x", "a")).result == "changed"
    assert not half.parent.exists()


def test_a_journal_cut_short_is_read_up_to_there(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    journal.add(Entry("/a", {"type": "absent"}))
    journal.flush()
    journal.add(Entry("/b\udcff\n", {"type": "absent"}))
    journal.flush()
    journal.close()
    with (tmp_path / "journal.jsonl").open("ab") as stream:
        stream.write(b'{"path": "/c", "befo')
    assert [entry.path for entry in read_journal(str(tmp_path))] == ["/a", "/b\udcff\n"]
    with (tmp_path / "journal.jsonl").open("ab") as stream:
        stream.write(b"\0\0\0\n")
    assert len(read_journal(str(tmp_path))) == 2


def test_a_damaged_ledger_is_named(machine: Rooted) -> None:
    machine.apply(file("/x", "a"))
    ledger = Path(part_of(machine).base) / "ledger.json"
    ledger.write_text("{")
    with pytest.raises(MalformedError, match=r"ledger\.json is damaged"):
        machine.apply(file("/x", "b"))


def test_a_damaged_ledger_stops_a_release_too_before_anything_changes(machine: Rooted) -> None:
    machine.apply(file("/x", "a"))
    (Path(part_of(machine).base) / "ledger.json").write_text("{")
    with pytest.raises(MalformedError, match="is damaged"):
        machine.apply(file("/x", "b"), baseline=())
    assert machine.read("/x") == "a"


def test_many_files_are_written_some_at_a_time_and_folders_all_at_once(machine: Rooted, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[list[str]] = []
    prepare = RealHost.prepare

    def note(host: RealHost, paths: Sequence[str], **more: bool) -> Mapping[str, str]:
        batches.extend([list(paths)] if paths else [])
        return prepare(host, paths, **more)

    monkeypatch.setattr(RealHost, "prepare", note)
    monkeypatch.setattr(apply_module, "MOST_AT_ONCE", 2)
    folders, files = [directory(f"/d{number}") for number in range(3)], [file(f"/f{number}", "x") for number in range(5)]
    report = machine.apply(*folders, *files)
    assert {item.result for item in report.changes} == {"changed"}
    assert batches == [["/d0", "/d1", "/d2"], ["/f0", "/f1"], ["/f2", "/f3"], ["/f4"]]


def test_a_state_that_cannot_be_made_or_was_not_given_stops_before_anything(machine: Rooted) -> None:
    with pytest.raises(UsageError):
        machine.send(replace(machine.request("apply", (file("/x", "a"),)), state=""))
    assert machine.tree() == {}


def test_reports_and_states_are_private_to_the_user(machine: Rooted) -> None:
    machine.apply(file("/x", "a"))
    assert machine.state.stat().st_mode & 0o777 == 0o700
    report = next(machine.state.rglob("report.json"))
    assert json.loads(report.read_text())["result"] == "changed"
    assert report.stat().st_mode & 0o077 == 0
