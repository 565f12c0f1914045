"""The rig, once for a session: tests that need real hosts share it and run in one worker (`xdist_group`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hosts import Rig, open_rig


@pytest.fixture(scope="session")
def rig() -> Iterator[Rig]:
    """Give the rig."""
    with open_rig() as opened:
        yield opened
