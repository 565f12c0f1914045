"""Kill a run of every kind at every step: run as `python -m tests.conformance.kills FOLDER [KIND…]`, prints one JSON line a scenario.

A step is a change of the disk while the plan is being applied, or the moment before or after a program (what comes before and after that
is the same for all kinds, and `crash.py` kills there too). After each kill, on one machine the next run is made, on another
with the same kill the run that was cut off is undone. What a program does is its own: it is not cut in two.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gitops.conformance.laws import Bench, Tree
from gitops.conformance.scenarios import SCENARIOS, Scenario
from gitops.conformance.simulated import SimulatedHost
from gitops.executor.apply import Application
from tests.conformance.crash import STEPS, WRITING

KILL = 9
FLUSH = "fsync"  # changes nothing that a killed process could leave: the kernel goes on


class Fuse:
    """Counts steps, and kills this process before the one that it was set to."""

    def __init__(self, number: int) -> None:
        self._left = number
        self._is_paused = True

    def burn(self) -> None:
        """Count one step."""
        if not self._is_paused:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), KILL)

    def arm(self) -> None:
        """Replace what changes the disk and what runs programs, in this process."""
        for name in sorted({*STEPS} - {FLUSH}):
            setattr(os, name, self._count(name, getattr(os, name)))
        setattr(Application, "run", self._watch(Application.run))  # noqa: B010  same
        setattr(SimulatedHost, "run", self._count_program(SimulatedHost.run))  # noqa: B010  pyright would not let a method go

    def _watch(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **named: Any) -> Any:
            self._is_paused = False
            try:
                return real(*arguments, **named)
            finally:
                self._is_paused = True

        return watched

    def _count(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            if name != "open" or arguments[1] & WRITING:
                self.burn()
            return real(*arguments, **named)

        return counted

    def _count_program(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            self.burn()
            was_paused, self._is_paused = self._is_paused, True
            try:
                return real(*arguments, **named)
            finally:
                self._is_paused = was_paused
                self.burn()

        return counted


def main() -> None:
    """Go through all scenarios of the kinds that are named, or of all."""
    folder = Path(sys.argv[1])
    for kind in sys.argv[2:] or SCENARIOS:
        for number, scenario in enumerate(SCENARIOS[kind]):
            said = {"kind": kind, "scenario": scenario.name, **kill_everywhere(scenario, folder / f"{kind}-{number}")}
            sys.stdout.write(json.dumps(said) + "\n")
            sys.stdout.flush()


def kill_everywhere(scenario: Scenario, folder: Path) -> dict[str, Any]:
    """Give how many steps there were and what was found wrong after a kill."""
    clean = Bench(scenario, folder / "clean")
    before = clean.tree()
    report = clean.apply()
    wanted = clean.tree()
    may_undo = report.result == "changed" and clean.may_undo(report.run)
    clean.close()
    wrong: list[str] = []
    number, is_killed = 0, True
    while is_killed:
        number += 1
        benches = [Bench(scenario, folder / f"{number}-{turn}") for turn in range(2 if may_undo else 1)]
        died = [apply_and_die(bench, number) for bench in benches]
        is_killed = all(died)
        wrong.extend(f"{number}: {words}" for words in go_on(benches[0], wanted))
        if is_killed and len(benches) > 1:
            wrong.extend(f"{number}: {words}" for words in undo(benches[1], before))
        for bench in benches:
            bench.close()
    return {"steps": number - 1, "wrong": wrong}


def apply_and_die(bench: Bench, number: int) -> bool:
    """Fork; say whether the child was killed before it ended."""
    child = os.fork()
    if child == 0:
        Fuse(number).arm()
        bench.apply()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def go_on(bench: Bench, wanted: Tree) -> list[str]:
    """Make the next run; say what is not as if nothing had happened."""
    report = bench.apply()
    found = [] if report.result in ("changed", "converged") else [f"the next run {report.result}"]
    after = bench.tree()
    changed = sorted(path for path in {*wanted, *after} if wanted.get(path) != after.get(path))
    again = bench.apply().result
    return [
        *found,
        *([f"differs: {changed}"] if changed else []),
        *([f"the run after it {again}"] if again != "converged" else []),
    ]


def undo(bench: Bench, before: Tree) -> list[str]:
    """Undo the run that was cut off, if it had begun anything; say what is not as it was."""
    folders = [path.parent for path in bench.state.rglob("journal.jsonl")]
    has_begun = folders and (folders[0] / "journal.jsonl").stat().st_size > 0
    if has_begun:
        bench.roll_back(folders[0].name)
    after = {path: value for path, value in bench.tree().items() if path not in bench.leaves}
    changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    return [f"the undo left {changed}"] if changed else []


if __name__ == "__main__":
    main()
