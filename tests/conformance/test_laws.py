"""Laws that every kind obeys that works below `--root`, shown on all its cases: order-free, undone, nothing leaks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gitops.model.resource import Resource
from tests.providers.test_cases import CASES
from tests.support.rooted import Rooted

every_case = pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")


def open_case(path: Path, folder: Path) -> tuple[Rooted, list[Resource], dict[str, Any]]:
    case: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    machine = Rooted(folder)
    machine.make_tree(case["before"])
    return machine, [Resource.from_json(item) for item in case["resources"]], case


@every_case
def test_the_order_of_the_resources_never_matters(path: Path, tmp_path: Path) -> None:
    found: list[tuple[Any, Any]] = []
    for turn in (1, -1):
        machine, resources, case = open_case(path, tmp_path / str(turn))
        plan = machine.plan(*resources[::turn], secrets=case.get("secrets", {}))
        machine.apply(*resources[::turn], secrets=case.get("secrets", {}))
        found.append(([change.to_json() for change in plan.changes], machine.tree()))
    assert found[0] == found[1]


@every_case
def test_what_was_observed_changed_nothing_not_even_times(path: Path, tmp_path: Path) -> None:
    machine, resources, case = open_case(path, tmp_path)
    before = machine.tree(is_exact=True)
    machine.observe(*resources, secrets=case.get("secrets", {}))
    machine.plan(*resources, secrets=case.get("secrets", {}))
    assert machine.tree(is_exact=True) == before
    assert not machine.state.exists()


@every_case
def test_undo_restores_what_was(path: Path, tmp_path: Path) -> None:
    machine, resources, case = open_case(path, tmp_path)
    before = machine.tree()
    report = machine.apply(*resources, secrets=case.get("secrets", {}))
    after = machine.tree()
    if report.result == "converged":
        assert after == before
        return
    is_able = all(item["undoable"] for item in machine.undo_plan(report.run))
    undone = machine.rollback(report.run)
    if is_able:
        assert machine.tree() == before
        if undone.changes and all(item["undoable"] for item in machine.undo_plan(undone.run)):
            machine.rollback(undone.run)
            assert machine.tree() == after
    else:
        assert undone.result == "failed"


@every_case
def test_a_secret_is_found_nowhere_but_in_its_place(path: Path, tmp_path: Path) -> None:
    machine, resources, case = open_case(path, tmp_path)
    secrets = case.get("secrets", {})
    said: list[str] = []
    for operation in ("observe", "plan", "apply", "apply"):
        machine.send(machine.request(operation, tuple(resources), secrets=secrets))
        said.extend(json.dumps(event.to_json()) for event in machine.events)
    kept = [item.read_bytes().decode("utf-8", "replace") for item in machine.state.rglob("*") if item.is_file()]
    assert [value for value in secrets.values() if any(value in text for text in (*said, *kept))] == []
