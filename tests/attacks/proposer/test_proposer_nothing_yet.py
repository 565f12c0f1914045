"""Where nothing judges yet, nothing is called a success."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.attacks import read_cases
from tests.support.loop import RULES
from tests.support.scene import make_scene

BARE = "apiVersion: gitops/v1\nkind: Project\nmetadata: {name: acme}\n"


@pytest.mark.parametrize("case", read_cases(__file__, "nothing-yet"), ids=lambda case: case["name"])
def test_nothing_to_plan_by_is_no_success(case: dict[str, Any], tmp_path: Path) -> None:
    with make_scene(tmp_path, BARE) as scene:
        scene.work.git("push", "-q", str(scene.fake.bare), "main:refs/heads/other")
        head = scene.push("hello", files={"gitops.yaml": RULES} if case["adds"] else None)
        scene.fake.pulls["1"] = replace(scene.fake.pulls["1"], branch=case["branch"])
        scene.touch()
        for name in ("plan", "approval"):
            found = scene.fake.status(head, f"gitops/{name}")
            assert found is not None
            assert (found.state, case[name][1] in found.description) == (case[name][0], True), found
        assert case["says"] in scene.fake.posted[0].body
