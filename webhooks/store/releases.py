"""Releases in the store: one row per source commit and environment, what became of it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from webhooks.records import ReleaseRecord
from webhooks.store.columns import need_time, pack_time
from webhooks.store.tables import releases

MOST = 100


def save_release(connection: Connection, record: ReleaseRecord) -> None:
    """Write what became of a source commit, replacing what was known."""
    connection.execute(delete(releases).where(_is(record.repository, record.environment, record.source)))
    connection.execute(insert(releases).values(**{**vars(record), "at": pack_time(record.at)}))


def find_release(connection: Connection, repository: str, environment: str, source: str) -> ReleaseRecord | None:
    """Give what is known of a source commit."""
    row = connection.execute(select(releases).where(_is(repository, environment, source))).first()
    return None if row is None else _unpack(row)


def list_releases_of(connection: Connection, repository: str, pull: str) -> tuple[ReleaseRecord, ...]:
    """Give the releases that the merge of a pull request brought, by environment."""
    where = (releases.c.repository == repository) & (releases.c.pull == pull)
    return tuple(_unpack(row) for row in connection.execute(select(releases).where(where).order_by(releases.c.environment)))


def list_releases(
    connection: Connection, *, repository: str = "", environment: str = "", limit: int = MOST, offset: int = 0
) -> tuple[ReleaseRecord, ...]:
    """List releases, newest first."""
    query = select(releases).order_by(releases.c.at.desc(), releases.c.environment, releases.c.source)
    query = query.where(releases.c.repository == repository) if repository else query
    query = query.where(releases.c.environment == environment) if environment else query
    return tuple(_unpack(row) for row in connection.execute(query.limit(limit).offset(offset)))


def list_environments_of(connection: Connection, repository: str) -> tuple[str, ...]:
    """Name the environments of which something is known."""
    query = select(releases.c.environment).where(releases.c.repository == repository).distinct()
    return tuple(sorted(connection.execute(query).scalars()))


def find_newest_release(connection: Connection, repository: str, environment: str) -> ReleaseRecord | None:
    """Give the release of the highest serial on the branch that was released to last: each branch counts its own."""
    query = select(releases.c.branch).where(_made(repository, environment))
    branch = connection.execute(query.order_by(releases.c.at.desc(), releases.c.serial.desc()).limit(1)).scalar()
    return None if branch is None else find_newest_on(connection, repository, environment, branch)


def find_newest_on(connection: Connection, repository: str, environment: str, branch: str) -> ReleaseRecord | None:
    """Give the release of the highest serial on a branch."""
    where = _made(repository, environment) & (releases.c.branch == branch)
    query = select(releases).where(where).order_by(releases.c.serial.desc(), releases.c.at.desc()).limit(1)
    row = connection.execute(query).first()
    return None if row is None else _unpack(row)


def list_branches_of(connection: Connection, repository: str, environment: str) -> tuple[str, ...]:
    """Name the branches that an environment was ever released to."""
    query = select(releases.c.branch).where(_made(repository, environment)).distinct()
    return tuple(sorted(connection.execute(query).scalars()))


def find_first_look(connection: Connection, repository: str, environment: str) -> ReleaseRecord | None:
    """Give the oldest record of a commit that was valid and had nothing to release, or not enough approvals for it.

    What no rules in force had judged has no branch.
    """
    states = releases.c.state.in_(("nothing", "held")) & (releases.c.branch != "")
    where = (releases.c.repository == repository) & (releases.c.environment == environment) & states
    row = connection.execute(select(releases).where(where).order_by(releases.c.at, releases.c.state.desc()).limit(1)).first()
    return None if row is None else _unpack(row)


def list_released_repositories(connection: Connection) -> tuple[str, ...]:
    """Name the repositories that released anything."""
    query = select(releases.c.repository).where(releases.c.serial > 0).distinct()
    return tuple(sorted(connection.execute(query).scalars()))


def count_releases(connection: Connection, *, environment: str = "") -> int:
    """Count them."""
    query = select(func.count()).select_from(releases)
    return connection.execute(query.where(releases.c.environment == environment) if environment else query).scalar_one()


def _made(repository: str, environment: str) -> Any:
    return (releases.c.repository == repository) & (releases.c.environment == environment) & (releases.c.serial > 0)


def _is(repository: str, environment: str, source: str) -> Any:
    return (releases.c.repository == repository) & (releases.c.environment == environment) & (releases.c.source == source)


def _unpack(row: Row[Any]) -> ReleaseRecord:
    return ReleaseRecord(
        repository=row.repository,
        environment=row.environment,
        source=row.source,
        state=row.state,
        at=need_time(row.at),
        pull=row.pull,
        serial=row.serial,
        commit=row.commit,
        digest=row.digest,
        branch=row.branch,
        reason=row.reason,
    )
