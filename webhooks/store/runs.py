"""Runs in the store: what the hosts reported, once each."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from webhooks.records import RunRecord
from webhooks.store.columns import need_time, pack_time
from webhooks.store.tables import runs

MOST = 100


def add_run(connection: Connection, record: RunRecord) -> bool:
    """Write a report; False when this run of this host is known already (nothing changes then)."""
    if find_run(connection, record.host, record.run) is not None:
        return False
    values = {**vars(record), **{name: pack_time(getattr(record, name)) for name in ("started", "finished", "received")}}
    connection.execute(insert(runs).values(**values))
    return True


def find_run(connection: Connection, host: str, run: str) -> RunRecord | None:
    """Give one run."""
    row = connection.execute(select(runs).where(runs.c.host == host, runs.c.run == run)).first()
    return None if row is None else _unpack(row)


def list_runs(connection: Connection, *, host: str = "", limit: int = MOST, offset: int = 0) -> tuple[RunRecord, ...]:
    """List runs, the last received first."""
    query = select(runs).order_by(runs.c.received.desc(), runs.c.host, runs.c.run.desc()).limit(limit).offset(offset)
    return tuple(_unpack(row) for row in connection.execute(_narrow(query, host)))


def count_runs(connection: Connection, *, host: str = "") -> int:
    """Count them."""
    return connection.execute(_narrow(select(func.count()).select_from(runs), host)).scalar_one()


def forget_runs(connection: Connection, before: datetime) -> int:
    """Remove runs received before a time; give how many."""
    return connection.execute(delete(runs).where(runs.c.received < pack_time(before))).rowcount


def _narrow(query: Any, host: str) -> Any:
    return query.where(runs.c.host == host) if host else query


def _unpack(row: Row[Any]) -> RunRecord:
    return RunRecord(
        host=row.host,
        run=row.run,
        environment=row.environment,
        result=row.result,
        serial=row.serial,
        started=need_time(row.started),
        finished=need_time(row.finished),
        received=need_time(row.received),
        document=row.document,
    )
