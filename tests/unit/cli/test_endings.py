"""Every ending of the command line has its exit status; help is fast; data and messages go their own ways."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from gitops.cli import __main__ as program
from gitops.cli.verbs import VERBS, Verb
from gitops.errors import BugError, HeldError, HostError, RemoteError, RevertedError, TrustError, UsageError
from tests.support.cli import Called, call
from tests.support.project import Repository

SPACE = [sys.executable, "-m", "gitops.cli.__main__"]


def ending_with(monkeypatch: pytest.MonkeyPatch, end: Callable[[], object]) -> Called:
    """Run a verb that ends so."""
    monkeypatch.setattr(program, "VERBS", {**VERBS, "end": Verb("tests.nowhere", "ends")})

    class Module:
        @staticmethod
        @click.command()
        def command() -> object:
            return end()

    monkeypatch.setattr(program.importlib, "import_module", lambda _: Module)
    return call("end")


def raising(error: BaseException) -> Callable[[], object]:
    def end() -> object:
        raise error

    return end


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError("x"), 1),
        (HeldError("x"), 3),
        (HostError("x"), 4),
        (RevertedError("x"), 5),
        (TrustError("x"), 6),
        (RemoteError("x"), 7),
        (BugError("x"), 70),
        (click.UsageError("x"), 1),
        (click.Abort(), 130),
        (KeyboardInterrupt(), 130),
        (EOFError(), 130),
        (BrokenPipeError(), 141),
        (PermissionError(13, "Permission denied", "/x"), 1),
        (OSError("odd"), 1),
        (RuntimeError("x"), 70),
        (RecursionError(), 70),
    ],
)
def test_every_ending_has_its_exit_status(error: BaseException, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    called = ending_with(monkeypatch, raising(error))
    assert called.status == status
    assert called.out == ""
    assert called.err or isinstance(error, BrokenPipeError)


@pytest.mark.parametrize(("value", "status"), [(None, 0), (0, 0), (2, 2), ("text", 0)])
def test_a_verb_says_its_own_status(value: object, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ending_with(monkeypatch, lambda: value).status == status


def test_a_bug_is_said_plainly_and_its_traceback_is_only_in_the_log(monkeypatch: pytest.MonkeyPatch, own_home: Path) -> None:
    called = ending_with(monkeypatch, raising(ZeroDivisionError("boom")))
    assert "this is a bug" in called.err
    assert "Traceback" not in called.err
    (log,) = (own_home / ".local" / "state" / "gitops").iterdir()
    assert "ZeroDivisionError: boom" in log.read_text()
    assert str(log) in called.err


def test_a_bug_is_shown_when_no_log_can_be_written(monkeypatch: pytest.MonkeyPatch, own_home: Path) -> None:
    (own_home / ".local").write_text("in the way")
    assert "ZeroDivisionError" in ending_with(monkeypatch, raising(ZeroDivisionError("boom"))).err


@pytest.mark.parametrize("arguments", [[], ["nope"], ["plan", "--nope"], ["-C"], ["plan", "--format", "xml"], ["explain"]])
def test_usage_errors_are_exit_1_and_say_how(arguments: list[str]) -> None:
    called = call(*arguments)
    assert (called.status, called.out) == (1, "")
    assert "Error: " in called.err or "Usage: gitops" in called.err


@pytest.mark.parametrize(
    "verb", [name for name, verb in VERBS.items() if Path(*verb.module.split(".")).with_suffix(".py").exists()]
)
def test_every_verb_explains_itself(verb: str) -> None:
    called = call(verb, "--help")
    assert (called.status, called.err) == (0, "")
    assert called.out.startswith(f"Usage: gitops {verb}")
    assert "\n\n  " in called.out


HEAVY = ("cryptography", "dulwich", "jinja2", "jsonschema", "yaml", "starlette", "sqlalchemy", "httpx", "apscheduler")


def test_help_lists_every_verb_and_is_fast() -> None:
    """Processor time, since this machine is shared; 0.12 s of wall time on an idle one."""
    best = 9.0
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "gitops.cli.__main__", "--help"], env=environment, capture_output=True, text=True, check=False
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.returncode == 0, done.stderr
        assert all(f"  {name} " in done.stdout for name in VERBS)
    assert best < 0.3


def test_help_loads_nothing_heavy() -> None:
    program = f"import sys\nfrom gitops.cli.__main__ import run\nrun(['--help'])\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    made = Repository.make(tmp_path / "p")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*SPACE, "-C", str(made.path), "compile", "--format", "json"], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_an_odd_encoding_is_no_bug(tmp_path: Path) -> None:
    made = Repository.make(tmp_path / "p")
    done = subprocess.run(
        [*SPACE, "-C", str(made.path), "plan"],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"\\u2026" in done.stdout


def test_the_version_is_said() -> None:
    assert call("--version").out.startswith("gitops, version ")


def test_a_folder_that_is_not_there_is_said() -> None:
    called = call("-C", "/nowhere/at/all", "validate")
    assert (called.status, called.out) == (1, "")
    assert "error[U021]" in called.err
