"""The rhythm: a phase of the host's own, at once at the start, never two, and an end that finishes what is going on."""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from agent.schedule import Rhythm, next_start, run_until_told, stop_on_signals

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def test_the_phase_is_the_hosts_own_and_always_the_same() -> None:
    assert Rhythm("web-1", 300).phase == Rhythm("web-1", 300).phase
    assert Rhythm("web-1", 300).phase != Rhythm("web-2", 300).phase


def test_a_fleet_is_spread_over_the_interval() -> None:
    buckets = [0] * 10
    for number in range(1000):
        buckets[Rhythm(f"web-{number}", 300).phase // 30] += 1
    assert min(buckets) > 60
    assert max(buckets) < 140


@pytest.mark.parametrize("host", ["web-1", "db-7", "x"])
def test_the_next_start_is_in_the_future_within_an_interval_and_in_phase(host: str) -> None:
    rhythm = Rhythm(host, 300)
    start = next_start(rhythm, NOW)
    assert NOW < start <= NOW + timedelta(seconds=300)
    assert int(start.timestamp()) % 300 == rhythm.phase
    assert next_start(rhythm, start) == start + timedelta(seconds=300)


def test_work_is_done_at_once_then_by_the_rhythm_one_at_a_time_until_told() -> None:
    stop, running, most = threading.Event(), threading.Lock(), 0
    count = 0

    def work() -> None:
        nonlocal count, most
        assert running.acquire(blocking=False)
        count += 1
        deadline = time.monotonic() + 1.2
        while count > 1 and time.monotonic() < deadline:
            stop.wait(0.05)
        if count == 3:
            stop.set()
        running.release()

    run_until_told(work, Rhythm("web-1", 1), stop)
    assert count >= 3


def test_what_goes_on_when_told_to_stop_is_finished() -> None:
    stop, done = threading.Event(), []

    def work() -> None:
        if not done:
            done.append("first")
            return
        stop.set()
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            threading.Event().wait(0.05)
        done.append("whole")

    run_until_told(work, Rhythm("web-1", 1), stop)
    assert done[:2] == ["first", "whole"]


def test_told_to_stop_during_the_first_there_is_no_second() -> None:
    stop, done = threading.Event(), []

    def work() -> None:
        done.append(1)
        stop.set()

    run_until_told(work, Rhythm("web-1", 1), stop)
    assert done == [1]


def test_sigterm_and_sigint_are_the_word() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            stop = stop_on_signals()
            assert not stop.is_set()
            os.kill(os.getpid(), number)
            assert stop.wait(2)
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(number, handler)
