"""What a run does when something fails: go on, stop, or put back what it changed; and pruning, and the bound of the journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitops.errors import UsageError
from gitops.executor import state as state_module
from gitops.executor.prune import add_pruned
from gitops.executor.state import StateFolder
from gitops.model.report import Report
from gitops.model.resource import Resource
from tests.support.rooted import Rooted, directory, file, symlink


@pytest.fixture
def machine(tmp_path: Path) -> Rooted:
    return Rooted(tmp_path)


def failing(path: str, policy: str, **more: object) -> Resource:
    return file(path, "bad", validate=["false"], on_failure=policy, **more)


def results(report: Report) -> dict[str, str]:
    return {item.address: item.result for item in report.changes}


def test_the_rest_goes_on_by_default(machine: Rooted) -> None:
    report = machine.apply(failing("/b", "continue"), directory("/c"), symlink("/z", "x"))
    assert (machine.status, report.result) == (4, "failed")
    assert results(report) == {"directory:/c": "changed", "file:/b": "failed", "symlink:/z": "changed"}


def test_a_run_that_stops_begins_nothing_more_and_keeps_what_it_did(machine: Rooted) -> None:
    report = machine.apply(directory("/a"), failing("/b", "stop"), symlink("/z", "x"))
    assert (machine.status, report.result) == (4, "failed")
    assert results(report) == {"directory:/a": "changed", "file:/b": "failed", "symlink:/z": "skipped"}
    assert "file:/b did not succeed" in report.changes[-1].message
    assert (machine.root / "a").is_dir()


def test_a_run_that_reverts_leaves_the_machine_as_it_was(machine: Rooted) -> None:
    machine.apply(file("/x", "old", mode="0640"), file("/gone", "x"))
    before = machine.tree()
    wanted = [
        directory("/new"),
        file("/x", "new", mode="0600"),
        file("/gone", state="absent"),
        failing("/y", "revert"),
        symlink("/z", "x"),
    ]
    report = machine.apply(*wanted)
    assert (machine.status, report.result) == (5, "reverted")
    assert machine.tree() == before
    found = results(report)
    assert found.pop("file:/y") == "failed"
    assert found.pop("symlink:/z") == "skipped"
    assert set(found.values()) == {"reverted"}
    assert report.reason.startswith("what the run changed was put back, by run ")
    assert machine.apply(file("/x", "old", mode="0640"), file("/gone", "x")).result == "converged"


def test_both_runs_are_in_the_history_and_the_ledger_is_as_it_was(machine: Rooted) -> None:
    machine.apply(file("/x", "old"))
    report = machine.apply(file("/x", "new"), failing("/y", "revert"))
    rows = {row["run"]: row["result"] for row in machine.runs()}
    assert list(rows.values()) == ["changed", "reverted", "reverted"]
    assert rows[report.run] == "reverted"
    (change,) = machine.plan(file("/x", "new")).changes
    assert change.classification == "intentional"
    assert machine.plan(file("/x", "old")).changes == ()


def test_what_is_refused_is_known_before_and_nothing_is_begun(machine: Rooted) -> None:
    (machine.root / "dir").mkdir()
    for policy in ("stop", "revert"):
        report = machine.apply(file("/a", "a"), file("/dir", "x", on_failure=policy))
        assert (machine.status, report.result) == (4, "failed")
        assert results(report) == {"file:/a": "skipped", "file:/dir": "refused"}
        assert not (machine.root / "a").exists()


def test_a_dependant_that_is_skipped_counts_as_failed(machine: Rooted) -> None:
    report = machine.apply(
        failing("/a", "continue"), symlink("/b", "x", needs=("file:/a",), on_failure="revert"), directory("/d")
    )
    assert (machine.status, report.result) == (5, "reverted")
    assert machine.tree() == {}


def test_a_success_reverts_nothing(machine: Rooted) -> None:
    assert machine.apply(file("/x", "a", on_failure="revert")).result == "changed"
    assert machine.status == 0


def test_a_crash_while_putting_back_leaves_a_run_that_the_next_one_finds(
    machine: Rooted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("gitops.executor.run.undo", crash)
        with pytest.raises(KeyboardInterrupt):
            machine.apply(file("/x", "new"), failing("/y", "revert"))
    assert machine.apply(file("/x", "other")).result == "changed"
    assert [row["result"] for row in machine.runs()] == ["failed", "changed"]


def test_how_a_failure_ends_is_part_of_what_is_approved() -> None:
    assert file("/x", "a").desired != file("/x", "a", on_failure="revert").desired
    assert file("/x", "a").after == file("/x", "a", on_failure="revert").after
    assert "on_failure" not in file("/x", "a").to_json()
    assert Resource.from_json(file("/x", "a", on_failure="stop").to_json()).on_failure == "stop"


def test_what_is_named_and_owned_is_pruned_and_can_come_back(machine: Rooted) -> None:
    machine.apply(file("/x", "mine"), file("/y", "stays"), file("/z", "kept"))
    planned = machine.plan(file("/z", "kept"), prune=("file:/x",))
    assert [(item.address, item.action, item.classification) for item in planned.changes] == [
        ("file:/x", "remove", "intentional")
    ]
    assert planned.unmanaged == ("file:/y",)
    report = machine.apply(file("/z", "kept"), prune=("file:/x",), approved=planned.scope)
    assert (machine.status, sorted(machine.tree())) == (0, ["/y", "/z"])
    assert machine.plan(file("/z", "kept")).unmanaged == ()
    machine.rollback(report.run)
    assert sorted(machine.tree()) == ["/x", "/y", "/z"]
    assert "file:/x" in machine.plan(file("/z", "kept")).unmanaged


def test_only_what_is_named_goes_with_only(machine: Rooted) -> None:
    machine.apply(file("/x", "mine"), file("/z", "kept"))
    report = machine.apply(file("/z", "changed"), file("/w", "w"), prune=("file:/x",), only=("file:/w",))
    assert results(report) == {"file:/w": "changed", "file:/x": "changed"}


def test_more_than_was_approved_is_not_pruned(machine: Rooted) -> None:
    machine.apply(file("/x", "mine"), file("/z", "kept"))
    shown = machine.plan(file("/z", "kept"))
    assert machine.apply(file("/z", "kept"), prune=("file:/x",), approved=shown.scope).result == "held"
    assert (machine.root / "x").exists()


def test_what_cannot_be_removed_stays_in_the_ledger(machine: Rooted) -> None:
    machine.apply(directory("/d"), file("/z", "kept"))
    (machine.root / "d" / "theirs").write_text("x")
    assert machine.apply(file("/z", "kept"), prune=("directory:/d",)).result == "failed"
    assert (machine.root / "d/theirs").exists()
    assert machine.plan(file("/z", "kept")).unmanaged == ("directory:/d",)


@pytest.mark.parametrize("address", ["file:/z", "file:/never", "file:/etc/passwd", "service:nginx"])
def test_what_is_declared_or_not_ours_is_not_pruned(machine: Rooted, address: str) -> None:
    machine.apply(file("/z", "kept"))
    (machine.root / "never").write_text("theirs")
    for send in (machine.plan, machine.apply):
        with pytest.raises(UsageError) as refused:
            send(file("/z", "kept"), prune=(address,))
        assert refused.value.code == "U012"
    assert (machine.root / "never").exists()


def test_an_agents_run_prunes_nothing(machine: Rooted) -> None:
    machine.apply(file("/x", "mine"))
    with pytest.raises(UsageError):
        machine.apply(baseline=(), prune=("file:/x",))


def test_the_journal_is_bounded_in_bytes_and_the_last_run_can_always_be_undone(
    machine: Rooted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_module, "KEPT_BYTES", 60_000)
    for number in range(6):
        machine.apply(file("/x", f"{number}" * 20_000))
    kept = StateFolder(str(machine.state), str(machine.root)).list_runs()
    assert 1 < len(kept) < 6
    monkeypatch.setattr(state_module, "KEPT_BYTES", 1)
    report = machine.apply(file("/x", "small"))
    assert machine.rollback(report.run).result == "reverted"
    assert (machine.root / "x").read_text() == "5" * 20_000


def test_the_run_that_is_put_back_is_not_dropped_for_its_size(machine: Rooted, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.apply(file("/x", "x" * 50_000))
    monkeypatch.setattr(state_module, "KEPT_BYTES", 1)
    report = machine.apply(file("/x", "y"), failing("/y", "revert"))
    assert report.result == "reverted"
    assert (machine.root / "x").read_text() == "x" * 50_000


def test_a_kind_that_cannot_be_absent_is_not_pruned(machine: Rooted) -> None:
    service = Resource("service", "nginx", {"state": "running"})
    with pytest.raises(UsageError, match="cannot be removed"):
        add_pruned(machine.request("plan", prune=(service.address,)), {service.address: service})
