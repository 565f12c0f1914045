"""The agent's state is the agent's alone, whoever made its folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from agent.documents import AgentMemory
from agent.state import AgentState
from gitops.errors import HostError, TrustError
from gitops.executor.state import StateFolder
from tests.support.attacks import read_cases


def lay(folder: Path, rows: list[list[Any]]) -> None:
    for path, kind, mode, *uid in rows:
        place = folder / path
        if kind == "dir":
            place.mkdir()
        else:
            place.write_bytes(b"{}")
        place.chmod(int(mode, 8))
        if uid:
            os.chown(place, uid[0], -1)


def use(state: AgentState) -> None:
    state.prepare()
    state.read_enrolment()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of other users")
@pytest.mark.parametrize("case", read_cases(__file__, "state-folder"), ids=lambda case: case["name"])
def test_a_state_folder_is_closed_or_refused(case: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "state"
    lay(folder, case["before"])
    state = AgentState(folder)
    if case["says"]:
        with pytest.raises((HostError, TrustError), match=case["says"]):
            use(state)
        return
    state.prepare()
    state.write_memory(AgentMemory())
    StateFolder(str(folder), "")
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
