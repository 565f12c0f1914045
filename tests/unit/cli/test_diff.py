"""Laws of `diff`: two revisions or a revision and the work tree, no host asked, the same whatever the order."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.model.graph import Graphs, HostGraph
from gitops.model.resource import Resource
from gitops.plan.graphdiff import diff_graphs
from tests.support.cli import call
from tests.support.nouns import projects
from tests.support.planning import declare
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


def test_secrets_and_sensitive_content_are_named_and_never_shown() -> None:
    def graphs(*resources: Resource) -> Graphs:
        return Graphs("e", {"h": HostGraph("h", "e", (), resources)})

    ref = {"parts": ["pw = ", {"secret": "pw", "from": "env", "key": "PW"}]}
    old = graphs(
        declare("file:/key", {"content": "old key", "sensitive": True}), declare("command:x", {"argv": ["x"], "env": {"A": "1"}})
    )
    new = graphs(
        declare("file:/key", {"content": "new key", "sensitive": True}),
        declare("file:/pw", {"content": ref, "sensitive": True}),
        declare("command:x", {"argv": ["x"], "env": {"A": ref}}),
    )
    text = str(diff_graphs(old, new).to_json())
    assert "old key" not in text
    assert "new key" not in text
    assert "pw = ${secret.pw}" in text
    assert "the content is sensitive and not shown" in text


def test_contents_kept_apart_are_compared() -> None:
    def graphs(digest: str, data: bytes) -> Graphs:
        resource = declare("file:/x", {"content": {"blob": digest, "size": len(data)}})
        return Graphs("e", {"h": HostGraph("h", "e", (), (resource,))}, {}, {digest: data})

    (group,) = diff_graphs(graphs("ab" * 32, b"a\n"), graphs("cd" * 32, b"b\n")).groups
    assert group.changes[0].diff == ("@@ -1 +1 @@", "-a", "+b")
    assert group.changes[0].fields[0].before == {"digest": "ab" * 32, "size": 2}


@given(st.lists(projects(), min_size=1, max_size=3), st.lists(projects(), min_size=1, max_size=3))
def test_a_diff_is_empty_exactly_when_both_want_the_same(
    first: list[tuple[Resource, ...]], second: list[tuple[Resource, ...]]
) -> None:
    old, new = (
        Graphs("e", {f"h{n}": HostGraph(f"h{n}", "e", (), found) for n, found in enumerate(side)}) for side in (first, second)
    )
    assert diff_graphs(old, old).is_empty
    made, back = diff_graphs(old, new), diff_graphs(new, old)
    same = {host: {item.desired for item in graph.resources} for host, graph in old.hosts.items()} == {
        host: {item.desired for item in graph.resources} for host, graph in new.hosts.items()
    }
    assert made.is_empty == same
    assert (made.entered, made.left) == (back.left, back.entered)
    hosts = [host for group in made.groups for host in group.hosts]
    assert len(hosts) == len(set(hosts))
    count = {
        name: sum(len(g.hosts) for g in made.groups for c in g.changes if c.change == name)
        for name in ("added", "removed", "changed")
    }
    other = {
        name: sum(len(g.hosts) for g in back.groups for c in g.changes if c.change == name)
        for name in ("added", "removed", "changed")
    }
    assert (count["added"], count["removed"], count["changed"]) == (other["removed"], other["added"], other["changed"])


def test_a_project_that_is_not_there_yet_is_a_mistake(tmp_path: Path) -> None:
    project = Repository.make(tmp_path / "p", {"README": "x"})
    write_files(project.path, SMALL)
    assert call("-C", project.path, "diff").status == 1
