"""A fleet of 1,000 hosts × 50 resources, 10 of them the host's own, in 10 zones: what a plan costs, beside an older build.

`python benchmarks/fleet.py [--hosts N] [--old TREE] [--only WORK]`: TREE is a work tree of the build that is compared with
(`git worktree add TREE a4dda60`). Every number is a process of its own: seconds on the clock and of processor time from graphs in memory
to document and comment, the peak memory of the whole process, bytes of the document, of its parts and of the comment.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE / "benchmarks"))
import compile as text_fleet  # noqa: E402  the project of benchmarks/compile.py; its folder is no package

WORKS = ("module", "own", "first", "nothing")
NEW_TEMPLATE = "changed {{ host.name }}\n"


def main() -> None:
    """Compile each state of the fleet once, then plan each work with each build in turn."""
    options = argparse.ArgumentParser(description="time plans of a whole fleet")
    options.add_argument("--hosts", type=int, default=1000)
    options.add_argument("--old", type=Path, help="a work tree of another build")
    options.add_argument("--only", choices=WORKS, action="append")
    options.add_argument("--rounds", type=int, default=1)
    chosen = options.parse_args()
    builds = {"this build": HERE} | ({"old build": chosen.old} if chosen.old else {})
    with tempfile.TemporaryDirectory(prefix="trueup-fleet-") as folder:
        scratch = Path(folder)
        for state in ("base", "module", "own"):
            compile_state(scratch, state, chosen.hosts)
        print(f"{chosen.hosts} hosts × {text_fleet.MODULES * text_fleet.PER_MODULE + text_fleet.OWN} resources\n")
        print(
            f"{'work':9}{'build':12}{'seconds':>9}{'cpu':>8}{'MB':>7}{'document':>12}{'parts':>12}{'comment':>9}{'groups':>8}{'changes':>9}"
        )
        for work in chosen.only or WORKS:
            for _ in range(chosen.rounds):
                found = {name: plan_with(tree, scratch, work) for name, tree in builds.items()}
                for name, row in found.items():
                    print(
                        f"{work:9}{name:12}{row['seconds']:9.2f}{row['cpu']:8.2f}{row['memory']:7}{row['document']:12,}"
                        f"{row['parts']:12,}{row['comment']:9,}{row['groups']:8}{row['changes']:9}",
                        flush=True,
                    )
                if len(found) > 1:
                    print_ratios(work, *found.values())


def print_ratios(work: str, new: dict[str, float], old: dict[str, float]) -> None:
    """Print how many times cheaper the new build is."""
    words = ", ".join(
        f"{what} ÷ {old[key] / max(new[key], 1e-9):.1f}"
        for key, what in (("cpu", "processor"), ("document", "document"), ("memory", "memory"))
    )
    print(f"{work:9}{'ratio':12} {words}", flush=True)


def compile_state(scratch: Path, state: str, hosts: int) -> None:
    """Write the project as it is in a state, and what it compiles to."""
    project = scratch / "project"
    text_fleet.write_project(project, hosts)
    if state == "module":
        text_fleet.write_module(project, 3, port=9999)
    if state == "own":
        text_fleet.write(project / "modules/own/templates/name.j2", NEW_TEMPLATE)
    environment = {**os.environ, "PYTHONPATH": str(HERE), "HOME": str(scratch), "XDG_CACHE_HOME": str(scratch / "cache")}
    command = [sys.executable, "-m", "gitops.cli.__main__", "-C", str(project), "compile", "--env", "production"]
    done = subprocess.run([*command, "--out", str(scratch / state)], env=environment, capture_output=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stderr.decode())


def plan_with(tree: Path, scratch: Path, work: str) -> dict[str, float]:
    """Plan in a process of its own, by the build of a work tree."""
    done = subprocess.run(
        [sys.executable, str(HERE / "benchmarks/fleetworker.py"), str(scratch), work],
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(done.stderr.decode())
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
