"""Every case of a kind that honours `--root`: what was there → the plan → what is there → a second plan.

A case is a JSON file in the kind's folder: `before` and `after` are whole trees (`{file, mode}`, `{directory: mode}`, `{symlink: target}`),
`plan` the changes in order; of a change only what the case names is compared (`reason` must contain it, `fields` by name before).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gitops.model.plan import Change
from gitops.model.resource import Resource
from gitops.providers.registry import PROVIDERS
from tests.support.rooted import Rooted

FOLDER = Path(__file__).parent
KINDS = sorted(kind for kind, provider in PROVIDERS.items() if provider.honours_root)
CASES = sorted(path for kind in KINDS for path in (FOLDER / kind).glob("*.json"))


def read_tree(machine: Rooted) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for path in machine.tree():
        real = machine.root / path[1:]
        if real.is_symlink():
            found[path] = {"symlink": machine.target(path)}
        elif real.is_dir():
            found[path] = {"directory": machine.mode(path)}
        else:
            found[path] = {"file": real.read_text(encoding="utf-8"), "mode": machine.mode(path)}
    return found


def check_change(expected: dict[str, Any], change: Change) -> None:
    found = change.to_json()
    for key, value in expected.items():
        if key == "reason":
            assert value in change.reason
        elif key == "fields":
            before = {item.name: item.before for item in change.fields}
            assert {name: before[name] for name in value} == value
        else:
            assert found[key] == value


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_case(path: Path, tmp_path: Path) -> None:
    case: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    machine = Rooted(tmp_path)
    machine.make_tree(case["before"])
    resources = [Resource.from_json(item) for item in case["resources"]]
    secrets = case.get("secrets", {})
    before = machine.tree(is_exact=True)
    plan = machine.plan(*resources, secrets=secrets)
    assert machine.tree(is_exact=True) == before
    assert [change.address for change in plan.changes] == [item["address"] for item in case["plan"]]
    for expected, change in zip(case["plan"], plan.changes, strict=True):
        check_change(expected, change)
    assert machine.apply(*resources, secrets=secrets).result == case["result"]
    assert read_tree(machine) == case["after"]
    settled, after = machine.tree(is_exact=True), machine.tree()
    again = machine.apply(*resources, secrets=secrets)
    assert again.result == case["again"]
    assert machine.tree() == after
    if case["again"] == "converged":
        assert machine.tree(is_exact=True) == settled


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_that_honours_the_root_has_cases(kind: str) -> None:
    assert len(list((FOLDER / kind).glob("*.json"))) >= 5
