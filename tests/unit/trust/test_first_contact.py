"""An agent that enrols late: everything is new to it, and was approved long ago."""

from __future__ import annotations

from pathlib import Path

from tests.support.agents import Rig
from tests.support.releases import text_file

MOTD = text_file("/etc/motd", "hello\n")
NEWER = text_file("/etc/motd", "hello again\n")
OTHER = text_file("/etc/issue", "other\n")


def test_a_late_agent_accepts_what_the_whole_history_approved(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "rig", required=1)
    rig.release(MOTD, approved=True)
    rig.release(MOTD, OTHER, approved=True)
    rig.release(MOTD, OTHER)
    cycle = rig.cycle()
    assert (cycle.status, rig.read("/etc/motd"), rig.read("/etc/issue")) == (0, "hello\n", "other\n")


def test_a_late_agent_refuses_what_nobody_ever_approved(tmp_path: Path) -> None:
    rig = Rig.make(tmp_path / "rig", required=1)
    rig.release(MOTD, approved=True)
    rig.release(NEWER)
    cycle = rig.cycle()
    assert cycle.status == 6
    assert cycle.stop is not None
    assert cycle.stop.code == "T107"
