"""What a change could cost, when the thing's name is not the path that it writes."""

from __future__ import annotations

import pytest

from gitops.model.address import parse_address
from gitops.plan.risk import judge_risk


@pytest.mark.parametrize(
    ("address", "paths", "risk"),
    [
        ("line:x", ("/etc/motd",), "low"),
        ("line:x", ("/etc/ssh/sshd_config",), "high"),
        ("block:x", ("/etc/sudoers",), "high"),
        ("block:x", ("/etc/sudoers.d/ops",), "high"),
        ("line:x", ("/etc/motd", "/etc/fstab"), "high"),
        ("cron:backup", ("/etc/cron.d/backup",), "medium"),
        ("ssh_authorized_key:ann", (), "high"),
    ],
)
def test_what_is_written_makes_the_risk(address: str, paths: tuple[str, ...], risk: str) -> None:
    assert (
        judge_risk(parse_address(address), action="update", classification="intentional", confidence="exact", paths=paths) == risk
    )
