"""From a tree before and after to graphs, plan, text and comment: what was once looked at and found good stays as it is.

`pytest tests/golden --update-golden` writes the files anew; look at the difference before you commit it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gitops.model.codec import decode_json
from gitops.model.fleetplan import PlanSubject
from gitops.model.graph import Graphs
from gitops.pipeline.project import build_tree
from gitops.plan.fleet import FleetInputs, plan_fleet
from gitops.providers.registry import PROVIDERS
from gitops.release.tree import layout_graphs
from gitops.render.comment import Approvals, CommentSubject, Section, render_comment
from gitops.render.text import render_fleet_plan
from gitops.source.snapshot import snapshot_folder

HERE = Path(__file__).parent
CASES = sorted(path.name for path in HERE.iterdir() if (path / "after").is_dir())
NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


def compile_side(folder: Path) -> Graphs:
    return build_tree(snapshot_folder(folder)).compiled.graphs["production"]


def show_graphs(graphs: Graphs) -> str:
    files = layout_graphs(graphs).files
    return (
        json.dumps({path: decode_json(data) for path, data in files.items()}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    )


def make_outputs(case: str) -> dict[str, str]:
    released, desired = compile_side(HERE / case / "before"), compile_side(HERE / case / "after")
    subject = PlanSubject("golden", "production", pull="7", base="a" * 40, head="b" * 40, target="c" * 40)
    plan = plan_fleet(subject, FleetInputs(desired, released, {}), providers=PROVIDERS)
    about = CommentSubject(head="b" * 40, target="c" * 40, target_branch="main")
    return {
        "graphs.json": show_graphs(desired),
        "plan.json": json.dumps(plan.to_json(), indent=1, sort_keys=True, ensure_ascii=False) + "\n",
        "plan.txt": render_fleet_plan(plan, now=NOW),
        "comment.md": render_comment(about, [Section(plan, Approvals(required=1))], now=NOW),
    }


@pytest.mark.parametrize("case", CASES)
def test_outputs_stay_as_they_were_found_good(case: str, request: pytest.FixtureRequest) -> None:
    made = make_outputs(case)
    if request.config.getoption("--update-golden"):
        for name, text in made.items():
            (HERE / case / name).write_text(text, encoding="utf-8")
    kept = {name: (HERE / case / name).read_text(encoding="utf-8") for name in made}
    assert made == kept
