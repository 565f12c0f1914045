"""Every built-in kind obeys every law, with every scenario of `gitops.conformance.scenarios`; the numbers are those of the docs."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.conformance.laws import IDEMPOTENCY, LAWS, Bench, count_predictions, judge_kind
from gitops.conformance.scenarios import SCENARIOS
from gitops.conformance.verdict import Verdict
from gitops.providers.registry import KINDS
from scripts.reference import KILLED, PREDICTIONS, SIMULATED, TROUBLED
from tests.conformance.storage import NOT_ON_SMALL_DISKS
from tests.support.results import Counts, check_results
from tests.support.rooted import quick_folder

ROOT = Path(__file__).parents[2]
TROUBLES = 3
LEAST_STEPS = 3  # the journal, before a program, after it
NOTHING_CAN_BE_HALF_DONE = ("changed", "skipped")

pytestmark = pytest.mark.xdist_group("laws")  # they share what was run

every_kind = pytest.mark.parametrize("kind", sorted(SCENARIOS))


@functools.cache
def judge(kind: str) -> tuple[Verdict, ...]:
    with tempfile.TemporaryDirectory() as folder:
        return tuple(judge_kind(kind, Path(folder)))


@functools.cache
def kill() -> dict[str, list[dict[str, object]]]:
    with quick_folder(Path(tempfile.gettempdir())) as folder:
        return run_program([sys.executable, "-m", "tests.conformance.kills", str(folder)])


@functools.cache
def trouble() -> dict[str, list[dict[str, object]]]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # somebody else looks into it
        return run_program(["unshare", "--mount", sys.executable, "-m", "tests.conformance.storage", folder])


def run_program(argv: list[str]) -> dict[str, list[dict[str, object]]]:
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    rows: dict[str, list[dict[str, object]]] = {}
    for line in done.stdout.splitlines():
        row = json.loads(line)
        rows.setdefault(row["kind"], []).append(row)
    return rows


def test_every_kind_has_scenarios() -> None:
    missing = sorted(set(KINDS) - set(SCENARIOS))
    assert missing == [], (
        f"no law is tried for {', '.join(missing)}: add a row to gitops/conformance/scenarios.py (its head says how)"
    )
    assert sorted(set(SCENARIOS) - set(KINDS)) == []


@every_kind
def test_every_law_holds(kind: str) -> None:
    verdicts = judge(kind)
    assert [(item.case, item.law, item.reason) for item in verdicts if item.reason] == []
    assert len(verdicts) == len(LAWS) * len(SCENARIOS[kind])


# What goes down cannot go on: a real machine is rebooted in the middle of a run by tests/hosts/test_agent_reboot.py.
NOT_SIMULATED = ("reboot",)


@every_kind
def test_killed_at_any_step_the_next_run_recovers_and_an_undo_restores(kind: str) -> None:
    rows = kill()[kind]
    assert len(rows) == len(SCENARIOS[kind])
    assert [(row["scenario"], row["wrong"]) for row in rows if row["wrong"]] == []
    assert max(steps_of(row) for row in rows) >= LEAST_STEPS or kind in NOT_SIMULATED


@every_kind
def test_a_disk_in_trouble_is_a_clear_failure_and_nothing_is_half_done(kind: str) -> None:
    rows = trouble()[kind]
    assert len(rows) == TROUBLES * sum(1 for scenario in SCENARIOS[kind] if scenario.name not in NOT_ON_SMALL_DISKS)
    assert [row for row in rows if list(find_mischief(row))] == []


def find_mischief(row: dict[str, object]) -> Iterator[str]:
    if row["half"] or row["differs"]:
        yield "a path is neither as it was nor as wanted"
    if row["after"] not in ("changed", "converged"):
        yield "the next run does not go on"
    for words in texts(row["reasons"]):
        outcome, _, message = words.partition(": ")
        if not outcome.endswith(NOTHING_CAN_BE_HALF_DONE) and (not message or message.rpartition(" ")[2].isdigit()):
            yield f"{outcome} for no reason that means anything"
    if row["trouble"] == "read-only" and row["moved"]:
        yield "a read-only disk changed"


def texts(value: object) -> list[str]:
    assert isinstance(value, list)
    return [str(item) for item in value]


def steps_of(row: dict[str, object]) -> int:
    assert isinstance(row["steps"], int)
    return row["steps"]


def test_the_numbers_are_those_of_the_docs(request: pytest.FixtureRequest) -> None:
    check_results(SIMULATED, {kind: count(kind) for kind in SCENARIOS}, request.config)


def count(kind: str) -> Counts:
    held = Counter(item.law for item in judge(kind) if not item.reason)
    tried = Counter(item.law for item in judge(kind))
    counts: Counts = {law: [held[law], tried[law]] for law in tried}
    counts[PREDICTIONS] = predict(kind)
    counts[KILLED] = [sum(1 for row in kill()[kind] if not row["wrong"]), len(kill()[kind])]
    counts[TROUBLED] = [sum(1 for row in trouble()[kind] if not list(find_mischief(row))), len(trouble()[kind])]
    assert counts[IDEMPOTENCY][1] == len(SCENARIOS[kind])
    return counts


def predict(kind: str) -> list[int]:
    right = of_all = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, scenario in enumerate(SCENARIOS[kind]):
            bench = Bench(scenario, Path(folder, str(number)))
            found = count_predictions(bench)
            bench.close()
            right, of_all = right + found[0], of_all + found[1]
    return [right, of_all]


def test_nothing_is_left_mounted() -> None:
    trouble()
    assert [line for line in Path("/proc/self/mounts").read_text().splitlines() if "-read-only/root" in line] == []
