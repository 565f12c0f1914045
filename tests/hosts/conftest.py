"""The rig, once for a session, and a fresh host of each Debian release for every test that asks for one.

Tests that need real hosts are marked `hosts` and share one worker (`xdist_group("hosts")`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.hosts import Rig, open_rig
from tests.support.managed import Managed, unpack_executor
from tests.support.packages import build_repository
from tests.support.roots import get_root
from tests.support.tiny import PACKAGES

SUITES = ("bookworm", "bullseye", "trixie")  # Python 3.11, 3.9 and 3.13
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def rig() -> Iterator[Rig]:
    """Give the rig; all roots are made at the same time."""
    with open_rig() as opened:
        opened.prepare(SUITES)
        yield opened


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a repository of tiny packages."""
    return build_repository(tmp_path_factory.mktemp("packages"), *PACKAGES)


@pytest.fixture(scope="session")
def executors(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Give the executor, compiled by each suite's own Python."""
    return {suite: unpack_executor(tmp_path_factory.mktemp(suite), get_root(suite)) for suite in SUITES}


@pytest.fixture(scope="session", params=SUITES)
def shared(
    request: pytest.FixtureRequest,
    rig: Rig,
    repository: Path,
    executors: Mapping[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Managed]:
    """Give a running host that many tests share: each uses names of its own."""
    host = rig.boot(f"shared-{next(_numbers)}", request.param)
    host.add_packages(repository)
    yield Managed.start(host, tmp_path_factory.mktemp("shared") / "project", executors[request.param])
    host.remove()


@pytest.fixture(params=SUITES)
def machine(
    request: pytest.FixtureRequest, rig: Rig, repository: Path, executors: Mapping[str, Path], tmp_path: Path
) -> Iterator[Managed]:
    """Give a fresh, running host that knows the tiny packages."""
    host = rig.boot(f"web-{next(_numbers)}", request.param)
    host.add_packages(repository)
    yield Managed.start(host, tmp_path / "project", executors[request.param])
    host.remove()
