"""The database: one SQLite file in write-ahead mode, brought to this version's tables when it is opened.

Gives short transactions: `read` and `write` (which takes the one write lock at once, so that nothing read in it grows old). What was
committed survives kill -9 and power loss. PostgreSQL is a later backend: its address is refused with what to do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event

from gitops.errors import UsageError

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_MILLISECONDS = 30_000
PRAGMAS = ("journal_mode=WAL", f"busy_timeout={BUSY_MILLISECONDS}", "foreign_keys=ON", "synchronous=FULL")
SQLITE = "sqlite:///"


class Store:
    """An open database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(is_writer=True)

    @contextmanager
    def read(self) -> Generator[Connection]:
        """Give a consistent view; nothing is written."""
        with self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Generator[Connection]:
        """Give a transaction that holds the write lock; it is kept when the block ends well, undone otherwise. Keep it short."""
        with self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def open_store(url: str) -> Store:
    """Open `sqlite:///PATH`, making or migrating its tables."""
    if not url.startswith(SQLITE):
        raise UsageError(
            f"the database {url.partition(':')[0]}: is not supported yet",
            code="U070",
            hint="leave GITOPS_DATABASE_URL out, or give sqlite:///PATH",
        )
    Path(url.removeprefix(SQLITE)).absolute().parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_MILLISECONDS / 1000})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    store = Store(engine)
    with store.write() as connection:
        _migrate(connection)
    return store


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver's own BEGIN comes too late and never IMMEDIATE: transactions are begun by `_begin`.
    connection.isolation_level = None
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    is_writer = connection.get_execution_options().get("is_writer", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")


def _migrate(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
