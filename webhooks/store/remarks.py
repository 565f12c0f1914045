"""What was said, and which statuses were set, where the forge itself remembers nothing (the `local` one)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, insert, select

from webhooks.records import PullKey, RemarkRecord, StatusRecord
from webhooks.store.columns import need_time, pack_time
from webhooks.store.tables import remarks, statuses


def add_remark(connection: Connection, record: RemarkRecord) -> int:
    """Write a remark (its `ident` is given by the database); give its id."""
    values: dict[str, Any] = {
        "repository": record.pull.repository,
        "pull": record.pull.name,
        "author": record.author,
        "body": record.body,
        "at": pack_time(record.at),
    }
    return connection.execute(insert(remarks).values(**values).returning(remarks.c.ident)).scalar_one()


def list_remarks(connection: Connection, pull: PullKey) -> tuple[RemarkRecord, ...]:
    """Give the remarks on a pull request, oldest first."""
    where = (remarks.c.repository == pull.repository) & (remarks.c.pull == pull.name)
    rows = connection.execute(select(remarks).where(where).order_by(remarks.c.ident))
    return tuple(RemarkRecord(row.ident, pull, row.author, row.body, need_time(row.at)) for row in rows)


def save_status(connection: Connection, record: StatusRecord) -> None:
    """Write a commit status, replacing the one of the same context."""
    where = (
        (statuses.c.repository == record.repository)
        & (statuses.c.commit == record.commit)
        & (statuses.c.context == record.context)
    )
    connection.execute(delete(statuses).where(where))
    connection.execute(insert(statuses).values(**vars(record)))


def list_statuses(connection: Connection, repository: str, commit: str) -> tuple[StatusRecord, ...]:
    """Give the statuses of a commit by context."""
    where = (statuses.c.repository == repository) & (statuses.c.commit == commit)
    rows = connection.execute(select(statuses).where(where).order_by(statuses.c.context))
    return tuple(StatusRecord(row.repository, row.commit, row.context, row.state, row.description, row.url) for row in rows)
