"""Steps go by what holds when they are made: what an earlier step brought is not made again, and what did not happen is not undone."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, cast

import pytest

from gitops.errors import HostError
from gitops.executor import apply as apply_module
from gitops.executor import observe as observe_module
from gitops.executor.afresh import look_again
from gitops.executor.host import RealHost
from gitops.executor.journal import Journal, read_journal
from gitops.model.address import make_address, parse_address
from gitops.model.plan import Change, FieldChange
from gitops.model.report import Report
from gitops.model.resource import Resource
from gitops.plan.item import Preparer
from gitops.providers.registry import PROVIDERS
from tests.support.casehost import CaseHost
from tests.support.rooted import Rooted, directory, file, symlink


@pytest.fixture
def machine(tmp_path: Path) -> Rooted:
    return Rooted(tmp_path)


def command(machine: Rooted, name: str, script: str, **more: Any) -> Resource:
    return Resource("command", name, {"argv": ["/bin/sh", "-c", script.replace("ROOT", str(machine.root))], **more})


def run(machine: Rooted, *resources: Resource) -> Report:
    """Apply on the running machine, so that commands can be used; paths are below the machine's folder all the same."""
    return machine.apply(*resources, root="")


def here(machine: Rooted, path: str) -> str:
    return f"{machine.root}{path}"


def results(report: Report) -> dict[str, tuple[str, str]]:
    return {item.address.replace(":", " ", 1): (item.action, item.result) for item in report.changes}


def test_a_command_whose_guard_an_earlier_one_answered_does_not_run(machine: Rooted) -> None:
    made = here(machine, "/made")
    report = run(
        machine,
        command(machine, "a", "echo first >> ROOT/log; touch ROOT/made"),
        command(machine, "b", "echo second >> ROOT/log", creates=made),
    )
    assert [(item.address, item.result) for item in report.changes] == [("command:a", "changed"), ("command:b", "changed")]
    assert "something that ran before it" in report.changes[1].message
    assert Path(here(machine, "/log")).read_text() == "first\n"


def test_a_file_that_an_earlier_command_made_is_brought_to_its_state_and_undone_to_what_was_found(machine: Rooted) -> None:
    path = here(machine, "/brought")
    report = run(machine, command(machine, "a", "echo theirs > ROOT/brought", creates=path), file(path, "ours\n"))
    assert [(item.action, item.result) for item in report.changes] == [("run", "changed"), ("update", "changed")]
    assert Path(path).read_text() == "ours\n"
    machine.rollback(report.run)
    assert Path(path).read_text() == "theirs\n"


def test_what_would_need_another_verb_by_now_is_held_and_so_is_what_hangs_on_it(machine: Rooted) -> None:
    path, after = here(machine, "/place"), here(machine, "/z-after")
    wanted = Resource("file", after, {"content": "x"}, needs=(file(path, "").address,))
    report = run(machine, command(machine, "a", "ln -s /etc ROOT/place", creates=path), file(path, "ours\n"), wanted)
    found = {str(item.address): item for item in report.changes}
    assert (found[f"file:{path}"].result, found[f"file:{after}"].result) == ("held", "skipped")
    assert "planned was create" in found[f"file:{path}"].message
    assert (machine.status, report.result, Path(path).is_symlink()) == (4, "failed", True)


def test_a_file_below_a_link_of_this_run_is_judged_where_the_link_leads(machine: Rooted) -> None:
    for name, text in (("one", "old"), ("two", "new")):
        (machine.root / name).mkdir()
        (machine.root / name / "x").write_text(text)
    machine.apply(symlink("/app", "one"))
    report = machine.apply(symlink("/app", "two"), file("/app/x", "new"))
    assert [(str(item.address), item.result) for item in report.changes] == [
        ("symlink:/app", "changed"),
        ("file:/app/x", "changed"),
    ]
    assert "something that ran before it" in report.changes[1].message
    assert (machine.root / "one/x").read_text() == "old"


def test_a_run_of_files_and_their_folders_looks_at_each_once(machine: Rooted, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = observe_module.observe_items

    def count(items: Any, host: Any) -> Any:
        seen.append(len(items))
        return real(items, host)

    monkeypatch.setattr("gitops.executor.afresh.observe_items", count)
    report = machine.apply(directory("/d"), *(file(f"/d/{number}", "x") for number in range(50)))
    assert (report.result, len(report.changes), seen) == ("changed", 51, [])


def test_a_step_that_failed_and_did_nothing_leaves_no_undo(machine: Rooted) -> None:
    refused = file("/theirs", "ours\n", validate=["false"])
    report = machine.apply(refused, symlink("/z", "x"))
    assert report.result == "failed"
    (machine.root / "theirs").write_text("made by somebody, later\n")
    assert machine.rollback(report.run).result == "reverted"
    assert (machine.root / "theirs").read_text() == "made by somebody, later\n"
    assert not (machine.root / "z").is_symlink()


def test_a_command_that_never_started_is_nothing_that_stays(machine: Rooted) -> None:
    broken = Resource("command", "a", {"argv": ["/no/such/program"]})
    report = run(machine, broken, file(here(machine, "/x"), "x"))
    assert report.result == "failed"
    undone = machine.rollback(report.run)
    assert (machine.status, undone.result) == (0, "reverted")


def test_a_rollback_that_leaves_a_command_is_no_success_and_says_what_stays(machine: Rooted) -> None:
    report = run(machine, command(machine, "a", "true"), file(here(machine, "/x"), "x"))
    undone = machine.rollback(report.run)
    assert (machine.status, undone.result) == (4, "failed")
    assert "1 of 2 things stay: command:a ran" in undone.reason
    assert not Path(here(machine, "/x")).exists()


def test_a_check_that_fails_judges_the_run_and_is_nothing_that_stays(machine: Rooted) -> None:
    check = Resource(
        "command", "check", {"argv": ["/bin/false"]}, on_failure="revert", needs=(make_address("file", here(machine, "/x")),)
    )
    report = run(machine, file(here(machine, "/x"), "x"), check)
    assert (machine.status, report.result) == (5, "reverted")
    assert not Path(here(machine, "/x")).exists()


def test_a_check_is_nothing_that_stays_when_the_look_after_it_fails(machine: Rooted, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise HostError("cannot look", code="E100")

    monkeypatch.setattr(apply_module, "find_untouched", fail)
    check = Resource(
        "command", "check", {"argv": ["/bin/false"]}, on_failure="revert", needs=(make_address("file", here(machine, "/x")),)
    )
    report = run(machine, file(here(machine, "/x"), "x"), check)
    assert (machine.status, report.result) == (5, "reverted")


RUNNING = "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n"


@pytest.mark.parametrize(
    ("done", "expected"),
    [(("file:/etc/app.conf",), ["restart"]), (("package:app",), []), (("file:/etc/other", "file:/etc/app.conf"), ["restart"])],
)
def test_what_a_file_asked_of_a_service_is_done_though_its_package_started_it_meanwhile(
    done: tuple[str, ...], expected: list[str]
) -> None:
    items = {
        item.resource.address: item
        for item in Preparer(PROVIDERS).prepare_all(
            (
                Resource("file", "/etc/app.conf", {"content": "x"}, notify=(make_address("service", "app"),)),
                Resource("file", "/etc/other", {"content": "x"}),
                Resource("package", "app", {}),
                Resource("service", "app", {"state": "running"}),
            )
        )
    }
    start = Change(make_address("service", "app"), "update", "initial", fields=(FieldChange("running", False, True),))
    host = CaseHost(
        {"paths": {"/run/systemd/system": "directory"}, "commands": [{"words": ["systemctl", "show"], "output": RUNNING}]}
    )
    found = look_again([start], items, cast("Any", host), done={parse_address(one) for one in done})
    assert [step.action for step in found.steps] == expected
    assert [(outcome.action, outcome.result) for outcome in found.outcomes] == ([] if expected else [("update", "changed")])


def test_only_commands_between_two_marks_are_void_and_refreshes_stay(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    journal = Journal(str(tmp_path / "run"))
    host = RealHost(root=str(tmp_path), journal=journal)
    host.note_undo(["before"])
    host.prepare(["/a", "/b"])
    since = host.mark_undo()
    host.note_undo(["refresh"], is_refresh=True)
    host.note_undo(["ours"])
    host.void_undo(since, host.mark_undo())
    host.void_undo(0, since, paths=["/b"])
    with contextlib.closing(journal):
        left = [entry.path or entry.undo[0] for entry in read_journal(str(tmp_path / "run"))]
    assert left == ["before", "/a", "refresh"]


def test_what_a_run_wrote_is_told_until_it_is_marked_as_read(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    journal = Journal(str(tmp_path / "run"))
    host = RealHost(root=str(tmp_path), journal=journal)
    with contextlib.closing(journal):
        host.prepare(["/etc/x", "/other"])
        asked = [host.has_written_below(["/etc"]), host.has_written_below(["/etc"]), host.has_written_below(["/et"])]
        host.mark_written()
        asked += [host.has_written_below(["/etc"])]
        host.prepare(["/etc/y"])
        asked += [host.has_written_below(["/etc"])]
    assert asked == [True, True, False, False, True]
    unwritten = RealHost(root=str(tmp_path))
    unwritten.mark_written()
    assert not unwritten.has_written_below(["/etc"])
