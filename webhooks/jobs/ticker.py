"""The ticker: asks for recurring work at its time. It only writes rows; the engine works on them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler

JITTER_SHARE = 10


class Ticker:
    """Calls each of its functions at start and then every so many seconds, with a little jitter."""

    def __init__(self) -> None:
        self._scheduler = BackgroundScheduler(timezone=UTC)

    def every(self, seconds: int, call: Callable[[], None]) -> None:
        """Call a function now and every so many seconds, never twice at once."""
        self._scheduler.add_job(  # pyright: ignore[reportUnknownMemberType]  APScheduler 3 has no types
            call,
            "interval",
            seconds=seconds,
            jitter=max(1, seconds // JITTER_SHARE) if seconds > JITTER_SHARE else None,
            next_run_time=datetime.now(UTC) + timedelta(milliseconds=50),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()  # pyright: ignore[reportUnknownMemberType]  same

    def stop(self) -> None:
        """End; a call under way may end."""
        self._scheduler.shutdown(wait=True)  # pyright: ignore[reportUnknownMemberType]  same
