"""Nobody's comment becomes a yes by somebody else's edit, not even within the second in which it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.attacks import read_cases
from tests.support.fakeforge import REPOSITORY
from tests.support.scene import make_scene
from webhooks.hooks.hints import read_hints


@pytest.mark.parametrize("case", read_cases(__file__, "edited"), ids=lambda case: case["name"])
def test_a_webhook_that_tells_of_an_edit_takes_the_yes_away(case: dict[str, Any], tmp_path: Path) -> None:
    with make_scene(tmp_path) as scene:
        scene.push("hello")
        scene.touch()
        said = scene.fake.say("bob", f"/gitops approve {scene.digest()}")
        for number, action in enumerate(case["told"]):
            payload = {
                "action": action,
                "repository": {"full_name": REPOSITORY},
                "issue": {"number": 1, "pull_request": {"url": "https://example.org/1"}},
                "comment": {"id": int(said.reference.partition(":")[2])},
            }
            (work,) = read_hints("issue_comment", payload, {REPOSITORY}, f"delivery-{number}")
            scene.do(work)
        (found,) = scene.approvals()
        assert (found.state, case["bob"][1] in found.reason) == (case["bob"][0], True), found.reason
