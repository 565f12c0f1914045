"""Converge 10, 100 and 1,000 files with the executor, beside CFEngine on the same work, in one run.

Run it as `python benchmarks/converge.py` (CFEngine: Debian package cfengine3; without it only our own numbers are shown). What is
timed is the whole process, from start to end: for us the executor on a compiled graph, journal on; for CFEngine `cf-agent` on a
policy of one file promise for each file, content and mode declared. The end state of both is compared before a number counts.
Every round has folders of its own, removed only at the end: ext4 is slow to create where it has just removed.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gitops.model.codec import encode_canonical
from gitops.model.resource import Resource
from gitops.model.wire import Request
from gitops.transport.local import executor_command, keep_executor
from gitops.transport.payload import build_payload

SIZES = (10, 100, 1000)
POLICY_HEAD = (
    'body common control { bundlesequence => { "main" }; }\nbody perms m(p) { mode => "$(p)"; }\nbundle agent main {\nfiles:\n'
)
# A process of its own, of 9 MB: the kernel counts the memory of who starts a program as that program's.
STOPWATCH = """
import os, sys, time
start = time.perf_counter()
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
_, status, used = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[2:], os.environ, file_actions=quiet), 0)
print(time.perf_counter() - start, os.waitstatus_to_exitcode(status), used.ru_maxrss)
"""


@dataclass(frozen=True)
class Timed:
    """Wall seconds of a first and of a second run, and the peak memory of the second in MB."""

    first: float
    again: float
    memory: float


def main() -> None:
    """Run all sizes and print one table."""
    options = argparse.ArgumentParser(description="time the executor beside CFEngine")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    options.add_argument("--python", default=sys.executable, help="the interpreter of the executor")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    peer = shutil.which("cf-agent")
    with tempfile.TemporaryDirectory(prefix="gitops-converge-") as folder:
        scratch = Path(folder)
        rows = [measure(size, chosen.rounds, scratch, peer=peer, python=chosen.python) for size in chosen.sizes]
    if chosen.json:
        print(json.dumps(rows, indent=2))
        return
    print("files  run     ours s  cfengine s  ratio   ours MB  cfengine MB")
    for row in rows:
        for run in ("first", "again"):
            print(
                f"{row['files']:>5}  {run:<6} {row['ours_' + run]:>7.3f} {row.get('peer_' + run, 0.0):>11.3f}"
                f" {row.get('ratio_' + run, 0.0):>6.2f} {row['ours_mb']:>9.1f} {row.get('peer_mb', 0.0):>12.1f}"
            )


def measure(size: int, rounds: int, scratch: Path, *, peer: str | None, python: str) -> dict[str, float]:
    """Time both on one size, turn by turn; give medians and ratios."""
    program = keep_executor(build_payload(), scratch / "cache", python)
    ours: list[Timed] = []
    theirs: list[Timed] = []
    for number in range(rounds):
        own = scratch / f"ours-{size}-{number}"
        ours.append(time_executor(size, own, executor_command(program, python)))
        if peer is not None:
            other = scratch / f"peer-{size}-{number}"
            theirs.append(time_cfengine(size, other, peer))
            compare(own, other, size)
    row = {
        "files": size,
        "ours_first": statistics.median(item.first for item in ours),
        "ours_again": statistics.median(item.again for item in ours),
        "ours_mb": statistics.median(item.memory for item in ours),
    }
    if theirs:
        row["peer_first"] = statistics.median(item.first for item in theirs)
        row["peer_again"] = statistics.median(item.again for item in theirs)
        row["peer_mb"] = statistics.median(item.memory for item in theirs)
        row["ratio_first"] = row["ours_first"] / row["peer_first"]
        row["ratio_again"] = row["ours_again"] / row["peer_again"]
    return row


def time_executor(size: int, folder: Path, command: list[str]) -> Timed:
    """Apply a compiled graph twice, as the agent does."""
    (folder / "etc").mkdir(parents=True)
    request_file = folder / "request.json"
    resources = functools.partial(list_files, size, folder)
    in_own_process(write_request, resources, folder / "state", request_file)
    first = time_process(command, request_file)
    again = time_process(command, request_file)
    return Timed(first[0], again[0], max(first[1], again[1]))


def list_files(size: int, folder: Path) -> tuple[Resource, ...]:
    """Give the resources of one size."""
    return tuple(
        Resource("file", f"{folder}/{name_of(number)}", {"content": content_of(number), "mode": "0644"}) for number in range(size)
    )


def write_request(resources: Callable[[], tuple[Resource, ...]], state: Path, path: Path) -> None:
    """Write what the executor reads."""
    request = Request("apply", "web-1", resources=resources(), state=str(state), baseline=None, lock_timeout=5)
    path.write_bytes(encode_canonical(request.to_json()))


def in_own_process(work: Callable[..., None], *arguments: object) -> None:
    """Do it in a process of its own, so that this one stays small."""
    child = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    child.start()
    child.join()
    if child.exitcode != 0:
        raise SystemExit("the request could not be written")


def time_cfengine(size: int, folder: Path, peer: str) -> Timed:
    """Run one policy twice; `-K` ignores CFEngine's own time locks, so that the second run really looks."""
    (folder / "etc").mkdir(parents=True)
    lines = [
        f'"{folder}/{name_of(number)}" create => "true", content => "{content_of(number)}", perms => m("0644");'
        for number in range(size)
    ]
    policy = folder / "policy.cf"
    policy.write_text(POLICY_HEAD + "\n".join(lines) + "\n}\n", encoding="utf-8")
    policy.chmod(0o600)
    command = [peer, "-K", "-f", str(policy)]
    first = time_process(command, None)
    again = time_process(command, None)
    return Timed(first[0], again[0], max(first[1], again[1]))


def time_process(command: list[str], stdin: Path | None) -> tuple[float, float]:
    """Give wall seconds and peak MB of one process; fail when it fails."""
    with (stdin or Path(os.devnull)).open("rb") as source:
        run = [sys.executable, "-I", "-S", "-c", STOPWATCH, str(shutil.which(command[0])), *command]
        done = subprocess.run(run, stdin=source, capture_output=True, text=True, check=True)
    spent, status, kilobytes = done.stdout.split()
    if int(status) != 0:
        raise SystemExit(f"{command[0]} ended with {status}: {done.stderr[-2000:]}")
    return float(spent), int(kilobytes) / 1024


def compare(own: Path, other: Path, size: int) -> None:
    """Fail when the two end states differ, or are not what was asked for."""
    for number in range(size):
        one, two = own / name_of(number), other / name_of(number)
        if one.read_text(encoding="utf-8") != content_of(number) or one.read_bytes() != two.read_bytes():
            raise SystemExit(f"{one} and {two} are not the same")
        if one.stat().st_mode != two.stat().st_mode:
            raise SystemExit(f"{one} and {two} have other modes")


def name_of(number: int) -> str:
    """Give a path below the round's folder."""
    return f"etc/file-{number:04}.conf"


def content_of(number: int) -> str:
    """Give some 300 bytes that differ in every file."""
    return f"# file {number}\\n" + "".join(f"option_{line} = value {number * line}; " for line in range(12))


if __name__ == "__main__":
    main()
