"""Approvals in the store: what was said once stays; only its state changes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from gitops.model.approval import read_approval
from webhooks.records import ApprovalRecord, PullKey
from webhooks.store.columns import need_time, pack_time
from webhooks.store.tables import approvals

MOST = 100


def add_approval(connection: Connection, record: ApprovalRecord) -> int:
    """Write an approval; one with the same pull request, environment and reference is an error of the database."""
    return connection.execute(insert(approvals).values(**_pack(record)).returning(approvals.c.ident)).scalar_one()


def spend_approval(connection: Connection, ident: int, serial: int) -> None:
    """Write which release spent an approval: that is so, whatever was decided meanwhile."""
    connection.execute(update(approvals).where(approvals.c.ident == ident).values(state="spent", reason="", serial=serial))


def lose_approval(connection: Connection, ident: int, reason: str) -> None:
    """Write that an approval which counted no longer does; what was spent meanwhile stays spent."""
    where = (approvals.c.ident == ident) & (approvals.c.state == "counted")
    connection.execute(update(approvals).where(where).values(state="lost", reason=reason))


def lose_approvals_of(connection: Connection, pull: PullKey, reason: str) -> None:
    """Write that no approval of a pull request counts any more."""
    where = (approvals.c.repository == pull.repository) & (approvals.c.pull == pull.name) & (approvals.c.state == "counted")
    connection.execute(update(approvals).where(where).values(state="lost", reason=reason))


def list_approvals_of(connection: Connection, pull: PullKey) -> tuple[ApprovalRecord, ...]:
    """Give all approvals of a pull request, oldest first, refused ones included."""
    found = (approvals.c.repository == pull.repository) & (approvals.c.pull == pull.name)
    return tuple(_unpack(row) for row in connection.execute(select(approvals).where(found).order_by(approvals.c.ident)))


def list_unspent(connection: Connection, repository: str, environment: str) -> tuple[ApprovalRecord, ...]:
    """Give the approvals that a release of this environment may carry, oldest first."""
    where = (approvals.c.repository == repository) & (approvals.c.environment == environment) & (approvals.c.state == "counted")
    return tuple(_unpack(row) for row in connection.execute(select(approvals).where(where).order_by(approvals.c.ident)))


def list_approvals(connection: Connection, *, limit: int = MOST, offset: int = 0) -> tuple[ApprovalRecord, ...]:
    """List approvals, newest first."""
    query = select(approvals).order_by(approvals.c.ident.desc()).limit(limit).offset(offset)
    return tuple(_unpack(row) for row in connection.execute(query))


def count_approvals(connection: Connection) -> int:
    """Count them."""
    return connection.execute(select(func.count()).select_from(approvals)).scalar_one()


def _pack(record: ApprovalRecord) -> dict[str, Any]:
    return {
        "repository": record.pull.repository,
        "pull": record.pull.name,
        "environment": record.environment,
        "reference": record.reference,
        "login": record.login,
        "change_digest": record.change_digest,
        "given": pack_time(record.given),
        "state": record.state,
        "reason": record.reason,
        "serial": record.serial,
        "document": None if record.approval is None else record.approval.to_bytes(),
    }


def _unpack(row: Row[Any]) -> ApprovalRecord:
    return ApprovalRecord(
        ident=row.ident,
        pull=PullKey(row.repository, row.pull),
        environment=row.environment,
        reference=row.reference,
        login=row.login,
        change_digest=row.change_digest,
        given=need_time(row.given),
        state=row.state,
        reason=row.reason,
        serial=row.serial,
        approval=None if row.document is None else read_approval(row.document),
    )
