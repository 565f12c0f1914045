"""When the agent runs: at once, then at the host's own phase of the interval, each time a little early or late; never two at once.

The phase comes from the host's name, so that a fleet spreads itself over the interval without anybody to coordinate it. SIGTERM and
SIGINT let the cycle that is going on finish; then the loop ends.
"""

from __future__ import annotations

import hashlib
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger


@dataclass(frozen=True)
class Rhythm:
    """Seconds between runs, seconds that each may stray, and the host whose phase it is."""

    host: str
    interval: int
    jitter: int = 0

    @property
    def phase(self) -> int:
        """Seconds after each multiple of the interval (since 1970) at which this host runs."""
        return int.from_bytes(hashlib.sha256(self.host.encode()).digest()[:8], "big") % self.interval


def next_start(rhythm: Rhythm, now: datetime) -> datetime:
    """Give the first moment of the host's phase after now."""
    since = int(now.timestamp())
    start = since - since % rhythm.interval + rhythm.phase
    return datetime.fromtimestamp(start if start > since else start + rhythm.interval, UTC)


def run_until_told(work: Callable[[], None], rhythm: Rhythm, stop: threading.Event) -> None:
    """Work at once and then by the rhythm until `stop` is set; what is going on then is finished. `work` must not raise."""
    work()
    if stop.is_set():
        return
    scheduler = BackgroundScheduler(executors={"default": ThreadPoolExecutor(1)}, timezone=UTC)
    trigger = IntervalTrigger(
        seconds=rhythm.interval,
        start_date=next_start(rhythm, datetime.now(UTC) + timedelta(seconds=1)),
        jitter=min(rhythm.jitter, rhythm.interval // 2) or None,
        timezone=UTC,
    )
    # A cycle that outlasts the interval delays the next; those that were missed meanwhile are one.
    scheduler.add_job(work, trigger, max_instances=1, coalesce=True, misfire_grace_time=None)  # pyright: ignore[reportUnknownMemberType]  no types
    scheduler.start()  # pyright: ignore[reportUnknownMemberType]  same
    try:
        stop.wait()
    finally:
        scheduler.shutdown(wait=True)  # pyright: ignore[reportUnknownMemberType]  same


def stop_on_signals() -> threading.Event:
    """Give an event that SIGTERM and SIGINT set (call it in the main thread)."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop
