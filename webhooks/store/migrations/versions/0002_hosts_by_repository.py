"""Repositories and their projects; hosts, tokens and runs by repository and environment.

What was kept before has an empty repository until the service is started again: when it watches one, it is that one's.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the new table, and the three others anew with their keys."""
    op.create_table(
        "repositories",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("project", sa.Text, unique=True),
        sa.Column("is_watched", sa.Boolean, nullable=False),
    )
    op.drop_index("runs_received", "runs")
    for name in ("hosts", "tokens", "runs"):
        op.rename_table(name, f"{name}_before")
    _make_tables()
    op.execute(
        "INSERT INTO hosts SELECT '', environment, name, enrolled, credential, seen, run, result, serial, observation FROM hosts_before"
    )
    op.execute("INSERT INTO tokens SELECT digest, '', '', host, expires, used FROM tokens_before")
    op.execute(
        "INSERT INTO runs SELECT '', environment, host, run, result, serial, started, finished, received, document FROM runs_before"
    )
    for name in ("hosts", "tokens", "runs"):
        op.drop_table(f"{name}_before")
    op.create_index("runs_received", "runs", ["received"])
    op.create_index("runs_of_host", "runs", ["repository", "environment", "host", "received"])
    op.create_index("hosts_credential", "hosts", ["credential"])


def _make_tables() -> None:
    op.create_table(
        "hosts",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("repository", "environment", "name")),
        sa.Column("enrolled", sa.Text, nullable=False),
        sa.Column("credential", sa.Text, nullable=False),
        sa.Column("seen", sa.Text),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("serial", sa.Integer, nullable=False),
        sa.Column("observation", sa.LargeBinary),
    )
    op.create_table(
        "tokens",
        sa.Column("digest", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("repository", "environment", "host", "expires")),
        sa.Column("used", sa.Text),
    )
    op.create_table(
        "runs",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("repository", "environment", "host", "run")),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("serial", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("started", "finished", "received")),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
