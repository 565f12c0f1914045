"""Every test gets a home of its own, so that no test reads or writes the developer's state."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadGroupScheduling

# Two cores for many workers: how long one example takes says nothing of the code.
settings.register_profile("trueup", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("trueup")

# Tests that share what is costly to make, or cannot run side by side: each of these is one worker's. xdist 3.8 adds the group of a mark to a
# name in a way that pytest 9.2 does not see any more, so every test would be a group of its own.
TOGETHER = ("tests/hosts/", "tests/ui/", "tests/conformance/test_kinds.py")

pytest.register_assert_rewrite("tests.support")  # so that what they assert says what it saw

# In the background of a script Ctrl-C is ignored, and what tests start would not hear of it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Together(LoadGroupScheduling):
    """Gives tests to workers one by one, but for those in TOGETHER."""

    def _split_scope(self, nodeid: str) -> str:
        return next((place for place in TOGETHER if nodeid.startswith(place)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    """Choose who runs what."""
    return Together(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let golden files be written anew: look at their diff before committing it."""
    parser.addoption("--update-golden", action="store_true", help="write tests/golden anew from what the program says now")


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point HOME, XDG folders and the machine's state to a fresh folder."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GITOPS_STATE_DIR", str(home / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    return home
