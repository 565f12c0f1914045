"""The engine: what is written down is done, once it can be; what cannot be done is given up and shown, and stops nothing else."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from gitops.errors import RemoteError
from tests.support.people import NOW, Clock
from tests.support.service import wait_for
from webhooks.errors import LaterError
from webhooks.jobs.engine import MOST_ATTEMPTS, Engine, Handler
from webhooks.jobs.ticker import Ticker
from webhooks.records import DeliveryRecord, JobRecord
from webhooks.store.store import Store, open_store
from webhooks.store.work import (
    Work,
    add_job,
    claim_job,
    count_jobs,
    find_next_time,
    forget_deliveries,
    list_jobs,
    postpone_job,
    take_delivery,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    yield opened
    opened.close()


def make_engine(
    store: Store, clock: Clock, run: Callable[[JobRecord], None], give_up: Callable[[JobRecord, str], None] | None = None
) -> Engine:
    return Engine(store, {"pull": Handler(run, give_up)}, clock)


def run_all(engine: Engine, clock: Clock, hours: int = 24) -> None:
    """Do everything that becomes due within some hours of the clock."""
    end = clock.at + timedelta(hours=hours)
    while clock.at < end:
        if not engine.run_next():
            clock.at += timedelta(seconds=30)


def states(store: Store) -> dict[str, int]:
    with store.read() as connection:
        return count_jobs(connection)


def test_a_job_is_done_and_forgotten(store: Store) -> None:
    done: list[str] = []
    clock = Clock()
    engine = make_engine(store, clock, lambda job: done.append(job.key))
    engine.add(Work("pull", "a#1"))
    assert engine.run_next()
    assert not engine.run_next()
    assert (done, states(store)) == (["a#1"], {})


def test_two_that_wait_for_the_same_are_one_and_keep_what_both_say(store: Store) -> None:
    with store.write() as connection:
        add_job(connection, Work("pull", "a#1", {"again": "plan", "pusher:bob": "1"}), NOW + timedelta(seconds=9))
        add_job(connection, Work("pull", "a#1", {"pusher:carol": "1"}, "d-2"), NOW)
        add_job(connection, Work("pull", "a#2"), NOW)
        found = list_jobs(connection)
    assert [(job.key, job.run_at) for job in found] == [("a#1", NOW), ("a#2", NOW)]
    assert dict(found[0].payload) == {"again": "plan", "pusher:bob": "1", "pusher:carol": "1"}
    assert found[0].delivery == "d-2"


def test_while_one_runs_another_waits_and_is_not_begun(store: Store) -> None:
    with store.write() as connection:
        add_job(connection, Work("pull", "a#1"), NOW)
        first = claim_job(connection, NOW, NOW + timedelta(minutes=1))
        add_job(connection, Work("pull", "a#1"), NOW)
        assert first is not None
        assert claim_job(connection, NOW, NOW + timedelta(minutes=1)) is None
        # It fails and waits again: one job is left, not two.
        postpone_job(connection, first.ident, NOW, attempts=1, error="x")
        assert len(list_jobs(connection, state="ready")) == 1


def test_failures_are_tried_again_with_growing_pauses_then_given_up(store: Store) -> None:
    clock, tried, told = Clock(), list[float](), list[str]()

    def fail(job: JobRecord) -> None:
        tried.append((clock.at - NOW).total_seconds())
        raise RemoteError("no network")

    engine = make_engine(store, clock, fail, lambda job, error: told.append(f"{job.key} {error}"))
    with store.write() as connection:
        assert take_delivery(connection, DeliveryRecord("github", "d-1", "push", NOW))
        add_job(connection, Work("pull", "a#1", delivery="d-1"), NOW)
    run_all(engine, clock)
    assert len(tried) == MOST_ATTEMPTS
    pauses = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert pauses == sorted(pauses)
    assert (states(store), told) == ({"dead": 1}, ["a#1 R000: no network"])
    with store.write() as connection:
        assert take_delivery(connection, DeliveryRecord("github", "d-1", "push", NOW))


def test_a_poisoned_job_stops_no_other(store: Store) -> None:
    clock, done = Clock(), list[str]()

    def run(job: JobRecord) -> None:
        if job.key == "poison":
            raise ZeroDivisionError
        done.append(job.key)

    def tell(job: JobRecord, error: str) -> None:
        raise ValueError(error)

    engine = make_engine(store, clock, run, tell)
    for key in ("poison", "a#1", "a#2"):
        engine.add(Work("pull", key))
    engine.add(Work("unknown", "x"))
    run_all(engine, clock)
    assert (done, states(store)) == (["a#1", "a#2"], {"dead": 2})


def test_a_forge_that_says_later_costs_no_attempt(store: Store) -> None:
    clock, calls = Clock(), list[int]()

    def run(job: JobRecord) -> None:
        calls.append(job.attempts)
        if len(calls) <= 2 * MOST_ATTEMPTS:
            raise LaterError("rate limit", 60)

    engine = make_engine(store, clock, run)
    engine.add(Work("pull", "a#1"))
    run_all(engine, clock, hours=2)
    assert (set(calls), states(store)) == ({0}, {})


def test_what_a_killed_process_left_running_is_done_by_the_next(store: Store) -> None:
    done: list[str] = []
    with store.write() as connection:
        add_job(connection, Work("pull", "a#1"), NOW)
        add_job(connection, Work("pull", "a#2"), NOW)
        claim_job(connection, NOW, NOW + timedelta(hours=1))
    clock = Clock()
    engine = Engine(store, {"pull": Handler(lambda job: done.append(job.key))}, clock, workers=2)
    engine.start()
    try:
        wait_for(lambda: len(done) == 2, 10)
        clock.at += timedelta(seconds=1)
        engine.add(Work("pull", "a#3"))
        wait_for(lambda: len(done) == 3, 10)
    finally:
        engine.stop()
    assert sorted(done) == ["a#1", "a#2", "a#3"]


def test_a_lease_that_ran_out_is_taken_again(store: Store) -> None:
    done: list[str] = []
    with store.write() as connection:
        add_job(connection, Work("pull", "a#1"), NOW)
        claim_job(connection, NOW, NOW + timedelta(minutes=1))
    clock = Clock()
    engine = make_engine(store, clock, lambda job: done.append(job.key))
    assert not engine.run_next()
    clock.at += timedelta(minutes=2)
    assert engine.run_next()
    assert done == ["a#1"]


def test_stopping_lets_a_running_job_end(store: Store) -> None:
    began, may_end, done = threading.Event(), threading.Event(), list[str]()

    def run(job: JobRecord) -> None:
        began.set()
        may_end.wait(10)
        done.append(job.key)

    engine = make_engine(store, Clock(), run)
    engine.add(Work("pull", "a#1"))
    engine.start()
    assert began.wait(10)
    stopping = threading.Thread(target=engine.stop)
    stopping.start()
    may_end.set()
    stopping.join(10)
    assert (done, states(store)) == (["a#1"], {})


def test_a_store_that_fails_does_not_end_the_workers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'x.sqlite'}")
    broken = threading.Event()

    def now() -> object:
        if not broken.is_set():
            broken.set()
            raise OSError("the disk is gone")
        return NOW

    engine = Engine(store, {}, now, workers=1)  # type: ignore[arg-type]
    engine.start()
    wait_for(broken.is_set, 10)
    wait_for(lambda: "cannot be worked with" in caplog.text, 10)
    engine.stop()
    store.close()


def test_when_the_next_is_due(store: Store) -> None:
    with store.write() as connection:
        assert find_next_time(connection) is None
        add_job(connection, Work("pull", "a#1"), NOW + timedelta(seconds=5))
        assert find_next_time(connection) == NOW + timedelta(seconds=5)


def test_old_deliveries_are_forgotten(store: Store) -> None:
    with store.write() as connection:
        take_delivery(connection, DeliveryRecord("github", "old", "push", NOW - timedelta(days=40)))
        take_delivery(connection, DeliveryRecord("github", "new", "push", NOW))
        assert forget_deliveries(connection, NOW - timedelta(days=30)) == 1
        assert not take_delivery(connection, DeliveryRecord("github", "new", "push", NOW))


def test_the_ticker_calls_at_once_and_again() -> None:
    calls: list[int] = []
    ticker = Ticker()
    ticker.every(1, lambda: calls.append(1))
    ticker.every(3600, lambda: None)
    ticker.start()
    try:
        wait_for(lambda: len(calls) >= 2, 10)
    finally:
        ticker.stop()


def test_of_one_thing_only_the_last_failure_stays_until_it_is_done(store: Store) -> None:
    clock, is_broken = Clock(), [True]

    def run(job: JobRecord) -> None:
        if is_broken:
            raise RemoteError("no network")

    engine = make_engine(store, clock, run)
    for _ in range(3):
        engine.add(Work("pull", "a#1"))
        run_all(engine, clock)
    assert states(store) == {"dead": 1}
    is_broken.clear()
    engine.add(Work("pull", "a#1"))
    assert engine.run_next()
    assert states(store) == {}
