"""`gitops apply --local` from text beside CFEngine: 1,000 files with nothing to do, the compile kept (warm) and not (cold).

`python benchmarks/fromtext.py` (CFEngine: Debian package cfengine3; without it only our own numbers are shown). Whole processes of the
real command line, turn by turn. Goals: warm at most 1 × CFEngine, cold at most 3 ×. Cold means `--no-cache`: not even CUE's results.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.converge import content_of, name_of, time_cfengine, time_process

HEAD = """\
apiVersion: gitops/v1
kind: Project
metadata: {name: speed}
---
apiVersion: gitops/v1
kind: Host
metadata: {name: web-1}
spec:
  connection: local
  resources:
"""
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from gitops.cli.__main__ import main; main()"
ROOT = str(Path(__file__).resolve().parents[1])


def main() -> None:
    """Converge once, then time warm, CFEngine and cold in turn; print medians and ratios."""
    options = argparse.ArgumentParser(description="time gitops apply --local from text")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--files", type=int, default=1000)
    chosen = options.parse_args()
    peer = shutil.which("cf-agent")
    with tempfile.TemporaryDirectory(prefix="gitops-fromtext-") as folder:
        scratch = Path(folder)
        times = measure(chosen.files, chosen.rounds, scratch, peer)
    medians = {name: statistics.median(values) for name, values in times.items() if values}
    print("run        s  ratio")
    for name, seconds in medians.items():
        ratio = f"{seconds / medians['cfengine']:>6.2f}" if "cfengine" in medians else "     -"
        print(f"{name:<8} {seconds:>5.3f} {ratio}")


def measure(files: int, rounds: int, scratch: Path, peer: str | None) -> dict[str, list[float]]:
    """Give wall seconds of every run with nothing to do."""
    command = write_project(files, scratch)
    time_process(command, None)  # converges, compiles the modules and fills the cache
    times: dict[str, list[float]] = {"warm": [], "cfengine": [], "cold": []}
    for number in range(rounds):
        times["warm"].append(time_process(command, None)[0])
        if peer is not None:
            times["cfengine"].append(time_cfengine(files, scratch / f"peer-{number}", peer).again)
        times["cold"].append(time_process([*command, "--no-cache"], None)[0])
    return times


def write_project(files: int, scratch: Path) -> list[str]:
    """Write a project of one host; give the command that applies it."""
    project, target = scratch / "project", scratch / "ours"
    project.mkdir()
    (target / "etc").mkdir(parents=True)
    rows = [
        f'    - file: {target}/{name_of(number)}\n      content: {json.dumps(content_of(number))}\n      mode: "0644"\n'
        for number in range(files)
    ]
    (project / "gitops.yaml").write_text(HEAD + "".join(rows), encoding="utf-8")
    where = ("-C", str(project), "apply", "--local", "--host", "web-1", "--yes", "--state", str(scratch / "state"))
    environment = f"XDG_CACHE_HOME={scratch / 'cache'}"
    return ["/usr/bin/env", "-u", "PYTHONDONTWRITEBYTECODE", environment, sys.executable, "-c", START, ROOT, *where]


if __name__ == "__main__":
    main()
