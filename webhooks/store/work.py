"""Deliveries and jobs in the store: rows that outlive the process. The engine in `webhooks.jobs` works on them.

Two jobs of one kind and key that both wait are one; while one of them runs, another may wait. What is done is removed; what is dead stays
for people to see.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from webhooks.records import DeliveryRecord, JobRecord
from webhooks.store.columns import need_time, pack_time, unpack_time
from webhooks.store.tables import deliveries, jobs

MOST = 100


@dataclass(frozen=True)
class Work:
    """What to do, when at the earliest, and which delivery asked for it."""

    kind: str
    key: str
    payload: Mapping[str, str] = field(default_factory=dict[str, str])
    delivery: str = ""


def take_delivery(connection: Connection, record: DeliveryRecord) -> bool:
    """Write a delivery; False when it was taken before and has not failed."""
    where = (deliveries.c.forge == record.forge) & (deliveries.c.ident == record.ident)
    known = connection.execute(select(deliveries.c.state).where(where)).scalar()
    if known == "taken":
        return False
    if known is not None:
        connection.execute(update(deliveries).where(where).values(state="taken", received=pack_time(record.received)))
    else:
        connection.execute(insert(deliveries).values(**{**vars(record), "received": pack_time(record.received)}))
    return True


def fail_delivery(connection: Connection, ident: str) -> None:
    """Say that what a delivery asked for could not be done: it may be delivered again."""
    connection.execute(update(deliveries).where(deliveries.c.ident == ident).values(state="failed"))


def forget_deliveries(connection: Connection, before: datetime) -> int:
    """Remove deliveries received before a time; give how many."""
    return connection.execute(delete(deliveries).where(deliveries.c.received < pack_time(before))).rowcount


def add_job(connection: Connection, work: Work, run_at: datetime) -> None:
    """Write a job; one of the same kind and key that waits takes its payload over, and the earlier of both times."""
    waiting = (jobs.c.kind == work.kind) & (jobs.c.key == work.key) & (jobs.c.state == "ready")
    found = connection.execute(select(jobs).where(waiting)).first()
    when = pack_time(run_at)
    if found is None:
        values = {"kind": work.kind, "key": work.key, "payload": json.dumps(dict(work.payload)), "delivery": work.delivery}
        connection.execute(insert(jobs).values(**values, state="ready", attempts=0, run_at=when, error=""))
        return
    payload = {**json.loads(found.payload), **work.payload}
    changed: dict[str, Any] = {"payload": json.dumps(payload), "run_at": min(found.run_at, when)}
    if work.delivery:
        changed["delivery"] = work.delivery
    connection.execute(update(jobs).where(jobs.c.ident == found.ident).values(**changed))


def claim_job(connection: Connection, now: datetime, lease: datetime) -> JobRecord | None:
    """Take the job whose time came first; never one whose kind and key are being worked on."""
    busy = select(jobs.c.kind + "\0" + jobs.c.key).where(jobs.c.state == "running")
    due = (jobs.c.state == "ready") & (jobs.c.run_at <= pack_time(now)) & ((jobs.c.kind + "\0" + jobs.c.key).not_in(busy))
    row = connection.execute(select(jobs).where(due).order_by(jobs.c.run_at, jobs.c.ident).limit(1)).first()
    if row is None:
        return None
    connection.execute(update(jobs).where(jobs.c.ident == row.ident).values(state="running", lease=pack_time(lease)))
    return _unpack(row)


def release_jobs(connection: Connection, now: datetime | None = None) -> int:
    """Make jobs ready again whose lease is over, or with no time given all that run: their worker is gone. Give how many."""
    running = jobs.c.state == "running"
    where = running if now is None else running & (jobs.c.lease < pack_time(now))
    rows = connection.execute(select(jobs).where(where)).all()
    for row in rows:
        _make_ready(connection, row, row.run_at, row.attempts, "interrupted")
    return len(rows)


def finish_job(connection: Connection, ident: int) -> None:
    """Remove a job that is done, and dead ones of the same kind and key: what they could not do is done now."""
    _forget_dead(connection, ident)
    connection.execute(delete(jobs).where(jobs.c.ident == ident))


def postpone_job(connection: Connection, ident: int, run_at: datetime, *, attempts: int, error: str) -> None:
    """Try a job again later."""
    row = connection.execute(select(jobs).where(jobs.c.ident == ident)).first()
    if row is not None:
        _make_ready(connection, row, pack_time(run_at) or "", attempts, error)


def bury_job(connection: Connection, ident: int, *, attempts: int, error: str) -> None:
    """Give a job up; of one kind and key only the last one given up stays."""
    _forget_dead(connection, ident)
    connection.execute(update(jobs).where(jobs.c.ident == ident).values(state="dead", lease=None, attempts=attempts, error=error))


def list_jobs(connection: Connection, *, state: str = "", limit: int = MOST) -> tuple[JobRecord, ...]:
    """List jobs, the next first."""
    query = select(jobs).order_by(jobs.c.run_at, jobs.c.ident).limit(limit)
    rows = connection.execute(query.where(jobs.c.state == state) if state else query)
    return tuple(_unpack(row) for row in rows)


def count_jobs(connection: Connection) -> dict[str, int]:
    """Count jobs by state."""
    rows = connection.execute(select(jobs.c.state, func.count()).group_by(jobs.c.state))
    return {str(row[0]): int(row[1]) for row in rows}


def find_next_time(connection: Connection) -> datetime | None:
    """Give when the next waiting job is due."""
    found = connection.execute(select(func.min(jobs.c.run_at)).where(jobs.c.state == "ready")).scalar()
    return unpack_time(found)


def _forget_dead(connection: Connection, ident: int) -> None:
    row = connection.execute(select(jobs).where(jobs.c.ident == ident)).first()
    if row is not None:
        same = (jobs.c.kind == row.kind) & (jobs.c.key == row.key) & (jobs.c.state == "dead")
        connection.execute(delete(jobs).where(same))


def _make_ready(connection: Connection, row: Row[Any], run_at: str, attempts: int, error: str) -> None:
    """Put a job back; when another of its kind and key waits already, that one stands for both."""
    waiting = (jobs.c.kind == row.kind) & (jobs.c.key == row.key) & (jobs.c.state == "ready")
    other = connection.execute(select(jobs).where(waiting)).first()
    if other is None:
        values: dict[str, Any] = {"state": "ready", "lease": None, "run_at": run_at, "attempts": attempts, "error": error}
        connection.execute(update(jobs).where(jobs.c.ident == row.ident).values(**values))
        return
    connection.execute(delete(jobs).where(jobs.c.ident == row.ident))
    payload = json.dumps({**json.loads(row.payload), **json.loads(other.payload)})
    connection.execute(update(jobs).where(jobs.c.ident == other.ident).values(payload=payload))


def _unpack(row: Row[Any]) -> JobRecord:
    return JobRecord(
        ident=row.ident,
        kind=row.kind,
        key=row.key,
        payload=json.loads(row.payload),
        state=row.state,
        attempts=row.attempts,
        run_at=need_time(row.run_at),
        lease=unpack_time(row.lease),
        error=row.error,
        delivery=row.delivery,
    )
