"""What lists need beyond the store's own verbs: filters, counts by result, the newest release of each environment.

Reads only, and never the large documents of rows that are not shown.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Connection, func, select

from webhooks.records import HostKey, ReleaseRecord
from webhooks.store.columns import need_time
from webhooks.store.runs import is_of
from webhooks.store.tables import approvals, hosts, pulls, releases, runs

NEVER = "never reported"
STUCK = ("held", "failed", "waiting")
RESULTS = ("converged", "changed", "held", "failed", "reverted", "interrupted")


def count_host_results(connection: Connection) -> dict[str, int]:
    """Count hosts by their last result, `never reported` among them."""
    rows = connection.execute(select(hosts.c.result, func.count()).group_by(hosts.c.result))
    return {str(row[0]) or NEVER: int(row[1]) for row in rows}


def count_matching_hosts(connection: Connection, text: str, result: str) -> int:
    """Count hosts whose name contains a text and whose last result is this one (empty: any)."""
    return connection.execute(_narrow_hosts(select(func.count()).select_from(hosts), text, result)).scalar_one()


def name_matching_hosts(connection: Connection, text: str, result: str, *, limit: int, offset: int) -> tuple[Any, ...]:
    """Give rows (repository, name, environment, seen, run, result, serial) of such hosts, by name."""
    columns = (hosts.c.repository, hosts.c.name, hosts.c.environment, hosts.c.seen, hosts.c.run, hosts.c.result, hosts.c.serial)
    query = _narrow_hosts(select(*columns), text, result).order_by(hosts.c.name, hosts.c.repository, hosts.c.environment)
    rows: Any = connection.execute(query.limit(limit).offset(offset))
    return tuple(rows)


def count_drifted(connection: Connection, last_runs: Sequence[tuple[HostKey, str]]) -> dict[HostKey, int]:
    """Count, by host, the items that these runs (host, run) found different and only reported."""
    found: dict[HostKey, int] = {}
    for host, run in last_runs:
        document = connection.execute(select(runs.c.document).where(is_of(host), runs.c.run == run)).scalar()
        if document is not None:
            table = cast("dict[str, Any]", json.loads(document))
            found[host] = len(table.get("drifted") or ())
    return found


def read_latest_serials(connection: Connection) -> dict[tuple[str, str], int]:
    """Give the newest serial of each environment, by repository and name."""
    columns = (releases.c.repository, releases.c.environment)
    query = select(*columns, func.max(releases.c.serial)).group_by(*columns)
    return {(str(row[0]), str(row[1])): int(row[2]) for row in connection.execute(query)}


def list_environments(connection: Connection) -> tuple[str, ...]:
    """Name the environments that have a release."""
    query = select(releases.c.environment).where(releases.c.serial > 0).distinct().order_by(releases.c.environment)
    return tuple(str(name) for name in connection.execute(query).scalars())


def count_released(connection: Connection, environment: str) -> int:
    """Count what was really released (empty: in any environment)."""
    query = select(func.count()).select_from(releases).where(releases.c.serial > 0)
    return connection.execute(query.where(releases.c.environment == environment) if environment else query).scalar_one()


def list_released(connection: Connection, environment: str, *, limit: int, offset: int) -> tuple[ReleaseRecord, ...]:
    """Give what was really released, newest first."""
    query = select(releases).where(releases.c.serial > 0).order_by(releases.c.at.desc(), releases.c.environment)
    query = query.where(releases.c.environment == environment) if environment else query
    rows: Any = connection.execute(query.limit(limit).offset(offset)).mappings()
    tables: list[dict[str, Any]] = [{**row, "at": need_time(row["at"])} for row in rows]
    return tuple(ReleaseRecord(**table) for table in tables)


def list_stuck(connection: Connection, limit: int = 200) -> tuple[ReleaseRecord, ...]:
    """Give the newest word on each environment where that is no release: held, failed, or waiting for a signer."""
    rows: Any = connection.execute(select(releases).order_by(releases.c.at.desc()).limit(limit)).mappings()
    tables: list[dict[str, Any]] = [{**row, "at": need_time(row["at"])} for row in rows]
    newest: dict[tuple[str, str], ReleaseRecord] = {}
    for table in tables:
        found = ReleaseRecord(**table)
        newest.setdefault((found.repository, found.environment), found)
    return tuple(item for _, item in sorted(newest.items(), key=lambda pair: pair[0]) if item.state in STUCK)


def list_releases_from(connection: Connection, repository: str, source: str) -> tuple[ReleaseRecord, ...]:
    """Give what became of a source commit, by environment."""
    where = (releases.c.repository == repository) & (releases.c.source == source)
    rows: Any = connection.execute(select(releases).where(where).order_by(releases.c.environment)).mappings()
    tables: list[dict[str, Any]] = [{**row, "at": need_time(row["at"])} for row in rows]
    return tuple(ReleaseRecord(**table) for table in tables)


def name_merged_pulls(connection: Connection, sources: Sequence[str]) -> dict[tuple[str, str], str]:
    """Name the pull requests whose merges these commits are, by repository and commit."""
    query = select(pulls.c.repository, pulls.c.merged, pulls.c.name).where(pulls.c.merged.in_([item for item in sources if item]))
    return {(str(row[0]), str(row[1])): str(row[2]) for row in connection.execute(query)}


def name_approvers(connection: Connection, repository: str, environment: str, serial: int) -> tuple[str, ...]:
    """Name those whose approvals a release spent."""
    query = select(approvals.c.login).where(
        approvals.c.repository == repository,
        approvals.c.environment == environment,
        approvals.c.serial == serial,
        approvals.c.state == "spent",
    )
    return tuple(sorted({str(name) for name in connection.execute(query).scalars()}))


def count_runs_with(connection: Connection, result: str) -> int:
    """Count runs of a result (empty: any)."""
    query = select(func.count()).select_from(runs)
    return connection.execute(query.where(runs.c.result == result) if result else query).scalar_one()


def list_runs_with(connection: Connection, result: str, *, limit: int, offset: int) -> tuple[tuple[str, bytes], ...]:
    """Give (repository, document) of such runs, the last received first."""
    query = select(runs.c.repository, runs.c.document).order_by(runs.c.received.desc(), runs.c.host, runs.c.run.desc())
    query = query.where(runs.c.result == result) if result else query
    return tuple((row.repository, row.document) for row in connection.execute(query.limit(limit).offset(offset)))


def _narrow_hosts(query: Any, text: str, result: str) -> Any:
    if text:
        query = query.where(hosts.c.name.contains(text, autoescape=True))
    if result:
        query = query.where(hosts.c.result == ("" if result == NEVER else result))
    return query
