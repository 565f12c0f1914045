"""Laws of differences between graphs: complete, symmetric, the same in any order, without secrets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gitops.model.facts import FactProgram
from gitops.model.graph import Graphs, HostGraph
from gitops.model.resource import Resource
from gitops.plan.graphdiff import diff_graphs
from tests.support.nouns import projects
from tests.support.planning import declare


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


def test_a_changed_program_of_a_custom_fact_is_shown_by_its_digest() -> None:
    def graphs(digest: str) -> Graphs:
        facts = {"custom.rack": FactProgram(digest, 9)}
        resource = declare("file:/x", {"content": "x"}, when={"custom.rack": ("r1",)}, facts=facts)
        return Graphs("e", {"h": HostGraph("h", "e", (), (resource,))})

    (group,) = diff_graphs(graphs("ab" * 32), graphs("cd" * 32)).groups
    (field,) = group.changes[0].fields
    assert (field.name, field.after) == ("custom.rack", f"string by program {'cd' * 32} (9 bytes), 5 s at most")


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


def test_hosts_are_compared_on_request_only() -> None:
    def graphs(**hosts: Resource) -> Graphs:
        return Graphs("e", {host: HostGraph(host, "e", (), (resource,)) for host, resource in hosts.items()})

    old = graphs(a=declare("file:/x"), b=declare("file:/x"), gone=declare("file:/x"))
    new = graphs(a=declare("file:/x", {"mode": "0600"}), b=declare("file:/y"), new=declare("file:/x"))
    made = diff_graphs(old, new, only_hosts=("a", "new"))
    assert [(group.hosts, [(item.address, item.change) for item in group.changes]) for group in made.groups] == [
        (("a",), [("file:/x", "changed")]),
        (("new",), [("file:/x", "added")]),
    ]
    assert (made.entered, made.left, made.hosts, made.is_empty) == (("new",), (), 2, False)
