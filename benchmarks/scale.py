"""Converge 1,000 to 20,000 files with the executor alone: seconds for each resource, and peak memory.

`python benchmarks/scale.py`. Time should be linear in resources: the columns in microseconds for each resource say whether it is.
Goals: at most 30 MB at 1,000 and 60 MB at 10,000. Whole processes, as in converge.py.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.converge import Timed, time_executor
from gitops.transport.local import executor_command, keep_executor
from gitops.transport.payload import build_payload

SIZES = (1000, 5000, 10_000, 20_000)


def main() -> None:
    """Run every size in turn, several rounds, and print the fastest of each."""
    options = argparse.ArgumentParser(description="time the executor on growing numbers of files")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    chosen = options.parse_args()
    found: dict[int, list[Timed]] = {size: [] for size in chosen.sizes}
    with tempfile.TemporaryDirectory(prefix="gitops-scale-") as folder:
        scratch = Path(folder)
        command = executor_command(keep_executor(build_payload(), scratch / "cache"))
        for number in range(chosen.rounds):
            for size in chosen.sizes:
                found[size].append(time_executor(size, scratch / f"{size}-{number}", command))
    print(" files  first s  each us  again s  each us  peak MB")
    for size, rounds in found.items():
        first, again = min(item.first for item in rounds), min(item.again for item in rounds)
        memory = max(item.memory for item in rounds)
        print(f"{size:>6} {first:>8.3f} {first / size * 1e6:>8.0f} {again:>8.3f} {again / size * 1e6:>8.0f} {memory:>8.1f}")


if __name__ == "__main__":
    main()
