"""Laws of `diff`: two revisions or a revision and the work tree, no host asked, the same whatever the order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import call
from tests.support.project import HOST, SMALL, Repository, write_files

CHANGED = HOST.replace("hello", "goodbye") + '      mode: "0600"\n'


@pytest.fixture
def project(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "project")


def test_the_same_config_is_exit_0(project: Repository) -> None:
    called = call("-C", project.path, "diff")
    assert (called.status, called.err) == (0, "")
    assert "The compiled config is the same." in called.out


def test_the_work_tree_is_compared_with_head(project: Repository) -> None:
    write_files(project.path, {"inventory/web.yaml": CHANGED})
    called = call("-C", project.path, "diff")
    assert called.status == 2
    assert "~ file:/etc/motd" in called.out
    assert "      -hello\n      +goodbye\n" in called.out
    assert "mode none → 0600" in called.out
    assert "1 × changed on 1 host" in called.out


def test_two_revisions_are_compared_and_their_order_matters(project: Repository) -> None:
    first = project.git("rev-parse", "HEAD")
    second = project.commit({"inventory/web.yaml": CHANGED})
    there, back = (call("-C", project.path, "diff", *pair, "--format", "json") for pair in ((first, second), (second, first)))
    assert there.status == back.status == 2
    assert there.json["schema"] == "gitops/diff/v1"
    assert (there.json["before"], there.json["after"]) == (first, second)
    (group,) = there.json["environments"][0]["groups"]
    (other,) = back.json["environments"][0]["groups"]
    assert group["changes"][0]["diff"] == ["@@ -1 +1 @@", "-hello", "+goodbye"]
    assert [(field["after"], field["before"]) for field in other["changes"][0]["fields"]] == [
        (field["before"], field["after"]) for field in group["changes"][0]["fields"]
    ]


def test_hosts_that_enter_and_leave_are_named(project: Repository) -> None:
    write_files(project.path, {"inventory/web.yaml": HOST.replace("web-1", "web-9")})
    called = call("-C", project.path, "diff", "--format", "json")
    (environment,) = called.json["environments"]
    assert (environment["entered"], environment["left"]) == (["web-9"], ["web-1"])
    assert [(group["hosts"], group["changes"][0]["change"]) for group in environment["groups"]] == [
        (["web-1"], "removed"),
        (["web-9"], "added"),
    ]
    only = call("-C", project.path, "diff", "--host", "web-9", "--format", "json").json["environments"][0]
    assert (only["entered"], only["left"], len(only["groups"])) == (["web-9"], [], 1)


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [(["a", "b", "c"], 1, "more than two"), (["nowhere"], 7, "no revision"), (["--host", "nobody"], 1, "no host matches")],
)
def test_mistakes_are_said(project: Repository, arguments: list[str], status: int, word: str) -> None:
    called = call("-C", project.path, "diff", *arguments)
    assert (called.status, called.out) == (status, "")
    assert word in called.err


def test_a_project_that_is_not_there_yet_is_a_mistake(tmp_path: Path) -> None:
    project = Repository.make(tmp_path / "p", {"README": "x"})
    write_files(project.path, SMALL)
    assert call("-C", project.path, "diff").status == 1


SELECTED = "hosts: {env: production}"
ROUTED = {
    "another address": ("inventory/web.yaml", "spec:\n", "spec:\n  address: 192.0.2.99\n  connection: ssh\n", "reached"),
    "another source": ("gitops.yaml", SELECTED, f"source: trunk\n      {SELECTED}", "source"),
    "another branch": ("gitops.yaml", SELECTED, f"release: release/elsewhere\n      {SELECTED}", "release"),
}


@pytest.mark.parametrize("name", list(ROUTED))
def test_another_way_and_other_rules_are_shown(project: Repository, name: str) -> None:
    path, before, after, field = ROUTED[name]
    text = (project.path / path).read_text(encoding="utf-8")
    assert before in text
    write_files(project.path, {path: text.replace(before, after, 1)})
    called = call("-C", project.path, "diff", "--format", "json")
    (group,) = called.json["environments"][0]["groups"]
    (change,) = group["changes"]
    assert (called.status, group["hosts"]) == (2, ["*"])
    assert (change["address"], change["change"]) == ("environment:production", "changed")
    assert [item["name"] for item in change["fields"]] == [field]
    shown = call("-C", project.path, "diff").out
    assert "~ environment:production" in shown
    assert f"{field} " in shown
    assert "Otherwise: the rules of production. No host's config changes." in shown
    assert call("-C", project.path, "diff", "--host", "web-1").status == 2
