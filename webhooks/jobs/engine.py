"""The engine: threads that take rows whose time has come and call the handler of their kind.

Takes the store, handlers and a clock. A handler is idempotent: it may be called again for the same row, after an error, or because the
process was killed. Errors are tried again with growing pauses, a bounded number of times; then the row is dead and its handler's
`give_up` may tell people. One poisoned row never stops another.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gitops.errors import TrueupError
from webhooks.errors import LaterError
from webhooks.records import JobRecord
from webhooks.store.store import Store
from webhooks.store.work import (
    Work,
    add_job,
    bury_job,
    claim_job,
    fail_delivery,
    find_next_time,
    finish_job,
    postpone_job,
    release_jobs,
)

LOG = logging.getLogger("trueup.jobs")
LEASE = timedelta(minutes=15)
MOST_ATTEMPTS = 8
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 600.0
LONGEST_SLEEP = 5.0
SHOWN = 500


@dataclass(frozen=True)
class Handler:
    """What does a kind of job; `give_up` is called once when the last attempt failed, with what went wrong."""

    run: Callable[[JobRecord], None]
    give_up: Callable[[JobRecord, str], None] | None = None


class Engine:
    """Works on rows until it is stopped; one engine per store."""

    def __init__(self, store: Store, handlers: Mapping[str, Handler], now: Callable[[], datetime], *, workers: int = 3) -> None:
        self._store = store
        self._handlers = handlers
        self._now = now
        self._wake = threading.Condition()
        self._is_stopping = False
        self._threads = [threading.Thread(target=self._work, name=f"job-{number}", daemon=True) for number in range(workers)]

    def start(self) -> None:
        """Take over what an earlier process left running, and begin."""
        with self._store.write() as connection:
            left = release_jobs(connection)
        if left:
            LOG.info("resuming %d jobs that were interrupted", left)
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 30.0) -> None:
        """Let running handlers end, for so long; what does not end is resumed by the next start."""
        with self._wake:
            self._is_stopping = True
            self._wake.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout)

    def wake(self) -> None:
        """Look at the rows now: something was added."""
        with self._wake:
            self._wake.notify_all()

    def add(self, work: Work, delay: timedelta = timedelta()) -> None:
        """Write a job and wake a worker."""
        with self._store.write() as connection:
            add_job(connection, work, self._now() + delay)
        self.wake()

    def run_next(self) -> bool:
        """Do one job whose time has come; False when there is none."""
        now = self._now()
        with self._store.write() as connection:
            release_jobs(connection, now)
            job = claim_job(connection, now, now + LEASE)
        if job is None:
            return False
        self._run(job)
        return True

    def _work(self) -> None:
        while not self._is_stopping:
            try:
                if self.run_next():
                    self.wake()
                    continue
                pause = self._find_pause()
            except Exception:
                LOG.exception("the store cannot be worked with")
                pause = LONGEST_SLEEP
            with self._wake:
                if not self._is_stopping:
                    self._wake.wait(pause)

    def _find_pause(self) -> float:
        with self._store.read() as connection:
            due = find_next_time(connection)
        seconds = LONGEST_SLEEP if due is None else (due - self._now()).total_seconds()
        return min(LONGEST_SLEEP, max(0.02, seconds))

    def _run(self, job: JobRecord) -> None:
        try:
            self._handlers[job.kind].run(job)
        except LaterError as error:
            self._postpone(job, max(error.seconds, FIRST_PAUSE), error.message, is_attempt=False)
        except TrueupError as error:
            self._fail(job, f"{error.code}: {error.message}")
        except Exception as error:
            LOG.exception("job %s %s failed", job.kind, job.key)
            self._fail(job, f"{type(error).__name__}: {error}")
        else:
            with self._store.write() as connection:
                finish_job(connection, job.ident)

    def _fail(self, job: JobRecord, error: str) -> None:
        attempts = job.attempts + 1
        LOG.warning("job %s %s: attempt %d failed: %s", job.kind, job.key, attempts, error[:SHOWN])
        if attempts < MOST_ATTEMPTS:
            self._postpone(job, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempts - 1)), error, is_attempt=True)
            return
        with self._store.write() as connection:
            bury_job(connection, job.ident, attempts=attempts, error=error[:SHOWN])
            if job.delivery:
                fail_delivery(connection, job.delivery)
        give_up = self._handlers[job.kind].give_up if job.kind in self._handlers else None
        if give_up is not None:
            try:
                give_up(job, error[:SHOWN])
            except Exception:
                LOG.exception("could not tell that job %s %s was given up", job.kind, job.key)

    def _postpone(self, job: JobRecord, seconds: float, error: str, *, is_attempt: bool) -> None:
        later = self._now() + timedelta(seconds=seconds)
        with self._store.write() as connection:
            postpone_job(connection, job.ident, later, attempts=job.attempts + is_attempt, error=error[:SHOWN])
