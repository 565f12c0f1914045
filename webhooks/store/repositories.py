"""Repositories in the store: which are watched, and the project that each one releases, pinned at its first release."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table, delete, exists, insert, select, update

from webhooks.store.tables import hosts, repositories, runs, tokens


def watch_repositories(connection: Connection, names: Sequence[str]) -> None:
    """Write which repositories are watched now; what an earlier version kept without a repository becomes the only one's.

    Where that one has a host or a run of the same name already, it was enrolled anew: the old one, with its credential, goes.
    """
    connection.execute(update(repositories).values(is_watched=False))
    for name in names:
        _ensure(connection, name)
        connection.execute(update(repositories).where(repositories.c.name == name).values(is_watched=True))
    if len(names) == 1:
        _forget_twins(connection, hosts, names[0])
        _forget_twins(connection, runs, names[0])
        for table in (hosts, tokens, runs):
            connection.execute(update(table).where(table.c.repository == "").values(repository=names[0]))


def list_watched(connection: Connection) -> tuple[str, ...]:
    """Name the watched repositories."""
    query = select(repositories.c.name).where(repositories.c.is_watched).order_by(repositories.c.name)
    return tuple(connection.execute(query).scalars())


def read_projects(connection: Connection) -> dict[str, str]:
    """Give the pinned projects by repository."""
    rows = connection.execute(select(repositories.c.name, repositories.c.project).where(repositories.c.project.is_not(None)))
    return {row.name: row.project for row in rows}


def pin_project(connection: Connection, name: str, project: str) -> None:
    """Write a repository's project, once: what is pinned stays."""
    _ensure(connection, name)
    unpinned = (repositories.c.name == name) & repositories.c.project.is_(None)
    connection.execute(update(repositories).where(unpinned).values(project=project))


def _forget_twins(connection: Connection, table: Table, name: str) -> None:
    twin = table.alias()
    same = [twin.c[column.name] == column for column in table.primary_key.columns if column.name != "repository"]
    known = exists(select(twin).where(twin.c.repository == name, *same))
    connection.execute(delete(table).where(table.c.repository == "", known))


def _ensure(connection: Connection, name: str) -> None:
    if connection.execute(select(repositories.c.name).where(repositories.c.name == name)).first() is None:
        connection.execute(insert(repositories).values(name=name, is_watched=False))
