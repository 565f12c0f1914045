"""Parts of plans, by digest. Plans of an earlier version are not read any more: open pull requests are planned again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table; retire what cannot be read, and have every open pull request looked at again."""
    op.create_table(
        "plan_parts",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.execute("DELETE FROM plans")
    op.execute(
        "UPDATE approvals SET state = 'lost', reason = 'it was given before an upgrade: approve again' WHERE state = 'counted'"
    )
    op.execute("UPDATE pulls SET planning = 'waiting' WHERE state = 'open'")
