"""`apply`, `runs` and `rollback` as a person calls them: exit statuses, documents, questions, secrets, roots."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import pytest

from gitops.executor.state import Lock, StateFolder
from tests.support.cli import Called, call
from tests.support.project import PROJECT, SMALL, write_files

HOST = """\
apiVersion: gitops/v1
kind: Host
metadata: {name: web-1, labels: {env: production}}
spec:
  connection: CONNECTION
  resources: RESOURCES
"""
SECRET_PROJECT = PROJECT.replace("spec:\n", "spec:\n  secrets:\n    password: {from: env, key: GITOPS_SECRET_DB_PASSWORD}\n", 1)


class Here:
    """A project, a root and a state."""

    def __init__(self, folder: Path) -> None:
        self.project = write_files(folder / "project", SMALL)
        self.root = folder / "root"
        self.state = folder / "state"
        self.root.mkdir()

    def call(self, *arguments: str, env: dict[str, str] | None = None) -> Called:
        return call("-C", self.project, *arguments, "--state", self.state, env=env)

    def apply(self, *arguments: str, env: dict[str, str] | None = None) -> Called:
        return self.call("apply", "--local", "--host", "web-1", "--root", str(self.root), *arguments, env=env)

    def declare(self, resources: str, connection: str = "agent", project: str = PROJECT) -> None:
        host = HOST.replace("CONNECTION", connection).replace("RESOURCES", resources)
        write_files(self.project, {"gitops.yaml": project, "inventory/web.yaml": host})


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


def test_apply_shows_does_and_reports_then_has_nothing_to_do(here: Here) -> None:
    first = here.apply("--yes", "--format", "json")
    assert (first.status, first.json["schema"]) == (0, "gitops/applied/v1")
    (report,) = first.json["reports"]
    assert (report["schema"], report["host"], report["result"]) == ("gitops/report/v1", "web-1", "changed")
    assert [(item["address"], item["action"], item["result"]) for item in report["changes"]] == [
        ("directory:/etc", "create", "changed"),
        ("file:/etc/motd", "create", "changed"),
    ]
    again = here.apply("--yes", "--format", "json")
    assert (again.status, again.json["reports"][0]["result"]) == (0, "converged")


def test_without_a_terminal_and_without_yes_nothing_is_done(here: Here) -> None:
    refused = here.apply()
    assert (refused.status, "U062" in refused.err, list(here.root.iterdir())) == (1, True, [])


def test_a_dry_run_exits_as_plan_does_and_changes_nothing(here: Here) -> None:
    assert (here.apply("--dry-run").status, list(here.root.iterdir()), here.state.exists()) == (2, [], False)
    here.apply("--yes")
    assert here.apply("--dry-run").status == 0
    (here.root / "etc/motd").unlink()
    (here.root / "etc/motd").mkdir()
    assert here.apply("--dry-run").status == 4
    assert here.apply("--yes").status == 4


def test_what_cannot_be_reached_from_here_says_how_it_is_reached(here: Here) -> None:
    for connection, words in (("agent", "its own agent"), ("local", "this machine")):
        here.declare("[]", connection)
        refused = here.call("apply", "--host", "web-1", "--yes")
        assert (refused.status, "U060" in refused.err, words in refused.err) == (1, True, True)
        assert "gitops apply --local --host web-1" in refused.err
    assert here.call("apply", "plan.json", "--host", "web-1").status == 1
    assert here.call("apply", "--local").status == 1
    assert here.call("apply", "--local", "--host", "no-such").status == 1


def test_a_missing_secret_stops_before_anything_and_is_named_only_by_reference(here: Here) -> None:
    resources = '[{file: /etc/motd, content: "hello"}, {file: /etc/key, content: "pw=${secret.password}"}]'
    here.declare(resources, project=SECRET_PROJECT)
    missing = here.apply("--yes")
    assert (missing.status, list(here.root.iterdir())) == (1, [])
    assert "password (env:GITOPS_SECRET_DB_PASSWORD)" in missing.err
    done = here.apply("--yes", env={"GITOPS_SECRET_DB_PASSWORD": "hunter2-secret"})
    assert (done.status, (here.root / "etc/key").read_text()) == (0, "pw=hunter2-secret")
    assert "hunter2" not in done.out + done.err
    kept = [path.read_bytes() for path in here.state.rglob("*") if path.is_file()]
    assert not any(b"hunter2" in data for data in kept)


def test_a_kind_that_the_root_refuses_is_exit_1_before_anything(here: Here) -> None:
    here.declare('[{file: /etc/motd, content: "x"}, {command: c, argv: ["true"]}]')
    refused = here.apply("--yes")
    assert (refused.status, "U040" in refused.err, list(here.root.iterdir())) == (1, True, [])
    assert here.apply("--yes", "--only", "file:/etc/motd").status == 0
    assert here.apply("--yes", "--only", "file:/no/such").status == 1


def test_a_run_that_goes_on_holds_the_next_as_long_as_asked(here: Here) -> None:
    lock = Lock(StateFolder(str(here.state), str(here.root)).base, "20261124T150000Z-1a2b3c", 0)
    start = time.monotonic()
    held = here.apply("--yes", "--lock-timeout", "1")
    assert held.status == 3
    assert time.monotonic() - start < 30
    assert f"pid {os.getpid()}, run 20261124T150000Z-1a2b3c" in held.err
    lock.release()
    assert here.apply("--yes", "--lock-timeout", "0").status == 0


def test_runs_are_listed_shown_and_undone(here: Here) -> None:
    run = here.apply("--yes", "--format", "json").json["reports"][0]["run"]
    listed = here.call("runs", "list", "--root", str(here.root), "--format", "json").json
    assert listed["schema"] == "gitops/runs/v1"
    assert [sorted(row) for row in listed["runs"]] == [["finished", "host", "result", "run", "started"]]
    assert run in here.call("runs", "list", "--root", str(here.root)).out
    assert here.call("runs", "list").out == ""
    shown = here.call("runs", "show", run, "--format", "json").json
    assert (shown["schema"], shown["run"]) == ("gitops/report/v1", run)
    assert "file:/etc/motd" in here.call("runs", "show", run).out
    dry = here.call("rollback", run, "--dry-run", "--format", "json")
    assert (dry.status, dry.json["schema"], dry.json["run"]) == (2, "gitops/undo/v1", run)
    assert [sorted(item) for item in dry.json["undo"]] == [["reason", "undoable", "warning", "what"]] * 2
    assert here.call("rollback", run).status == 1
    (here.root / "etc/motd").write_text("by hand")
    assert "changed since" in here.call("rollback", run, "--dry-run").out
    undone = here.call("rollback", run, "--yes", "--format", "json")
    assert (undone.status, undone.json["result"]) == (0, "reverted")
    assert list(here.root.iterdir()) == []


def test_unknown_runs_are_exit_1(here: Here) -> None:
    for arguments in (("runs", "show"), ("rollback",)):
        for run in ("20261124T150000Z-1a2b3c", "no-run"):
            assert here.call(*arguments, run).status == 1


def test_what_cannot_be_undone_is_exit_4(here: Here) -> None:
    run = here.apply("--yes", "--format", "json").json["reports"][0]["run"]
    (here.root / "etc/mine").write_text("precious")
    failed = here.call("rollback", run, "--yes")
    assert (failed.status, "not empty" in failed.err) == (4, True)
    assert (here.root / "etc/mine").read_text() == "precious"


def test_more_than_was_shown_is_never_applied(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    here.apply("--yes")
    here.declare('[{file: /etc/motd, content: "new"}, {file: /srv/x, content: "x"}]')
    (here.root / "srv").mkdir()

    def meddle(_question: str) -> None:
        (here.root / "srv").rmdir()

    monkeypatch.setattr("gitops.cli.applylocal.confirm", meddle)
    held = here.apply()
    assert (held.status, "more than was approved" in held.err) == (3, True)
    assert (here.root / "etc/motd").read_text() == "hello\n"


class Typing(io.StringIO):
    """A terminal on which somebody types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("answer", ["n\n", "\n", "no\n"])
def test_a_no_changes_nothing_and_is_exit_1(here: Here, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Typing(answer))
    called = here.apply()
    assert (called.status, "U065" in called.err) == (1, True)
    assert not (here.root / "etc").exists()


def test_ctrl_c_at_the_question_is_exit_130(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Typing(""))
    assert here.apply().status == 130


def test_a_yes_is_enough(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Typing("y\n"))
    assert here.apply().status == 0
    assert (here.root / "etc/motd").exists()


@pytest.mark.parametrize("form", ["text", "json"])
def test_waiting_for_another_run_is_said_once(here: Here, form: str) -> None:
    lock = Lock(StateFolder(str(here.state), str(here.root)).base, "20260101T000000Z-abcdef", 0)
    try:
        called = here.apply("--yes", "--lock-timeout", "1", "--format", form)
    finally:
        lock.release()
    assert called.status == 3
    assert called.err.count("waiting for another run on this machine (pid ") == 1
    assert "20260101T000000Z-abcdef" in called.err


def test_who_does_not_wait_is_told_of_no_waiting(here: Here) -> None:
    lock = Lock(StateFolder(str(here.state), str(here.root)).base, "20260101T000000Z-abcdef", 0)
    try:
        called = here.apply("--yes", "--lock-timeout", "0")
    finally:
        lock.release()
    assert (called.status, "waiting" in called.err) == (3, False)
