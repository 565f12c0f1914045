"""Alembic's door: run the migrations on the connection that the store gives; no configuration file, no logging of its own."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from webhooks.store.tables import METADATA

connection: Connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
