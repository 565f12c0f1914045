"""Undo: order, joined images, commands and their inverses."""

from __future__ import annotations

from pathlib import Path

from gitops.executor.host import RealHost
from gitops.executor.journal import Entry, Journal, read_journal
from gitops.executor.rollback import describe_rest, describe_undo, is_incomplete, plan_undo, undo
from gitops.model.report import Outcome
from tests.support.rooted import Rooted

FILE = {"type": "file", "mode": "0600", "uid": 1, "gid": 2}


def test_the_newest_is_undone_first_and_directories_come_back_before_what_is_in_them() -> None:
    entries = [
        Entry("/d/x", {**FILE, "image": "i"}),
        Entry("/d", {"type": "directory", "mode": "0755", "uid": 0, "gid": 0}),
        Entry("/new", {"type": "absent"}),
        Entry("/new/x", {"type": "absent"}),
        Entry(undo=("echo", "one")),
        Entry(undo=("echo", "two")),
    ]
    planned = [entry.path or entry.undo[1] for entry in plan_undo(entries)]
    assert planned == ["/d", "/d/x", "two", "one", "/new/x", "/new"]


def test_a_new_folder_that_was_looked_at_again_goes_after_all_that_came_into_it() -> None:
    folder = {"type": "directory", "mode": "0755", "uid": 0, "gid": 0}
    entries = [
        Entry("/new", {"type": "absent"}),
        Entry("/new/x", {"type": "absent"}),
        Entry("/new", folder),
        Entry("/new/y", {"type": "absent"}),
    ]
    assert [entry.path for entry in plan_undo(entries)] == ["/new/y", "/new/x", "/new"]


def test_the_oldest_image_of_a_path_counts_and_takes_the_content_that_it_did_not_keep() -> None:
    entries = [
        Entry("/x", {**FILE, "image": None}),
        Entry("/x", {**FILE, "mode": "0644", "image": "content"}),
        Entry("/x", {**FILE, "mode": "0755", "image": "later"}),
    ]
    (planned,) = plan_undo(entries)
    assert planned.before == {**FILE, "image": "content"}
    (alone,) = plan_undo(entries[:1])
    assert alone.before == {**FILE, "image": None}


def test_inverses_run_failures_are_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    journal = Journal(str(tmp_path / "run"))
    host = RealHost(journal=journal)
    done = tmp_path / "done"
    told: list[Outcome] = []
    entries = [
        Entry(undo=("touch", str(done))),
        Entry(undo=("sh", "-c", "echo no; exit 3")),
        Entry(undo=("/no/such/program",)),
        Entry(why_not="a command ran"),
    ]
    outcomes = undo(entries, host, told.append)
    assert [(item.result, item.message.partition(":")[0]) for item in outcomes] == [
        ("skipped", "a command ran"),
        ("failed", "cannot run /no/such/program"),
        ("failed", "status 3"),
        ("reverted", ""),
    ]
    assert (told, done.exists()) == (list(outcomes), True)
    assert is_incomplete(outcomes)
    assert is_incomplete([item for item in outcomes if item.result != "failed"])  # a command stays, whatever else came back
    assert not is_incomplete(outcomes[3:])
    assert describe_rest(outcomes).startswith("3 of 4 things stay: a command ran, cannot run /no/such/program")
    assert describe_rest(outcomes[3:]) == ""
    journal.close()
    assert ["cannot be undone again" in entry.why_not for entry in read_journal(str(tmp_path / "run"))] == [True] * 3


def test_what_cannot_be_undone_is_described(tmp_path: Path) -> None:
    host = RealHost(root=str(Rooted(tmp_path).root))
    cases = {
        "it was a device, socket or pipe": Entry("/x", {"type": "other"}),
        "its content was kept in memory, and is gone": Entry("/x", {**FILE, "image": "/no/where"}, is_sensitive=True),
        "its content was not kept": Entry("/x", {**FILE, "image": "/no/where"}),
        "said so": Entry(why_not="said so"),
        "nothing undoes it": Entry(),
    }
    for reason, entry in cases.items():
        described = describe_undo(entry, {}, host)
        assert (described["undoable"], described["reason"]) == (False, reason if reason != "nothing undoes it" else "")


def test_what_reads_files_again_does_so_when_these_are_as_they_were_and_before_a_command_may_take_it_away() -> None:
    made = Entry("/etc/new", {"type": "absent"})
    install = Entry(undo=("apt-get", "remove", "app"))
    restart, reload = Entry(undo=("restart",), is_refresh=True), Entry(undo=("reload",), is_refresh=True)
    opaque = Entry(why_not="nothing undoes it")
    assert plan_undo((install, made, opaque, restart, reload)) == (opaque, made, reload, restart, install)
    assert plan_undo((made, install, restart)) == (restart, install, made)
