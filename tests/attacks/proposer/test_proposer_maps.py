"""Attacks of a proposer on what a plan shows: maps that look like what this program writes itself."""

from __future__ import annotations

from typing import Any

import pytest

from gitops.model.resource import Resource
from gitops.plan.declared import compare_declared
from tests.support.attacks import read_cases

CASES = read_cases(__file__, "maps")


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_map_of_people_is_shown_as_it_is_with_every_secret_in_it(case: dict[str, Any]) -> None:
    before, after = (Resource(case["kind"], "x", {case["attribute"]: case[side]}) for side in ("before", "after"))
    changes = {change.name: change for change in compare_declared(before, after)}
    shown = changes[case["attribute"]]
    assert shown.before != shown.after
    assert (changes["secret pw"].after if "secret" in case else "") == case.get("secret", "")
