"""Plans in the store: one current per pull request and environment, earlier ones kept, since approvals refer to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from webhooks.records import PlanRecord, PullKey
from webhooks.store.columns import need_time, pack_texts, pack_time, unpack_texts, unpack_time
from webhooks.store.parts import add_parts, make_reader
from webhooks.store.tables import plans

MOST = 100


def add_plan(connection: Connection, record: PlanRecord) -> int:
    """Write a plan, with its parts, and make it the current one of its environment; give its id."""
    retire_plan(connection, record.pull, record.environment)
    add_parts(connection, record.parts)
    return connection.execute(insert(plans).values(**_pack(record)).returning(plans.c.ident)).scalar_one()


def retire_plan(connection: Connection, pull: PullKey, environment: str) -> None:
    """Say that no plan of this environment is current any more."""
    connection.execute(update(plans).where(_of(pull), plans.c.environment == environment).values(is_current=False))


def publish_plan(connection: Connection, ident: int, at: datetime) -> None:
    """Write when reviewers could first read a plan; an earlier time stays."""
    connection.execute(update(plans).where(plans.c.ident == ident, plans.c.published.is_(None)).values(published=pack_time(at)))


def unpublish_plans(connection: Connection, pull: PullKey) -> None:
    """Say that no current plan of a pull request can be read now."""
    connection.execute(update(plans).where(_of(pull), plans.c.is_current).values(published=None))


def find_plan(connection: Connection, ident: int) -> PlanRecord | None:
    """Give a plan by its id."""
    row = connection.execute(select(plans).where(plans.c.ident == ident)).first()
    return None if row is None else _unpack(row, connection)


def list_current_plans(connection: Connection, pull: PullKey) -> tuple[PlanRecord, ...]:
    """Give the current plans of a pull request by environment."""
    query = select(plans).where(_of(pull), plans.c.is_current).order_by(plans.c.environment)
    return tuple(_unpack(row, connection) for row in connection.execute(query))


def list_plans_of(connection: Connection, pull: PullKey) -> tuple[PlanRecord, ...]:
    """Give all plans of a pull request, oldest first."""
    return tuple(_unpack(row, connection) for row in connection.execute(select(plans).where(_of(pull)).order_by(plans.c.ident)))


def list_plans(connection: Connection, *, is_current: bool = False, limit: int = MOST, offset: int = 0) -> tuple[PlanRecord, ...]:
    """List plans of all pull requests, newest first."""
    query = select(plans).order_by(plans.c.ident.desc()).limit(limit).offset(offset)
    query = query.where(plans.c.is_current) if is_current else query
    return tuple(_unpack(row, connection) for row in connection.execute(query))


def count_plans(connection: Connection, *, is_current: bool = False) -> int:
    """Count them."""
    query = select(func.count()).select_from(plans)
    return connection.execute(query.where(plans.c.is_current) if is_current else query).scalar_one()


def _of(pull: PullKey) -> Any:
    return (plans.c.repository == pull.repository) & (plans.c.pull == pull.name)


def _pack(record: PlanRecord) -> dict[str, Any]:
    return {
        "repository": record.pull.repository,
        "pull": record.pull.name,
        "environment": record.environment,
        "change_digest": record.change_digest,
        "content_digest": record.content_digest,
        "head": record.head,
        "target": record.target,
        "document": record.document,
        "made": pack_time(record.made),
        "required": record.required,
        "approvers": pack_texts(record.approvers),
        "published": pack_time(record.published),
        "is_current": record.is_current,
    }


def _unpack(row: Row[Any], connection: Connection) -> PlanRecord:
    return PlanRecord(
        ident=row.ident,
        pull=PullKey(row.repository, row.pull),
        environment=row.environment,
        change_digest=row.change_digest,
        content_digest=row.content_digest,
        head=row.head,
        target=row.target,
        document=row.document,
        made=need_time(row.made),
        required=row.required,
        approvers=unpack_texts(row.approvers),
        published=unpack_time(row.published),
        is_current=row.is_current,
        read=make_reader(connection.engine),
    )
