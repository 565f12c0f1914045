"""Pull requests in the store."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from webhooks.records import PullKey, PullRecord
from webhooks.store.columns import pack_diagnostics, pack_texts, pack_time, unpack_diagnostics, unpack_texts, unpack_time
from webhooks.store.tables import pulls

MOST = 100


def save_pull(connection: Connection, record: PullRecord) -> None:
    """Write a pull request, replacing what was known; contributors known before stay."""
    earlier = find_pull(connection, record.key)
    known = () if earlier is None else earlier.contributors
    people = tuple(dict.fromkeys((*known, *record.contributors)))
    connection.execute(delete(pulls).where(_is(record.key)))
    connection.execute(insert(pulls).values(**_pack(record), contributors=pack_texts(people)))


def find_pull(connection: Connection, key: PullKey) -> PullRecord | None:
    """Give a pull request, if it is known."""
    row = connection.execute(select(pulls).where(_is(key))).first()
    return None if row is None else _unpack(row)


def list_pulls(
    connection: Connection, *, state: str = "", repository: str = "", limit: int = MOST, offset: int = 0
) -> tuple[PullRecord, ...]:
    """List pull requests, the last changed first; `state` and `repository` narrow."""
    query = select(pulls).order_by(pulls.c.updated.desc(), pulls.c.repository, pulls.c.name)
    rows = connection.execute(_narrow(query, state, repository).limit(limit).offset(offset))
    return tuple(_unpack(row) for row in rows)


def list_unsettled(connection: Connection, repository: str) -> tuple[PullRecord, ...]:
    """List the pull requests of a repository to which something may still happen."""
    query = select(pulls).where(pulls.c.repository == repository, pulls.c.is_settled.is_(False)).order_by(pulls.c.name)
    return tuple(_unpack(row) for row in connection.execute(query))


def list_pulls_at(connection: Connection, repository: str, head: str) -> tuple[PullRecord, ...]:
    """List the open pull requests that have a commit as their head."""
    where = (pulls.c.repository == repository) & (pulls.c.head == head) & (pulls.c.state == "open")
    return tuple(_unpack(row) for row in connection.execute(select(pulls).where(where).order_by(pulls.c.name)))


def count_pulls(connection: Connection, *, state: str = "", repository: str = "") -> int:
    """Count them."""
    return connection.execute(_narrow(select(func.count()).select_from(pulls), state, repository)).scalar_one()


def _narrow(query: Any, state: str, repository: str) -> Any:
    query = query.where(pulls.c.state == state) if state else query
    return query.where(pulls.c.repository == repository) if repository else query


def _is(key: PullKey) -> Any:
    return (pulls.c.repository == key.repository) & (pulls.c.name == key.name)


def _pack(record: PullRecord) -> dict[str, Any]:
    return {
        "repository": record.key.repository,
        "name": record.key.name,
        "title": record.title,
        "author": record.author,
        "head": record.head,
        "branch": record.branch,
        "target": record.target,
        "state": record.state,
        "url": record.url,
        "merged": record.merged,
        "planning": record.planning,
        "planned_head": record.planned_head,
        "diagnostics": pack_diagnostics(record.diagnostics),
        "conflicts": pack_texts(record.conflicts),
        "note": record.note,
        "comment": record.comment,
        "comment_ident": record.comment_ident,
        "comment_at": pack_time(record.comment_at),
        "is_settled": record.is_settled,
        "version": record.version,
        "updated": pack_time(record.updated),
    }


def _unpack(row: Row[Any]) -> PullRecord:
    return PullRecord(
        key=PullKey(row.repository, row.name),
        title=row.title,
        author=row.author,
        head=row.head,
        branch=row.branch,
        target=row.target,
        state=row.state,
        contributors=unpack_texts(row.contributors),
        url=row.url,
        merged=row.merged,
        planning=row.planning,
        planned_head=row.planned_head,
        diagnostics=unpack_diagnostics(row.diagnostics),
        conflicts=unpack_texts(row.conflicts),
        note=row.note,
        comment=row.comment,
        comment_ident=row.comment_ident,
        comment_at=unpack_time(row.comment_at),
        is_settled=row.is_settled,
        version=row.version,
        updated=unpack_time(row.updated),
    )
