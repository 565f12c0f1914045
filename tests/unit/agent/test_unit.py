"""The systemd unit: systemd understands it, it is restricted where it can be, and open where managing a machine needs it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[3] / "examples" / "systemd" / "trueup-agent.service"
WORST_EXPOSURE = 6.0


def settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        name, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize(
    "name",
    ["PrivateTmp", "ProtectSystem", "ProtectHome", "ProtectKernelModules", "NoNewPrivileges", "PrivateNetwork", "User"],
)
def test_what_would_break_managing_a_machine_is_not_set_and_the_reason_is_there(name: str) -> None:
    assert name not in settings()
    assert f"{name}" in "".join(line for line in UNIT.read_text(encoding="utf-8").splitlines() if line.startswith("#"))


def test_sigterm_reaches_the_agent_alone_and_the_umask_is_the_usual() -> None:
    found = settings()
    assert found["KillMode"] == ["mixed"]
    assert found["UMask"] == ["0022"]
    assert found["StateDirectoryMode"] == ["0700"]
    assert found["ExecStart"] == ["/usr/bin/gitops agent run --format text --state /var/lib/gitops"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd on this machine")
def test_systemd_understands_it_and_finds_it_restricted(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text(encoding="utf-8").replace("/usr/bin/gitops", "/bin/true"), encoding="utf-8")
    verified = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False, timeout=60)
    assert (verified.returncode, verified.stderr) == (0, "")
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", copy], capture_output=True, text=True, check=False, timeout=60
    )
    exposure = float(judged.stdout.strip().splitlines()[-1].partition(": ")[2].split()[0])
    assert exposure <= WORST_EXPOSURE
