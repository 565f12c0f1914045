"""What a proposer brings past the review is not released with an approval that was given to something else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.sides import GithubSide, Side, make_side

CASES = [
    pytest.param(case, forge, id=f"{path.stem.removeprefix('past-')}-{forge}")
    for path in sorted(Path(__file__).parent.glob("past-*.json"))
    for case in [json.loads(path.read_text(encoding="utf-8"))]
    for forge in case["forges"]
]


def push_past_it(side: Side) -> None:
    side.push_directly()


def retarget(side: Side) -> None:
    assert isinstance(side, GithubSide)
    side.github.git("branch", "other", "main")
    side.pull.base = "other"
    side.merge()
    side.github.git("update-ref", "refs/heads/main", "refs/heads/other")


def push_again(side: Side) -> None:
    """Merge, take it out again before the service looks, and push the content once that state went through."""
    before = side.work.git("rev-parse", "main")
    side.merge()
    merged = side.work.git("ls-remote", str(side.bare), "refs/heads/main").split()[0]
    side.work.git("fetch", "-q", str(side.bare), "main")
    out = side.work.git("commit-tree", f"{before}^{{tree}}", "-p", merged, "-m", "out again")
    side.work.git("push", "-q", str(side.bare), f"{out}:refs/heads/main")
    side.hear()
    side.release()
    side.hear()
    assert [item.state for item in side.releases()] == []
    back = side.work.git("commit-tree", "change^{tree}", "-p", out, "-m", "in again")
    side.work.git("push", "-q", str(side.bare), f"{back}:refs/heads/main")


TRICKS: Mapping[str, Callable[[Side], None]] = {"push past it": push_past_it, "retarget": retarget, "push again": push_again}


@pytest.mark.parametrize(("case", "forge"), CASES)
def test_an_approval_is_spent_only_on_the_merge_it_was_given_to(tmp_path: Path, case: Mapping[str, Any], forge: str) -> None:
    with make_side(tmp_path, forge) as side:
        side.approve("bob")
        side.hear()
        assert side.states("bob") == [("counted", "")]
        TRICKS[case["trick"]](side)
        side.release()
        newest = side.releases()[0]
        assert newest.state == case["comes"]["state"], newest.reason
        assert case["comes"]["reason"] in newest.reason
        assert [state for state, _ in side.states("bob")] == [case["comes"]["approval"]]
