"""What a reviewer took back is never spent: forge × way of taking back × moment, with real forges, real Git and real releases.

Moments: `at once` (the service hears yes and no together), `open` (it heard both), `unheard` (it hears of the merge alone), `held` (merged,
and another person's yes is still missing), `released` (too late: what was spent stays spent, and nothing breaks).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.sides import GithubSide, Side, make_side

CASES = [
    pytest.param(case, forge, moment, id=f"{path.stem.removeprefix('take-back-')}-{forge}-{moment.replace(' ', '-')}")
    for path in sorted(Path(__file__).parent.glob("take-back-*.json"))
    for case in [json.loads(path.read_text(encoding="utf-8"))]
    for forge in case["forges"]
    for moment in case["moments"]
]


@pytest.mark.parametrize(("case", "forge", "moment"), CASES)
def test_what_was_taken_back_is_not_spent(tmp_path: Path, case: Mapping[str, Any], forge: str, moment: str) -> None:
    with make_side(tmp_path, forge, required=2 if moment == "held" else 1) as side:
        approve(side, case["approved_by"])
        if moment == "at once":
            side.ways[case["way"]]()
            side.hear()
        elif moment != "unheard":
            side.hear()
        if moment == "unheard":
            side.hear()
            assert side.states("bob") == [("counted", "")]
            side.ways[case["way"]]()
        if moment == "open":
            assert side.states("bob") == [("counted", "")]
            side.ways[case["way"]]()
            side.hear()
        land(side, is_closed=case["way"] == "close", is_heard=moment != "unheard")
        check(side, case, moment)


def approve(side: Side, by: str) -> None:
    if by == "review" and isinstance(side, GithubSide):
        side.review("APPROVED")
    else:
        side.approve("bob")


def land(side: Side, *, is_closed: bool, is_heard: bool) -> None:
    """Bring the content to the target, and have the service look."""
    if is_closed:
        side.push_directly()
    else:
        side.merge()
    if is_heard:
        side.hear()
    side.release()


def check(side: Side, case: Mapping[str, Any], moment: str) -> None:
    if moment == "released":
        assert [(item.state, item.serial) for item in side.releases()] == [("released", 1)]
        side.ways[case["way"]]()
        side.hear()
        side.release()
        assert side.states("bob") == [("spent", "")]
        assert [(item.state, item.serial) for item in side.releases()] == [("released", 1)]
        return
    if moment == "held":
        assert [item.state for item in side.releases()] == ["held"]
        assert side.states("bob") == [("counted", "")]
        side.ways[case["way"]]()
        side.approve("dave")
        side.release()
        assert side.states("dave") == [("counted", "")]
    assert [item.state for item in side.releases()] == [case["comes"]["state"]]
    said = side.states("bob")
    # What was edited away before anybody looked was never said.
    assert said or (case["way"] == "edit" and moment == "at once")
    for state, reason in said:
        assert state in ("lost", "refused")
        assert case["comes"]["reason"] in reason
    # A new yes of somebody who may is enough, where the pull request is not over.
    if case["way"] != "close" and moment == "open":
        side.approve("dave")
        side.hear()
        assert [item.state for item in side.releases()] == ["released"]
