"""When the plan's comment was written last, as the forge told it. Of earlier ones that is read at the next look."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; nothing is known of comments that stand."""
    op.add_column("pulls", sa.Column("comment_at", sa.Text))
