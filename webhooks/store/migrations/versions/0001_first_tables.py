"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make all tables and the indexes that the queries need."""
    _make_deliveries()
    _make_jobs()
    _make_pulls()
    _make_plans()
    _make_approvals()
    _make_releases()
    _make_hosts()
    _make_tokens()
    _make_runs()
    _make_remarks()
    _make_statuses()
    _make_asked()


def _make_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("forge", sa.Text, primary_key=True),
        sa.Column("ident", sa.Text, primary_key=True),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("received", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
    )


def _make_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("ident", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("run_at", sa.Text, nullable=False),
        sa.Column("lease", sa.Text),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("delivery", sa.Text, nullable=False),
    )
    op.create_index("jobs_due", "jobs", ["state", "run_at"])
    op.create_index("jobs_ready", "jobs", ["kind", "key"], unique=True, sqlite_where=sa.text("state = 'ready'"))


def _make_pulls() -> None:
    op.create_table(
        "pulls",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("head", sa.Text, nullable=False),
        sa.Column("branch", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("contributors", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("merged", sa.Text, nullable=False),
        sa.Column("planning", sa.Text, nullable=False),
        sa.Column("planned_head", sa.Text, nullable=False),
        sa.Column("diagnostics", sa.Text, nullable=False),
        sa.Column("conflicts", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("comment_ident", sa.Text, nullable=False),
        sa.Column("is_settled", sa.Boolean, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("updated", sa.Text),
    )
    op.create_index("pulls_state", "pulls", ["state", "repository"])


def _make_plans() -> None:
    op.create_table(
        "plans",
        sa.Column("ident", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("pull", sa.Text, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("change_digest", sa.Text, nullable=False),
        sa.Column("content_digest", sa.Text, nullable=False),
        sa.Column("head", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("made", sa.Text, nullable=False),
        sa.Column("required", sa.Integer, nullable=False),
        sa.Column("approvers", sa.Text, nullable=False),
        sa.Column("published", sa.Text),
        sa.Column("is_current", sa.Boolean, nullable=False),
    )
    op.create_index("plans_pull", "plans", ["repository", "pull", "environment"])


def _make_approvals() -> None:
    op.create_table(
        "approvals",
        sa.Column("ident", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("pull", sa.Text, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("login", sa.Text, nullable=False),
        sa.Column("change_digest", sa.Text, nullable=False),
        sa.Column("given", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("serial", sa.Integer, nullable=False),
        sa.Column("document", sa.LargeBinary),
        sa.UniqueConstraint("repository", "pull", "environment", "reference"),
    )


def _make_releases() -> None:
    op.create_table(
        "releases",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("environment", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("pull", sa.Text, nullable=False),
        sa.Column("serial", sa.Integer, nullable=False),
        sa.Column("commit", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("branch", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )


def _make_hosts() -> None:
    op.create_table(
        "hosts",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("enrolled", sa.Text, nullable=False),
        sa.Column("credential", sa.Text, nullable=False),
        sa.Column("seen", sa.Text),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("serial", sa.Integer, nullable=False),
        sa.Column("observation", sa.LargeBinary),
    )


def _make_tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("expires", sa.Text, nullable=False),
        sa.Column("used", sa.Text),
    )


def _make_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("serial", sa.Integer, nullable=False),
        sa.Column("started", sa.Text, nullable=False),
        sa.Column("finished", sa.Text, nullable=False),
        sa.Column("received", sa.Text, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_index("runs_received", "runs", ["received"])


def _make_remarks() -> None:
    op.create_table(
        "remarks",
        sa.Column("ident", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("pull", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
    )
    op.create_index("remarks_pull", "remarks", ["repository", "pull"])


def _make_statuses() -> None:
    op.create_table(
        "statuses",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("commit", sa.Text, primary_key=True),
        sa.Column("context", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
    )


def _make_asked() -> None:
    op.create_table(
        "asked",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("pull", sa.Text, primary_key=True),
        sa.Column("reference", sa.Text, primary_key=True),
    )
