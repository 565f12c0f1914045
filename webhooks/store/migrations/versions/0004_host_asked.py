"""When plans are looked at again for what a host said, and how long it is until the next time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns; no host has asked yet."""
    op.add_column("hosts", sa.Column("asked", sa.Text))
    op.add_column("hosts", sa.Column("pause", sa.Integer, nullable=False, server_default="0"))
