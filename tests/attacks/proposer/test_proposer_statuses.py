"""A status that somebody else set under the service's name is set back at the next look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.attacks import read_cases
from tests.support.sides import GithubSide, make_side


@pytest.mark.parametrize("case", read_cases(__file__, "statuses"), ids=lambda case: case["name"])
def test_what_stands_is_what_the_service_says(case: dict[str, Any], tmp_path: Path) -> None:
    with make_side(tmp_path, "github") as side:
        assert isinstance(side, GithubSide)
        if case["approved"]:
            side.approve("bob")
        side.hear()
        head, count = side.github.head(side.pull), len(side.github.statuses)
        side.hear()
        assert len(side.github.statuses) == count
        side.github.mark(head, by="alice", **case["set"])
        side.hear()
        found = side.github.status_of(head, case["set"]["context"])
        assert (found["state"], case["stands"][1] in found["description"]) == (case["stands"][0], True), found
        assert found["target_url"] != "https://example.org/evil"
        assert len(side.github.statuses) == count + 1 + case["again"]
        side.hear()
        assert len(side.github.statuses) == count + 1 + case["again"]
