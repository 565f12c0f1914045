"""Hosts and their enrolment tokens in the store, by repository, environment and name. Credentials and tokens are kept as hashes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from gitops.model.codec import decode_json, encode_canonical
from gitops.model.observation import Observation
from webhooks.records import HostKey, HostRecord, TokenRecord
from webhooks.store.columns import need_time, pack_time, unpack_time
from webhooks.store.tables import hosts, tokens

MOST = 100


def save_host(connection: Connection, record: HostRecord) -> None:
    """Write a host, replacing what was known."""
    connection.execute(delete(hosts).where(_is(record.key)))
    connection.execute(insert(hosts).values(**_pack(record)))


def find_host(connection: Connection, key: HostKey) -> HostRecord | None:
    """Give a host."""
    row = connection.execute(select(hosts).where(_is(key))).first()
    return None if row is None else _unpack(row)


def find_hosts_named(connection: Connection, name: str, repository: str = "", environment: str = "") -> tuple[HostRecord, ...]:
    """Give the hosts of a name (at most a page), of all repositories and environments or of some."""
    query = select(hosts).where(hosts.c.name == name).order_by(hosts.c.repository, hosts.c.environment).limit(MOST)
    return tuple(_unpack(row) for row in connection.execute(_narrow(query, environment, repository)))


def find_host_by_credential(connection: Connection, digest: str) -> HostRecord | None:
    """Give the host whose credential has this hash."""
    row = connection.execute(select(hosts).where(hosts.c.credential == digest)).first()
    return None if row is None else _unpack(row)


def list_hosts(
    connection: Connection, *, repository: str = "", environment: str = "", limit: int = MOST, offset: int = 0
) -> tuple[HostRecord, ...]:
    """List hosts by name."""
    query = select(hosts).order_by(hosts.c.name, hosts.c.repository, hosts.c.environment).limit(limit).offset(offset)
    return tuple(_unpack(row) for row in connection.execute(_narrow(query, environment, repository)))


def count_hosts(connection: Connection, *, repository: str = "", environment: str = "") -> int:
    """Count them."""
    return connection.execute(_narrow(select(func.count()).select_from(hosts), environment, repository)).scalar_one()


def read_observations(connection: Connection, repository: str, environment: str, names: Sequence[str]) -> dict[str, Observation]:
    """Give the last observations of these hosts of one environment; who never reported is not there."""
    mine = (hosts.c.repository == repository) & (hosts.c.environment == environment) & hosts.c.observation.is_not(None)
    query = select(hosts.c.name, hosts.c.observation).where(mine)
    wanted = set(names)
    return {row.name: _read_observation(row.observation) for row in connection.execute(query) if row.name in wanted}


def add_token(connection: Connection, record: TokenRecord) -> None:
    """Write a token's hash."""
    values = {**vars(record), "expires": pack_time(record.expires), "used": pack_time(record.used)}
    connection.execute(insert(tokens).values(**values))


def find_token(connection: Connection, digest: str) -> TokenRecord | None:
    """Give a token by its hash."""
    row = connection.execute(select(tokens).where(tokens.c.digest == digest)).first()
    if row is None:
        return None
    return TokenRecord(row.host, row.digest, need_time(row.expires), unpack_time(row.used), row.repository, row.environment)


def spend_token(connection: Connection, digest: str, now: datetime) -> bool:
    """Mark a token as used; False when somebody was faster."""
    unused = (tokens.c.digest == digest) & tokens.c.used.is_(None)
    return connection.execute(update(tokens).where(unused).values(used=pack_time(now))).rowcount == 1


def _is(key: HostKey) -> Any:
    return (hosts.c.repository == key.repository) & (hosts.c.environment == key.environment) & (hosts.c.name == key.name)


def _narrow(query: Any, environment: str, repository: str) -> Any:
    query = query.where(hosts.c.repository == repository) if repository else query
    return query.where(hosts.c.environment == environment) if environment else query


def _pack(record: HostRecord) -> dict[str, Any]:
    return {
        "repository": record.repository,
        "name": record.name,
        "environment": record.environment,
        "enrolled": pack_time(record.enrolled),
        "credential": record.credential,
        "seen": pack_time(record.seen),
        "run": record.run,
        "result": record.result,
        "serial": record.serial,
        "observation": None if record.observation is None else encode_canonical(record.observation.to_json()),
        "asked": pack_time(record.asked),
        "pause": record.pause,
    }


def _unpack(row: Row[Any]) -> HostRecord:
    return HostRecord(
        repository=row.repository,
        name=row.name,
        environment=row.environment,
        enrolled=need_time(row.enrolled),
        credential=row.credential,
        seen=unpack_time(row.seen),
        run=row.run,
        result=row.result,
        serial=row.serial,
        observation=None if row.observation is None else _read_observation(row.observation),
        asked=unpack_time(row.asked),
        pause=row.pause,
    )


def _read_observation(data: bytes) -> Observation:
    return Observation.from_json(decode_json(data))
