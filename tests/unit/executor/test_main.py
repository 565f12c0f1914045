"""The executor's door: every ending is an event and an exit status."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitops.executor import __main__ as door
from gitops.model.codec import encode_canonical
from gitops.model.limits import DEFAULTS
from gitops.model.resource import Resource
from gitops.model.wire import Event, Request
from tests.support.rooted import Rooted, file


class _Stream:
    def __init__(self, data: bytes = b"") -> None:
        self.buffer = io.BytesIO(data)


@pytest.fixture(autouse=True)
def own_signals() -> Generator[None]:
    before, umask, core = signal.getsignal(signal.SIGTERM), os.umask(0o022), resource.getrlimit(resource.RLIMIT_CORE)
    os.umask(umask)
    yield
    signal.signal(signal.SIGTERM, before)
    os.umask(umask)
    resource.setrlimit(resource.RLIMIT_CORE, core)


def run(data: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[dict[str, Any]]]:
    out = _Stream()
    monkeypatch.setattr(sys, "stdin", _Stream(data))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr("gc.disable", lambda: None)
    status = door.main()
    return status, [json.loads(line) for line in out.buffer.getvalue().splitlines()]


def raising(error: BaseException) -> Callable[..., int]:
    def operation(_request: Request, _emit: Callable[[Event], None]) -> int:
        raise error

    return operation


def test_a_good_request_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Rooted(tmp_path)
    data = encode_canonical(machine.request("apply", (file("/x", "a"),)).to_json())
    status, events = run(data, monkeypatch)
    assert (status, [event["event"] for event in events], machine.read("/x")) == (0, ["plan", "step", "report"], "a")


def test_a_request_that_is_not_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    status, events = run(b"no json", monkeypatch)
    assert (status, events[0]["event"], events[0]["body"]["code"]) == (1, "error", "M003")


def test_a_request_beyond_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "DEFAULTS", type(DEFAULTS)(request_bytes=10))
    status, events = run(b"x" * 11, monkeypatch)
    assert (status, events[0]["body"]["code"]) == (1, "U050")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OSError(28, "No space left on device", "/var/lib/gitops/x"), 4, "E250"),
        (KeyboardInterrupt(), 4, "E255"),
        (ValueError("the-secret-value"), 70, "B020"),
    ],
)
def test_every_ending_is_an_event(
    error: BaseException, status: int, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(door.OPERATIONS, "runs", raising(error))
    found, events = run(encode_canonical(Rooted(tmp_path).request("runs").to_json()), monkeypatch)
    assert (found, events[-1]["event"], events[-1]["body"]["code"], events[-1]["body"]["exit"]) == (status, "error", code, status)
    assert "the-secret-value" not in json.dumps(events)


def test_names_that_are_not_utf_8_make_readable_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    out = _Stream()
    monkeypatch.setattr(sys, "stdout", out)
    door.emit(Event("runs", {"path": "a\udcffb"}))
    assert json.loads(out.buffer.getvalue())["body"] == {"path": "a\udcffb"}


@pytest.mark.parametrize("inherited", ["000", "077"])
def test_what_it_inherits_decides_neither_modes_nor_core_files(tmp_path: Path, inherited: str) -> None:
    machine = Rooted(tmp_path)
    asked = Resource("command", "ask", {"argv": ["/bin/sh", "-c", "umask; ulimit -Sc; exit 9"]})
    data = encode_canonical(machine.request("apply", (asked,), root="").to_json())
    argv = ["/bin/sh", "-c", f'umask {inherited}; ulimit -Sc hard; exec "$@"', "sh", sys.executable, "-m", "gitops.executor"]
    done = subprocess.run(argv, input=data, capture_output=True, timeout=60, check=False)
    assert b"exit status 9: 0022\\n0" in done.stdout, done


def test_a_state_folder_that_others_may_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Rooted(tmp_path)
    machine.state.mkdir()
    for mode in (0o770, 0o702):
        machine.state.chmod(mode)
        status, events = run(encode_canonical(machine.request("apply", (file("/x", "a"),)).to_json()), monkeypatch)
        body = events[-1]["body"]
        assert (status, body["code"], f"mode {mode:04o}" in body["message"], "--state" in body["hint"]) == (4, "E341", True, True)
    assert (list(machine.state.iterdir()), list(machine.root.iterdir())) == ([], [])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_state_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Rooted(tmp_path)
    machine.state.mkdir(mode=0o700)
    os.chown(machine.state, 4242, 4242)
    status, events = run(encode_canonical(machine.request("apply", (file("/x", "a"),)).to_json()), monkeypatch)
    assert (status, events[-1]["body"]["code"]) == (4, "E340")
    assert "belongs to user 4242, this run is user 0" in events[-1]["body"]["message"]
    assert list(machine.root.iterdir()) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=()), max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=10,
    ),
    count=st.sampled_from([0, 1, 255, 256, 257, 700]),
)
def test_a_line_is_the_same_in_parts_as_whole(value: Any, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    out = _Stream()
    monkeypatch.setattr(sys, "stdout", out)
    event = Event("plan", {"changes": [value] * count, "other": value})
    door.emit(event)
    whole = json.dumps(event.to_json(), ensure_ascii=False, separators=(",", ":"))
    assert out.buffer.getvalue() == whole.encode("utf-8", "backslashreplace") + b"\n"
