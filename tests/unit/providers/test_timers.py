"""Timers on a machine of recorded answers: what systemd is told and in which order, what it says, edges, the words of schedules."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitops.model.resource import Resource
from gitops.plan.item import Preparer
from gitops.plan.order import find_edges
from gitops.providers.base import Step
from gitops.providers.registry import PROVIDERS
from gitops.providers.services.systemd import PROPERTIES
from gitops.providers.timers.words import find_calendar_mistake, is_span
from tests.unit.providers.test_live_parts import Machine, make, spec_of

TIMER = make("timer", "backup", schedule="daily", command=["/usr/bin/backup"])
GONE = make("timer", "backup", state="absent")
RELOAD, RESTART = "systemctl daemon-reload", "systemctl restart -- backup.timer"
SHOW = " ".join(("systemctl show --no-pager", *(f"--property={name}" for name in PROPERTIES)))
ASK = f"{SHOW} -- backup.timer"
CHECK = f"{SHOW} --property=NextElapseUSecRealtime --property=NextElapseUSecMonotonic -- backup.timer backup.service"
ACTIVE, INACTIVE = "LoadState=loaded\nActiveState=active\n", "LoadState=not-found\nActiveState=inactive\n"
DUE = f"{ACTIVE}NextElapseUSecRealtime=Sun 2026-11-29 00:00:00 UTC\nNextElapseUSecMonotonic=infinity\n"


def machine(folder: Path, asked: str = INACTIVE, checked: str = f"{DUE}\n{INACTIVE}".replace("not-found", "loaded")) -> Machine:
    answers = {ASK: asked, CHECK: checked, RELOAD: "", RESTART: "", "systemctl stop -- backup.timer": ""}
    it = Machine(folder, {argv: ("/answers", text) for argv, text in answers.items()})
    it.put("/run/systemd/system/x", "")
    (folder / "root/etc/systemd/system/timers.target.wants").mkdir(parents=True)
    return it


def verbs(ran: list[list[str]]) -> list[str]:
    return [" ".join(argv) for argv in ran if argv[1] != "show"]


def test_files_then_systemd_then_the_timer_and_all_of_it_backwards(tmp_path: Path) -> None:
    it = machine(tmp_path)
    assert [item.name for item in it.diff(TIMER).fields] == ["schedule", "command", "enabled", "active"]
    it.ran.clear()
    assert it.apply(TIMER).result == "changed"
    assert verbs(it.ran) == [RELOAD, RESTART]
    assert [" ".join(argv) for argv in it.undo()] == [RELOAD, RELOAD, "systemctl stop -- backup.timer"]
    it.acts[ASK] = ("/answers", ACTIVE)
    assert it.diff(TIMER) is None


def test_another_command_needs_no_restart_and_another_schedule_does(tmp_path: Path) -> None:
    it = machine(tmp_path, ACTIVE)
    it.apply(TIMER)
    it.ran.clear()
    assert it.apply(make("timer", "backup", schedule="daily", command=["/usr/bin/other"])).result == "changed"
    assert verbs(it.ran) == [RELOAD]
    it.ran.clear()
    assert it.apply(make("timer", "backup", schedule="weekly", command=["/usr/bin/other"])).result == "changed"
    assert verbs(it.ran) == [RELOAD, RESTART]
    assert [" ".join(argv) for argv in it.undo()] == [RELOAD, RELOAD, RESTART]


def test_what_goes_is_stopped_first_and_started_again_when_undone(tmp_path: Path) -> None:
    it = machine(tmp_path, ACTIVE)
    it.apply(TIMER)
    it.ran.clear()
    assert it.apply(GONE).result == "changed"
    assert verbs(it.ran) == ["systemctl stop -- backup.timer", RELOAD]
    assert [" ".join(argv) for argv in it.undo()] == [RELOAD, "systemctl start -- backup.timer", RELOAD]
    it.acts[ASK] = ("/answers", INACTIVE)
    assert it.diff(GONE) is None


def test_what_does_not_stop_keeps_its_files(tmp_path: Path) -> None:
    it = machine(tmp_path, ACTIVE)
    it.apply(TIMER)
    del it.acts["systemctl stop -- backup.timer"]
    outcome = it.apply(GONE)
    assert (outcome.result, "systemctl stop ended with 1" in outcome.message) == ("failed", True)
    assert (tmp_path / "root/etc/systemd/system/backup.timer").exists()


@pytest.mark.parametrize(
    ("checked", "word"),
    [
        (f"{DUE}\n{INACTIVE}", "cannot load backup.service: not-found"),
        (f"{ACTIVE}SubState=elapsed\nNextElapseUSecRealtime=\nNextElapseUSecMonotonic=infinity\n\n{ACTIVE}", "never elapses"),
        (f"{DUE.replace('=active', '=failed')}\n{ACTIVE}", "failed and never elapses"),
        ("", "systemctl show ended"),
    ],
)
def test_a_timer_that_systemd_will_not_start_has_failed(tmp_path: Path, checked: str, word: str) -> None:
    outcome = machine(tmp_path, checked=checked).apply(TIMER)
    assert (outcome.result, word in outcome.message) == ("failed", True), outcome


def test_a_timer_whose_command_runs_just_now_is_well(tmp_path: Path) -> None:
    running = f"{ACTIVE}SubState=running\nNextElapseUSecRealtime=\nNextElapseUSecMonotonic=\n\n{ACTIVE}"
    assert machine(tmp_path, checked=running).apply(TIMER).result == "changed"


def test_where_systemd_does_not_run_or_answer_it_is_refused(tmp_path: Path) -> None:
    it = machine(tmp_path)
    del it.acts[ASK]
    assert "systemctl show ended" in it.diff(TIMER).reason
    (tmp_path / "root/run/systemd/system/x").unlink()
    (tmp_path / "root/run/systemd/system").rmdir()
    assert (it.diff(TIMER).action, "no systemd runs" in it.diff(TIMER).reason) == ("refused", True)


def test_a_file_that_failed_starts_nothing(tmp_path: Path) -> None:
    it = machine(tmp_path)
    state, difference = it.see(TIMER), it.diff(TIMER)
    it.ran.clear()
    host = it.open()
    (tmp_path / "root/etc/systemd/system/timers.target.wants").rmdir()
    (tmp_path / "root/etc/systemd/system").rmdir()
    (outcome,) = PROVIDERS["timer"].apply([Step(TIMER.address, difference.action, spec_of(TIMER), state, difference)], host)
    assert (outcome.result, it.ran) == ("failed", [])


def edges(*resources: Resource) -> set[tuple[str, str]]:
    return {(edge.before, edge.after) for edge in find_edges(Preparer(PROVIDERS).prepare_all(resources))}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (make("user", "ann"), make("timer", "x", every="1h", command=["x"], user="ann")),
        (make("file", "/usr/bin/backup"), TIMER),
        (make("directory", "/etc/systemd/system"), TIMER),
        (TIMER, make("service", "backup.timer", state="running")),
        (TIMER, make("service", "backup")),
    ],
)
def test_automatic_edges(before: Resource, after: Resource) -> None:
    assert edges(before, after) == {(str(before.address), str(after.address))}


def test_a_mistake_has_no_edges_and_an_unseen_one_its_bound() -> None:
    assert edges(make("directory", "/etc/systemd/system"), make("timer", "x")) == set()
    assert [item.verb for item in PROVIDERS["timer"].bound(spec_of(TIMER))][:2] == ["set", "replace"]
    assert [item.verb for item in PROVIDERS["timer"].bound(spec_of(GONE))] == ["remove"]


WRONG = [
    *("", " ", "sometimes", "Mon-Fri", "Fri..Mon", "Mon..Wed..Fri", "Mon,", "Mon..", "32", "*-13-01", "*-00-01", "13-01"),
    *("24:00", "12:60", "12", "12:00:60", "1:2:3:4", "*/5:00", "10..5:00", "10..10:00", "1/0:00", "a:b", "*-*-*-* 10:00"),
    *(
        "daily weekly",
        "10:00 Mon",
        "10:00 utc",
        "10:00 ../etc",
        "2026-1-1 10:00 UTC UTC",
        "d\u00e4ily",
        "x" * 201,
        "daily\n",
        "::",
    ),
]


@pytest.mark.parametrize("text", WRONG)
def test_a_schedule_that_is_none_is_told(text: str) -> None:
    assert find_calendar_mistake(text) != ""


@pytest.mark.parametrize("text", ["", "0", "soon", "15 minutess", "-5min", "1h30x", "5min ", "1.5h", "9" * 10, "1h" * 7, "1 2"])
def test_a_span_that_is_none_is_told(text: str) -> None:
    assert not is_span(text)
