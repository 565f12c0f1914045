"""What reviewers read is what they bind: a plan's comment that somebody else changed gives no approval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.attacks import read_cases
from tests.support.sides import GithubSide, make_side

FAKE = "<!-- trueup:plan -->\n\nNothing changes.\n"


def do(side: GithubSide, step: str) -> None:
    def edit() -> None:
        (ours,) = side.github.ours(side.pull)
        side.github.edit(ours, FAKE + ours.body[ours.body.index("/gitops approve") :])

    def delete() -> None:
        (ours,) = side.github.ours(side.pull)
        side.github.comments.pop(ours.ident)

    {
        "edit": edit,
        "delete": delete,
        "hear": side.hear,
        "approve": lambda: side.approve("bob"),
        "merge": side.merge,
        "release": side.release,
    }[step]()


@pytest.mark.parametrize("case", read_cases(__file__, "comment"), ids=lambda case: case["name"])
def test_a_yes_to_a_comment_that_was_changed_is_none(case: dict[str, Any], tmp_path: Path) -> None:
    with make_side(tmp_path, "github") as side:
        assert isinstance(side, GithubSide)
        (before,) = side.github.ours(side.pull)
        said = before.body
        for step in case["steps"]:
            do(side, step)
        assert len(side.states("bob")) == (case["bob"] is not None)
        for state, reason in side.states("bob"):
            assert (state, case["bob"][1] in reason) == (case["bob"][0], True), reason
        if case.get("shown"):
            (ours,) = side.github.ours(side.pull)
            assert said.partition("Approvals")[0] == ours.body.partition("Approvals")[0]
        assert [(item.state, case["held"] in item.reason) for item in side.releases()] == [("held", True)] * ("held" in case)


def test_after_it_was_written_again_it_can_be_approved_anew(tmp_path: Path) -> None:
    with make_side(tmp_path, "github") as side:
        assert isinstance(side, GithubSide)
        for step in ("edit", "approve", "hear", "approve", "hear"):
            do(side, step)
        assert [state for state, _ in side.states("bob")] == ["refused", "counted"]
        do(side, "merge")
        side.hear()
        assert [item.state for item in side.releases()] == ["released"]
