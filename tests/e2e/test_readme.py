"""The README's commands work as they stand, one after the other, in a fresh directory with a fresh home."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT = re.compile(r"\s+# exit (\d+)$")


def commands() -> list[tuple[str, int]]:
    """Give every command of the README with the exit status that it is said to have."""
    lines = [line for block in BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8")) for line in block.splitlines()]
    found: list[tuple[str, int]] = []
    for line in lines:
        said = EXIT.search(line)
        found.append((EXIT.sub("", line), int(said[1]) if said else 0))
    return found


def test_the_tutorial_works_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    path = f"{Path(sys.executable).parent}:{ROOT / '.tools/bin'}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tmp_path / "home"), "LANG": "C.UTF-8"}
    # Run as root the verbs would use the machine's own state folder; a test leaves nothing there.
    environment["GITOPS_STATE_DIR"] = str(tmp_path / "state")
    environment.update({name: value for name, value in os.environ.items() if name.startswith("COVERAGE")})
    for command, expected in commands():
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=tmp_path / "work",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == expected, f"$ {command}\n{done.stdout}{done.stderr}"
    assert "managed from Git, ask there first" in (tmp_path / "work/machine/etc/motd.d/50-gitops").read_text()


def test_the_tutorial_shows_every_stage() -> None:
    verbs = {part for command, _ in commands() for part in command.split()}
    assert verbs >= {"init", "validate", "plan", "apply", "runs", "explain", "diff", "release", "verify", "trust", "agent"}
