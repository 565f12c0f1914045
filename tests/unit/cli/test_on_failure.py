"""`on_failure` from a module's document to the exit status, and `--prune` as a person calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import Called, call
from tests.support.project import PROJECT, write_files

HOST = "apiVersion: gitops/v1\nkind: Host\nmetadata: {name: web-1, labels: {env: production}}\nspec:\n  modules: [m]\n"
MODULE = """\
apiVersion: gitops/v1
kind: Module
metadata: {name: m}
spec:
  on_failure: POLICY
  resources:
    - {file: /a, content: new}
    - {file: /b, content: bad, validate: ["false"]}
    - {symlink: /c, target: x}
"""


def apply(folder: Path, *arguments: str, verb: str = "apply", yes: bool = True) -> Called:
    (folder / "root").mkdir(exist_ok=True)
    where = ("--local", "--host", "web-1", "--root", folder / "root", "--state", folder / "state", "--format", "json")
    return call("-C", folder / "project", verb, *where, *(("--yes",) if yes else ()), *arguments)


@pytest.mark.parametrize(
    ("policy", "status", "result", "left"),
    [("continue", 4, "failed", ["a", "c"]), ("stop", 4, "failed", ["a"]), ("revert", 5, "reverted", [])],
)
def test_a_module_says_how_a_failure_ends(tmp_path: Path, policy: str, status: int, result: str, left: list[str]) -> None:
    files = {"gitops.yaml": PROJECT, "h.yaml": HOST, "modules/m/module.yaml": MODULE.replace("POLICY", policy)}
    write_files(tmp_path / "project", files)
    done = apply(tmp_path)
    assert (done.status, done.json["reports"][0]["result"]) == (status, result), done.err
    assert sorted(path.name for path in (tmp_path / "root").iterdir()) == left


def test_another_word_is_a_mistake(tmp_path: Path) -> None:
    write_files(tmp_path, {"gitops.yaml": PROJECT, "h.yaml": HOST, "modules/m/module.yaml": MODULE.replace("POLICY", "undo")})
    found = call("-C", tmp_path, "validate", "--format", "json")
    assert [(item["code"], item["line"]) for item in found.json["diagnostics"]] == [("C105", 5)]


def test_only_the_module_that_says_so_has_other_digests(tmp_path: Path) -> None:
    module = MODULE.replace("POLICY", "revert")
    for name, text in (
        ("a", module),
        ("b", module.replace("  on_failure: revert\n", "")),
        ("c", module.replace("revert", "continue")),
    ):
        write_files(tmp_path / name, {"gitops.yaml": PROJECT, "h.yaml": HOST, "modules/m/module.yaml": text})
    blocks = {name: call("-C", tmp_path / name, "compile", "--format", "json").json["blocks"] for name in "abc"}
    assert blocks["b"] == blocks["c"] != blocks["a"]


def test_what_left_the_config_is_listed_and_pruned_by_name(tmp_path: Path) -> None:
    host = HOST.replace("modules: [m]", "resources: [{file: /a, content: x}, {file: /z, content: x}]")
    write_files(tmp_path / "project", {"gitops.yaml": PROJECT, "h.yaml": host})
    assert apply(tmp_path).status == 0
    write_files(tmp_path / "project", {"h.yaml": host.replace("{file: /a, content: x}, ", "")})
    assert apply(tmp_path, verb="plan", yes=False).json["unmanaged"] == ["file:/a"]
    planned = apply(tmp_path, "--prune", "file:/a", verb="plan", yes=False)
    assert (planned.status, planned.json["changes"][0]["action"]) == (2, "remove")
    assert apply(tmp_path, "--prune", "file:/z").status == 1
    assert apply(tmp_path, "--prune", "file:/a").status == 0
    assert sorted(path.name for path in (tmp_path / "root").iterdir()) == ["z"]


def test_a_fleet_plan_prunes_nothing(tmp_path: Path) -> None:
    write_files(tmp_path, {"gitops.yaml": PROJECT, "h.yaml": HOST.replace("[m]", "[]")})
    assert call("-C", tmp_path, "plan", "--prune", "file:/a").status == 1
