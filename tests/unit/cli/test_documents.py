"""Every document that these verbs print is what its published JSON Schema says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.support.cli import call
from tests.support.project import HOST, Repository, write_files

SCHEMAS = Path(__file__).parents[3] / "schemas" / "json"


@pytest.mark.parametrize(
    ("arguments", "schema"),
    [
        (["plan"], "plan"),
        (["plan", "--base", "HEAD"], "plan"),
        (["plan", "--local", "--host", "web-1", "--root", "ROOT"], "host-plan"),
        (["diff"], "diff"),
        (["diff", "HEAD", "HEAD"], "diff"),
        (["explain", "web-1"], "explanation"),
        (["explain", "web-1", "file:/etc/motd"], "explanation"),
        (["compile"], "compiled"),
        (["validate"], "diagnostics"),
    ],
)
def test_what_is_printed_is_as_published(tmp_path: Path, arguments: list[str], schema: str) -> None:
    project = Repository.make(tmp_path / "project")
    write_files(project.path, {"inventory/web.yaml": HOST + "    - directory: /srv\n      needs: [file:/etc/motd]\n"})
    (tmp_path / "root").mkdir()
    words = [str(tmp_path / "root") if word == "ROOT" else word for word in arguments]
    called = call("-C", project.path, *words, "--format", "json")
    assert called.status in (0, 2), called.err
    found = json.loads((SCHEMAS / f"{schema}.json").read_text())
    assert [error.message for error in Draft202012Validator(found).iter_errors(called.json)] == []
