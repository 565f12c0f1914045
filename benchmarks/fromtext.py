"""`gitops apply --local` from text beside CFEngine: 1,000 files made for the first time, and with nothing to do.

`python benchmarks/fromtext.py` (CFEngine: Debian package cfengine3; without it only our own numbers are shown). Whole processes of the
real command line, turn by turn, each kind beside CFEngine's run of the same kind. First runs have folders of their own. Warm: what was
compiled is kept from a run before. Cold: `--no-cache`, so not even CUE's results are kept. The executor is kept in all, as after any run.
Goals: warm at most 1 × CFEngine, cold at most 3 × with nothing to do.
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
    """Time all in turn; print medians and ratios."""
    options = argparse.ArgumentParser(description="time gitops apply --local from text")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--files", type=int, default=1000)
    chosen = options.parse_args()
    peer = shutil.which("cf-agent")
    with tempfile.TemporaryDirectory(prefix="gitops-fromtext-") as folder:
        scratch = Path(folder)
        times = measure(chosen.files, chosen.rounds, scratch, peer)
    medians = {name: statistics.median(values) for name, values in times.items() if values}
    print("run                s  ratio")
    for name, seconds in medians.items():
        beside = medians.get(f"{name.partition(' ')[0]} cfengine")
        print(f"{name:<15} {seconds:>5.3f} " + (f"{seconds / beside:>6.2f}" if beside else "     -"))


def measure(files: int, rounds: int, scratch: Path, peer: str | None) -> dict[str, list[float]]:
    """Give wall seconds of every run, by `first` or `again` and by what is run."""
    times: dict[str, list[float]] = {f"{run} {what}": [] for run in ("first", "again") for what in ("cold", "warm", "cfengine")}
    time_process(write_project(1, scratch / "before"), None)  # compiles the modules and keeps the executor
    for number in range(rounds):
        folder = scratch / f"ours-{number}"
        command = write_project(files, folder)
        times["first cold"].append(time_first([*command, "--no-cache"], folder, files))
        time_process(command, None)  # keeps what it compiled
        times["first warm"].append(time_first(command, folder, files))
        times["again warm"].append(time_process(command, None)[0])
        times["again cold"].append(time_process([*command, "--no-cache"], None)[0])
        if peer is not None:
            theirs = time_cfengine(files, scratch / f"peer-{number}", peer)
            times["first cfengine"].append(theirs.first)
            times["again cfengine"].append(theirs.again)
    return times


def time_first(command: list[str], folder: Path, files: int) -> float:
    """Time a run that finds nothing: what is there is moved away, not removed (ext4 is slow to create where it has just removed)."""
    for name in ("ours/etc", "state"):
        if (folder / name).exists():
            (folder / name).rename(folder / f"{name}-before")
    (folder / "ours" / "etc").mkdir()
    seconds = time_process(command, None)[0]
    for number in range(files):
        if (folder / "ours" / name_of(number)).read_text(encoding="utf-8") != content_of(number):
            raise SystemExit(f"{folder} is not as asked for")
    return seconds


def write_project(files: int, scratch: Path) -> list[str]:
    """Write a project of one host; give the command that applies it."""
    project, target = scratch / "project", scratch / "ours"
    project.mkdir(parents=True)
    (target / "etc").mkdir(parents=True)
    rows = [
        f'    - file: {target}/{name_of(number)}\n      content: {json.dumps(content_of(number))}\n      mode: "0644"\n'
        for number in range(files)
    ]
    (project / "gitops.yaml").write_text(HEAD + "".join(rows), encoding="utf-8")
    where = ("-C", str(project), "apply", "--local", "--host", "web-1", "--yes", "--state", str(scratch / "state"))
    environment = f"XDG_CACHE_HOME={scratch.parent / 'cache'}"
    return ["/usr/bin/env", "-u", "PYTHONDONTWRITEBYTECODE", environment, sys.executable, "-c", START, ROOT, *where]


if __name__ == "__main__":
    main()
