"""The inbox: a delivery becomes durable rows, once for each delivery id, before it is answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from webhooks.jobs.works import Jobs
from webhooks.records import DeliveryRecord
from webhooks.store.store import Store
from webhooks.store.work import Work, add_job, take_delivery


@dataclass(frozen=True)
class Inbox:
    """Where the doors of all forges put what they were told."""

    store: Store
    jobs: Jobs
    now: Callable[[], datetime]

    def take(self, forge: str, event: str, ident: str, works: Sequence[Work]) -> str:
        """Write the works of a delivery and wake the engine; say `taken`, or `repeated` when this delivery was taken before."""
        now = self.now()
        with self.store.write() as connection:
            if not take_delivery(connection, DeliveryRecord(forge, ident, event, now)):
                return "repeated"
            for work in works:
                add_job(connection, work, now)
        self.jobs.wake()
        return "taken"
