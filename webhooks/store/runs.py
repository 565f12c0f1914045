"""Runs in the store: what the hosts reported, once each."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from webhooks.records import HostKey, RunRecord
from webhooks.store.columns import need_time, pack_time
from webhooks.store.tables import runs

MOST = 100


def add_run(connection: Connection, record: RunRecord) -> bool:
    """Write a report; False when this run of this host is known already (nothing changes then)."""
    if find_run(connection, record.key, record.run) is not None:
        return False
    values = {**vars(record), **{name: pack_time(getattr(record, name)) for name in ("started", "finished", "received")}}
    connection.execute(insert(runs).values(**values))
    return True


def find_run(connection: Connection, key: HostKey, run: str) -> RunRecord | None:
    """Give one run of a host."""
    row = connection.execute(select(runs).where(is_of(key), runs.c.run == run)).first()
    return None if row is None else _unpack(row)


def find_runs_named(
    connection: Connection, host: str, run: str, repository: str = "", environment: str = ""
) -> tuple[RunRecord, ...]:
    """Give the runs of this name of the hosts of this name (at most a page), of all repositories and environments or of some."""
    query = select(runs).where(runs.c.host == host, runs.c.run == run).order_by(runs.c.repository, runs.c.environment)
    query = query.where(runs.c.repository == repository) if repository else query
    query = query.where(runs.c.environment == environment) if environment else query
    return tuple(_unpack(row) for row in connection.execute(query.limit(MOST)))


def list_runs_of(connection: Connection, key: HostKey, limit: int) -> tuple[RunRecord, ...]:
    """List a host's runs, the last received first."""
    query = select(runs).where(is_of(key)).order_by(runs.c.received.desc(), runs.c.run.desc()).limit(limit)
    return tuple(_unpack(row) for row in connection.execute(query))


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


def is_of(key: HostKey) -> Any:
    """Give the condition that a run is one of a host's."""
    return (runs.c.repository == key.repository) & (runs.c.environment == key.environment) & (runs.c.host == key.name)


def _narrow(query: Any, host: str) -> Any:
    return query.where(runs.c.host == host) if host else query


def _unpack(row: Row[Any]) -> RunRecord:
    return RunRecord(
        repository=row.repository,
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
