"""A bare repository with a work tree that pushes to it, and a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.project import Repository
from webhooks.store.store import Store, open_store

Push = Callable[..., str]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    made = Repository.make(tmp_path / "work")
    made.git("clone", "-q", "--bare", str(made.path), str(tmp_path / "bare.git"))
    made.git("remote", "add", "origin", str(tmp_path / "bare.git"))
    return tmp_path / "bare.git"


@pytest.fixture
def work(bare: Path) -> Repository:
    return Repository(bare.parent / "work")


@pytest.fixture
def push(work: Repository) -> Push:
    def do(name: str, files: dict[str, str], message: str = "change", env: dict[str, str] | None = None) -> str:
        work.git("checkout", "-q", "-B", f"pr/{name}", "main")
        head = work.commit(files, message, env=env)
        work.git("push", "-q", "-f", "origin", f"pr/{name}")
        work.git("checkout", "-q", "main")
        return head

    return do


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(f"sqlite:///{tmp_path / 'data' / 'trueup.sqlite'}")
    yield made
    made.close()
