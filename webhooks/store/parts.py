"""Parts of plans in the store: documents by their digest, each once, however many plans name it."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, Engine, insert, select

from gitops.errors import MalformedError
from gitops.model.addressed import ReadPart
from webhooks.store.tables import plan_parts

MOST_ASKED = 500


def add_parts(connection: Connection, parts: Mapping[str, bytes]) -> None:
    """Write what is not there yet."""
    names = sorted(parts)
    for start in range(0, len(names), MOST_ASKED):
        some = names[start : start + MOST_ASKED]
        query = select(plan_parts.c.digest).where(plan_parts.c.digest.in_(some))
        known = set(connection.execute(query).scalars())
        rows = [{"digest": name, "data": parts[name]} for name in some if name not in known]
        if rows:
            connection.execute(insert(plan_parts), rows)


def make_reader(engine: Engine) -> ReadPart:
    """Give what reads a part by its digest; raises MalformedError when it is not there."""

    def read(digest: str) -> bytes:
        with engine.begin() as connection:
            found = connection.execute(select(plan_parts.c.data).where(plan_parts.c.digest == digest)).scalar_one_or_none()
        if found is None:
            raise MalformedError(f"the part {digest[:12]} of a plan is not in the store", code="M014")
        data: bytes = found
        return data

    return read
