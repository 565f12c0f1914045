"""This project, with the Python and the packages that run these tests, inside a test host of this machine's own release.

host = rig.boot("web-1", own_suite(), binds=list_binds())
host.run([sys.executable, "-m", "gitops.cli", "agent", "status"])
"""

from __future__ import annotations

import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def own_suite() -> str:
    """Give the code name of this machine's release: a root of it has the libraries that our Python needs."""
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return next(line.partition("=")[2].strip('"') for line in lines if line.startswith("VERSION_CODENAME="))


def list_binds() -> list[tuple[str, str]]:
    """Give the folders to bind, each to its own path: project, virtual environment, and the Python below it unless it is the system's."""
    folders = {str(PROJECT), str(Path(sys.prefix)), str(Path(sys.base_prefix).resolve())} - {"/usr"}
    return [(folder, folder) for folder in sorted(folders)]
