"""Attacks of a proposer on what a plan shows: maps that look like what this program writes itself."""

from __future__ import annotations

from typing import Any

import pytest

from gitops.model.resource import Resource
from gitops.plan.declared import compare_declared, is_secret_moved
from tests.support.attacks import read_cases

CASES = read_cases(__file__, "maps")


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_map_of_people_is_shown_as_it_is_with_every_secret_in_it(case: dict[str, Any]) -> None:
    before, after = (Resource(case["kind"], "x", {case["attribute"]: case[side]}) for side in ("before", "after"))
    changes = {change.name: change for change in compare_declared(before, after)}
    shown = changes[case["attribute"]]
    assert shown.before != shown.after
    assert (changes["secret pw"].after if "secret" in case else "") == case.get("secret", "")


@pytest.mark.parametrize("case", read_cases(__file__, "secret-names"), ids=lambda case: case["name"])
def test_a_secret_that_moves_under_another_name_has_moved(case: dict[str, Any]) -> None:
    before, after = (
        Resource("command", "x", {"env": {f"V{key}": make_reference(name, key) for name, key in case[side].items()}})
        for side in ("before", "after")
    )
    assert is_secret_moved(compare_declared(before, after)) is case["is_high"]


def make_reference(name: str, key: str) -> Any:
    return {"parts": [{"secret": name, "from": "env", "key": key}]}
