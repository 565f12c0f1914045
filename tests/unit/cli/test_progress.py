"""What a person sees while hosts are pushed to: a line that is kept up to date on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest

from gitops.cli.progress import Progress, describe_end
from gitops.errors import RemoteError
from gitops.model.plan import HostPlan
from gitops.model.report import Report
from gitops.model.wire import Event
from gitops.pipeline.push import Ended

NOW = datetime(2026, 11, 24, tzinfo=UTC)
HELD = Report("20261124T150000Z-1a2b3c", "web-1", "held", NOW, NOW, reason="more than was approved")
STEP = {"address": "file:/x", "action": "create", "result": "changed"}
FAILED = {**STEP, "result": "failed", "message": "no \x1b[31mroom"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def show(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, *, is_quiet: bool = False) -> str:
    monkeypatch.setattr("sys.stderr", stream)
    progress = Progress("applying", 2, is_quiet=is_quiet)
    progress.tell("web-1", Event("plan", {}))
    progress.tell("web-1", Event("step", STEP))
    progress.tell("web-2", Event("step", FAILED))
    progress.done(Ended("web-1", HELD))
    progress.done(Ended("web-2", error=RemoteError("gone", code="R044", hint="again")))
    return stream.getvalue()


def test_on_a_terminal_one_line_is_kept_up_to_date_and_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = show(Terminal(), monkeypatch)
    assert "\r\x1b[Kapplying 0 of 2  web-1 changed file:/x" in shown
    assert "applying 1 of 2, 1 failed" in shown
    assert shown.endswith("\r\x1b[K")
    assert "\x1b[31m" not in shown


def test_elsewhere_each_host_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = show(io.StringIO(), monkeypatch).splitlines()
    assert shown[1:] == ["  web-1  held: more than was approved", "  web-2  error[R044]: gone (again)"]
    assert (shown[0].startswith("  web-2  failed file:/x"), "\x1b" in shown[0]) == (True, False)


def test_for_a_program_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert show(io.StringIO(), monkeypatch, is_quiet=True) == ""


def test_every_ending_has_words() -> None:
    assert describe_end(Ended[HostPlan]("web-1")) == "nothing"
    assert describe_end(Ended("web-1", HostPlan("web-1", NOW))) == "planned"
