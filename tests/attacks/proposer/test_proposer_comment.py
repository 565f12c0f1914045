"""What reviewers read is what they bind: a plan's comment that somebody else changed gives no approval."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.attacks import read_cases
from tests.support.github.standin import BOT, Comment
from tests.support.sides import GithubSide, make_side
from webhooks.hooks.hints import read_hints
from webhooks.store.pulls import find_pull, save_pull

REPOSITORY = "acme/infra"
FAKE = "<!-- trueup:plan -->\n\nNothing changes.\n"


class Mallory:
    """Edits what others wrote, and can put it back."""

    def __init__(self, side: GithubSide) -> None:
        self.side, self.stood = side, ""

    def edit(self) -> None:
        ours = self._ours()
        self.stood = ours.body
        self.side.github.edit(ours, FAKE + ours.body[ours.body.index("/gitops approve") :])

    def restore(self) -> None:
        self.side.github.edit(self._ours(), self.stood)

    def delete(self) -> None:
        self.side.github.comments.pop(self._ours().ident)

    def upgrade(self) -> None:
        with self.side.parts.store.write() as connection:
            pull = find_pull(connection, self.side.key)
            assert pull is not None
            save_pull(connection, replace(pull, comment_at=None))

    def tell(self, sender: str) -> None:
        """Deliver what a forge says of an edit, and have the service look."""
        payload = self.side.github.payload("issue_comment.edited", self.side.pull, self._ours())
        payload["sender"]["login"] = sender
        for work in read_hints("issue_comment", payload, {REPOSITORY}, "delivery"):
            self.side.do(work)

    def do(self, step: str) -> None:
        {
            "edit": self.edit,
            "restore": self.restore,
            "unseen": lambda: None,
            "told": lambda: self.tell("mallory"),
            "upgrade": self.upgrade,
            "own": lambda: self.tell(BOT),
            "delete": self.delete,
            "hear": self.side.hear,
            "approve": lambda: self.side.approve("bob"),
            "merge": self.side.merge,
            "release": self.side.release,
        }[step]()

    def _ours(self) -> Comment:
        (ours,) = self.side.github.ours(self.side.pull)
        return ours


@pytest.mark.parametrize("case", read_cases(__file__, "comment"), ids=lambda case: case["name"])
def test_a_yes_to_a_comment_that_was_changed_is_none(case: dict[str, Any], tmp_path: Path) -> None:
    with make_side(tmp_path, "github") as side:
        assert isinstance(side, GithubSide)
        (before,) = side.github.ours(side.pull)
        said = before.body
        mallory = Mallory(side)
        for step in case["steps"]:
            mallory.do(step)
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
        mallory = Mallory(side)
        for step in ("edit", "approve", "hear", "approve", "hear"):
            mallory.do(step)
        assert [state for state, _ in side.states("bob")] == ["refused", "counted"]
        mallory.do("merge")
        side.hear()
        assert [item.state for item in side.releases()] == ["released"]
