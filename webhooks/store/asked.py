"""Requests made in comments that were answered: each comment's once, however often it is read."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, insert, select

from webhooks.records import PullKey
from webhooks.store.tables import asked


def was_asked(connection: Connection, pull: PullKey, reference: str) -> bool:
    """Say whether a request was taken before."""
    return connection.execute(select(asked.c.reference).where(_is(pull, reference))).first() is not None


def take_request(connection: Connection, pull: PullKey, reference: str) -> None:
    """Remember a request; doing so twice changes nothing."""
    if not was_asked(connection, pull, reference):
        connection.execute(insert(asked).values(repository=pull.repository, pull=pull.name, reference=reference))


def _is(pull: PullKey, reference: str) -> Any:
    return (asked.c.repository == pull.repository) & (asked.c.pull == pull.name) & (asked.c.reference == reference)
