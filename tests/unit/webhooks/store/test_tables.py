"""The migrations make exactly the tables that the code relies on."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from webhooks.store.store import open_store
from webhooks.store.tables import METADATA


def test_migrated_tables_are_those_of_the_code(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'trueup.sqlite'}"
    open_store(url).close()
    with create_engine(url).connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), METADATA)
    assert [item for item in found if "index" not in str(item[0])] == []
