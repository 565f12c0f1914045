"""Settings and services for tests in one process: a store in a scratch folder, a clock that tests turn, forges that are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from tests.support.people import Clock
from webhooks.forges.port import Forge
from webhooks.forges.watched import Forges
from webhooks.metrics import Metrics
from webhooks.mirrors import Mirrors
from webhooks.parts import Parts, make_handlers
from webhooks.records import JobRecord
from webhooks.settings import Settings, parse_settings
from webhooks.store.repositories import watch_repositories
from webhooks.store.store import Store, open_store
from webhooks.store.work import Work, add_job, finish_job, list_jobs

SECRET, ADMIN = "webhook-secret", "admin-token"


def make_settings(folder: Path, **values: str) -> Settings:
    known = {"data_dir": str(folder), "github_webhook_secret": SECRET, "admin_token": ADMIN}
    return parse_settings({**known, **values})


@dataclass
class Fresh:
    """Random bytes that tests know."""

    number: int = 0

    def __call__(self, size: int) -> bytes:
        self.number += 1
        return self.number.to_bytes(size, "big")


@dataclass
class Woken:
    """Counts how often the engine was woken."""

    count: int = 0

    def __call__(self) -> None:
        self.count += 1


@dataclass
class Rows:
    """Writes jobs that nobody does by itself."""

    store: Store
    clock: Clock
    woken: Woken

    def add(self, work: Work, delay: timedelta = timedelta()) -> None:
        with self.store.write() as connection:
            add_job(connection, work, self.clock() + delay)

    def wake(self) -> None:
        self.woken()


@dataclass
class Bench:
    """The parts of a service, and what stands around them."""

    parts: Parts
    clock: Clock
    woken: Woken = field(default_factory=Woken)


@contextmanager
def make_bench(folder: Path, forges: Mapping[str, Forge] | None = None, **values: str) -> Iterator[Bench]:
    settings, clock, woken = make_settings(folder, **values), Clock(), Woken()
    store = open_store(settings.database_url)

    watched = Forges(forges or {})
    with store.write() as connection:
        watch_repositories(connection, watched.repositories)
    parts = Parts(
        settings=settings,
        store=store,
        forges=watched,
        mirrors=Mirrors(settings.data_dir / "mirrors", watched),
        metrics=Metrics(),
        now=clock,
        fresh=Fresh(),
        sleep=lambda _seconds: None,
        jobs=Rows(store, clock, woken),
    )
    try:
        yield Bench(parts, clock, woken)
    finally:
        store.close()


def do_work(parts: Parts, work: Work, at: datetime) -> None:
    """Do one row, as a worker would."""
    make_handlers(parts)[work.kind].run(JobRecord(0, work.kind, work.key, work.payload, "running", 0, at))


def do_all_work(parts: Parts, do: Callable[[Work], None]) -> None:
    """Do the rows that wait, and those that they ask for."""
    for _ in range(50):
        with parts.store.write() as connection:
            found = list_jobs(connection)
            for job in found:
                finish_job(connection, job.ident)
        if not found:
            return
        for job in found:
            do(Work(job.kind, job.key, job.payload))
    raise AssertionError("it never comes to rest")
