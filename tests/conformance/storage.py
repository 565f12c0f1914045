"""Disks that give no room, take no writes, or are somebody else's: run as `unshare --mount python -m tests.conformance.storage FOLDER`.

For every scenario and trouble the run is made on a small disk of its own; printed is one JSON line: what it said, which paths are neither
as before nor as wanted, and what the next run says once the trouble is over.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitops.conformance.laws import Bench, Tree
from gitops.conformance.scenarios import SCENARIOS, Scenario
from gitops.errors import TrueupError

SIZE = "size=256k"
FILLER = "filler"
NOBODY = 65534
NOT_ON_SMALL_DISKS = ("xattrs",)  # a disk in memory keeps no attributes of users before Linux 6.6
TROUBLES = ("full", "read-only", "forbidden")


def main() -> None:
    """Go through all kinds, scenarios and troubles."""
    folder = Path(sys.argv[1])
    subprocess.run(["mount", "--make-rprivate", "/"], check=True, timeout=20)
    for kind, scenarios in SCENARIOS.items():
        for number, scenario in enumerate(scenarios):
            if scenario.name in NOT_ON_SMALL_DISKS:
                continue
            wanted = wanted_of(scenario, folder / f"{kind}-{number}-clean")
            for trouble in TROUBLES:
                said = try_one(scenario, folder / f"{kind}-{number}-{trouble}", trouble, wanted)
                sys.stdout.write(json.dumps({"kind": kind, "scenario": scenario.name, "trouble": trouble, **said}) + "\n")
                sys.stdout.flush()


def wanted_of(scenario: Scenario, folder: Path) -> Tree:
    """Give the machine as a run without trouble leaves it."""
    bench = Bench(scenario, folder)
    bench.apply()
    bench.close()
    return bench.tree()


def try_one(scenario: Scenario, folder: Path, trouble: str, wanted: Tree) -> dict[str, object]:
    """Make one run in trouble, and one after it."""
    folder.mkdir()
    root = folder / "root"
    root.mkdir()
    with small_disk(root):
        bench = Bench(scenario, folder)
        before = bench.tree()
        with in_trouble(root, trouble):
            reasons = apply_as(bench, NOBODY if trouble == "forbidden" else 0)
            found = {path: value for path, value in bench.tree().items() if path != f"/{FILLER}"}
        half = sorted(path for path in {*before, *found} if found.get(path) not in (before.get(path), wanted.get(path)))
        moved = sorted(path for path in {*before, *found} if found.get(path) != before.get(path))
        after = bench.apply()
        differs = sorted(path for path in {*wanted, *bench.tree()} if bench.tree().get(path) != wanted.get(path))
        bench.close()
    return {"reasons": reasons, "half": half, "moved": moved, "after": after.result, "differs": differs}


@contextmanager
def small_disk(root: Path) -> Iterator[None]:
    """Mount a disk of a few KB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"{SIZE},mode=0755", "tmpfs", str(root)], check=True, timeout=20)
    try:
        yield
    finally:
        subprocess.run(["umount", str(root)], check=True, timeout=20)


@contextmanager
def in_trouble(root: Path, trouble: str) -> Iterator[None]:
    """Make the disk full, or read-only, and then not any more."""
    if trouble == "full":
        fill(root / FILLER)
    if trouble == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", str(root)], check=True, timeout=20)
    try:
        yield
    finally:
        if trouble == "read-only":
            subprocess.run(["mount", "-o", "remount,rw", str(root)], check=True, timeout=20)
        (root / FILLER).unlink(missing_ok=True)


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while True:
            os.write(descriptor, b"x" * 4096)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    finally:
        os.close(descriptor)


def apply_as(bench: Bench, uid: int) -> list[str]:
    """Apply in a child, as another user if asked; give `ADDRESS result: message` of each change, or why there was no run at all."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        if uid:
            bench.state.mkdir(exist_ok=True)
            os.chown(bench.state, uid, uid)
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
        os.write(writing, json.dumps(describe(bench)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        data = stream.read()
    os.waitpid(child, 0)
    if uid:  # a state folder is one user's, whole
        for path in (bench.state, *bench.state.rglob("*")):
            os.chown(path, 0, 0, follow_symlinks=False)
    return json.loads(data)


def describe(bench: Bench) -> list[str]:
    """Apply; give what came of it in words."""
    try:
        report = bench.apply()
    except TrueupError as error:
        return [f"no run: {error.message}"]
    return [f"{item.address} {item.result}: {item.message}" for item in report.changes]


if __name__ == "__main__":
    main()
