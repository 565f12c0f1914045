"""Laws of visiting many hosts: side by side up to a number, none after too many failures, and a bug of one is not the others'."""

from __future__ import annotations

import contextlib
import threading
from datetime import UTC, datetime
from queue import SimpleQueue

import pytest

from gitops.errors import RemoteError
from gitops.model.graph import Graphs, HostGraph
from gitops.model.plan import HostPlan
from gitops.model.report import Report
from gitops.model.scope import HostScope
from gitops.model.wire import Event
from gitops.pipeline import push as room
from gitops.pipeline.push import Ended, Pace, Push, apply_there, plan_there, visit_hosts
from gitops.transport.local import Executed
from gitops.transport.ssh import Destination, Payload, Ssh

NOW = datetime(2026, 11, 24, tzinfo=UTC)
HOSTS = tuple(f"h{number}" for number in range(9))


def test_no_more_hosts_than_asked_are_visited_at_the_same_time_and_all_are() -> None:
    lock, gate, most, now = threading.Lock(), threading.Barrier(3, timeout=30), [0], [0]

    def visit(host: str) -> HostPlan:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        gate.wait()
        with lock:
            now[0] -= 1
        return HostPlan(host, NOW)

    ended = visit_hosts(HOSTS, visit, Pace(3))
    assert (most[0], [item.host for item in ended]) == (3, list(HOSTS))


def test_after_more_failures_than_may_be_no_other_host_begins() -> None:
    def visit(host: str) -> Report:
        if host == "h2":
            raise RemoteError("gone")
        if host == "h3":
            raise OSError(28, "No space left")
        return Report("r", host, "failed" if host == "h1" else "changed", NOW, NOW)

    assert [item.host for item in visit_hosts(HOSTS, visit, Pace(1, 0))] == ["h0", "h1"]
    assert [item.host for item in visit_hosts(HOSTS, visit, Pace(1, 2))] == ["h0", "h1", "h2", "h3"]
    assert len(visit_hosts(HOSTS, visit, Pace(1, 3))) == len(HOSTS)
    assert visit_hosts(HOSTS, visit, Pace(1, -1)) == ()


def test_what_nobody_foresaw_is_told_of_that_host_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: SimpleQueue[threading.ExceptHookArgs] = SimpleQueue()
    monkeypatch.setattr(threading, "excepthook", shown.put)

    def visit(host: str) -> HostPlan:
        if host == "h4":
            raise ZeroDivisionError
        return HostPlan(host, NOW)

    broken = [item for item in visit_hosts(HOSTS, visit, Pace(4, 9)) if item.has_failed]
    assert [(item.host, item.error.code if item.error else "") for item in broken] == [("h4", "B032")]
    assert shown.get(timeout=10).exc_type is ZeroDivisionError


def test_an_interruption_is_not_swallowed() -> None:
    def stop(item: Ended[HostPlan]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        visit_hosts(HOSTS, lambda host: HostPlan(host, NOW), Pace(1), done=stop)


def test_a_host_that_speaks_for_another_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, report = HostPlan("other", NOW), Report("20261124T150000Z-1a2b3c", "other", "changed", NOW, NOW)

    class Liar(contextlib.nullcontext[None]):
        def __init__(self, *_: object) -> None:
            super().__init__()

        def __enter__(self) -> Liar:  # type: ignore[override]  pyright: ignore[reportIncompatibleMethodOverride]  as a Session does
            return self

        def ask(self, *_: object) -> Executed:
            return Executed(0, (Event("plan", plan.to_json()), Event("report", report.to_json())))

    monkeypatch.setattr(room, "Session", Liar)
    graphs = Graphs("", {"web-1": HostGraph("web-1", "")})
    push = Push(graphs, {"web-1": Destination("web-1")}, Ssh(), {}, payload=Payload({}, ""))
    with pytest.raises(RemoteError, match="speaks for another"):
        plan_there(push, "web-1")
    with pytest.raises(RemoteError, match="speaks for another"):
        apply_there(push, HostPlan("web-1", NOW), approved=HostScope())
