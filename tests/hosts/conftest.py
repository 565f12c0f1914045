"""The rig, once for a session, and a fresh host of each Debian release for every test that asks for one.

Tests that need real hosts are marked `hosts` and share one worker (`xdist_group("hosts")`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hosts import Rig, open_rig
from tests.support.managed import Managed
from tests.support.packages import build_repository
from tests.support.tiny import PACKAGES

SUITES = ("bookworm", "bullseye")  # Python 3.11 and 3.9
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def rig() -> Iterator[Rig]:
    """Give the rig; both roots are made at the same time."""
    with open_rig() as opened:
        opened.prepare(SUITES)
        yield opened


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a repository of tiny packages."""
    return build_repository(tmp_path_factory.mktemp("packages"), *PACKAGES)


@pytest.fixture(params=SUITES)
def machine(request: pytest.FixtureRequest, rig: Rig, repository: Path, tmp_path: Path) -> Iterator[Managed]:
    """Give a fresh, running host that knows the tiny packages."""
    host = rig.boot(f"web-{next(_numbers)}", request.param)
    host.add_packages(repository)
    yield Managed.start(host, tmp_path / "project")
    host.remove()
