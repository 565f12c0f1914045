"""Laws of edges and order: every edge is kept, input order never matters, a cycle is named."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.errors import MalformedError
from gitops.model.address import Address
from gitops.model.graph import Graphs, HostGraph
from gitops.model.resource import Resource
from gitops.plan.item import Item, Preparer
from gitops.plan.order import Edge, check_graphs, close_over, find_cycle, find_edges, order_items
from gitops.providers.registry import PROVIDERS
from tests.support.nouns import projects
from tests.support.planning import declare


def prepare(*resources: Resource) -> tuple[Item, ...]:
    return Preparer(PROVIDERS).prepare_all(resources)


def pairs(*resources: Resource) -> set[tuple[str, str, str]]:
    return {(edge.before, edge.after, edge.token or edge.reason) for edge in find_edges(prepare(*resources))}


def names_in_order(*resources: Resource) -> list[str]:
    items = prepare(*resources)
    return [item.resource.address for item in order_items(items, find_edges(items))]


@given(projects(), st.randoms())
def test_every_edge_is_kept_and_input_order_never_matters(project: tuple[Resource, ...], order: random.Random) -> None:
    items = list(prepare(*project))
    edges = list(find_edges(items))
    if find_cycle(edges):
        return
    ordered = [item.resource.address for item in order_items(items, edges)]
    assert sorted(ordered) == sorted(item.resource.address for item in items)
    assert all(ordered.index(edge.before) < ordered.index(edge.after) for edge in edges)
    order.shuffle(items)
    order.shuffle(edges)
    assert [item.resource.address for item in order_items(items, edges)] == ordered
    assert find_edges(items) == tuple(sorted(edges))


GRAPHS = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=9, unique=True)


@given(GRAPHS, st.randoms())
def test_a_cycle_is_found_exactly_when_there_is_no_order(found: list[tuple[str, str]], order: random.Random) -> None:
    edges = [Edge(Address(f"file:/{first}"), Address(f"file:/{second}"), "needs") for first, second in found]
    items = prepare(*(declare(f"file:/{name}") for name in "abcdef"))
    cycle = find_cycle(edges)
    assert list(cycle) == [edge for edge in cycle if edge in edges]
    for first, second in zip(cycle, (*cycle[1:], *cycle[:1]), strict=True):
        assert first.after == second.before
    order.shuffle(edges)
    assert find_cycle(edges) == cycle
    if cycle:
        with pytest.raises(MalformedError, match=r"dependency cycle: file:/. → .*") as stop:
            order_items(items, edges)
        assert stop.value.code == "C210"
    else:
        assert len(order_items(items, edges)) == len(items)


@given(GRAPHS, st.sampled_from("abcdef"))
def test_closing_over_takes_all_that_comes_before_and_nothing_else(found: list[tuple[str, str]], wanted: str) -> None:
    edges = [Edge(Address(f"file:/{first}"), Address(f"file:/{second}"), "needs") for first, second in found]
    closed = close_over([Address(f"file:/{wanted}")], edges)
    for edge in edges:
        assert edge.after not in closed or edge.before in closed
    for address in closed - {f"file:/{wanted}"}:
        assert any(edge.before == address and edge.after in closed for edge in edges)


def test_a_notifier_is_not_needed() -> None:
    edges = [Edge(Address("file:/a"), Address("service:x"), "notify")]
    assert close_over([Address("service:x")], edges) == {"service:x"}


def test_things_come_after_what_they_stand_in_or_belong_to() -> None:
    found = pairs(
        declare("directory:/srv"),
        declare("directory:/srv/a/b"),
        declare("file:/srv/a/b/c/d", {"owner": "app", "group": "ops"}),
        declare("user:app", {"group": "ops"}),
        declare("group:ops"),
        declare("package:web"),
        declare("service:web", {"state": "running"}),
    )
    assert found == {
        ("directory:/srv", "directory:/srv/a/b", "path:/srv/a"),
        ("directory:/srv/a/b", "file:/srv/a/b/c/d", "path:/srv/a/b/c"),
        ("user:app", "file:/srv/a/b/c/d", "user:app"),
        ("group:ops", "file:/srv/a/b/c/d", "group:ops"),
        ("group:ops", "user:app", "group:ops"),
        ("package:web", "service:web", "package:web"),
    }


def test_what_goes_away_goes_after_what_needed_it() -> None:
    gone = {"state": "absent"}
    assert pairs(declare("user:app", gone), declare("file:/srv/x", {"owner": "app"})) == {("file:/srv/x", "user:app", "user:app")}
    assert names_in_order(declare("directory:/srv", gone), declare("file:/srv/x", gone)) == ["file:/srv/x", "directory:/srv"]


def test_references_to_other_hosts_things_make_no_edge() -> None:
    assert pairs(declare("file:/a", needs=["file:/nope"], notify=["service:nope"])) == set()


def test_without_edges_the_order_is_by_address() -> None:
    assert names_in_order(declare("service:b"), declare("file:/z"), declare("file:/a")) == ["file:/a", "file:/z", "service:b"]


def test_a_thing_joined_twice_to_another_comes_once() -> None:
    package, service = declare("package:web", notify=["service:web"]), declare("service:web", {"state": "running"})
    assert names_in_order(package, service) == ["package:web", "service:web"]


def test_a_thing_that_needs_itself_is_a_cycle() -> None:
    with pytest.raises(MalformedError, match="file:/a → file:/a"):
        names_in_order(declare("file:/a", needs=["file:/a"]))


@pytest.mark.parametrize(
    "resources",
    [
        (declare("file:/a", needs=["file:/a"]),),
        (declare("file:/a", notify=["file:/a"]),),
        (declare("directory:/d", needs=["file:/d/x"]), declare("file:/d/x")),
        (declare("directory:/d", needs=["symlink:/d/x/y"]), declare("symlink:/d/x/y", {"target": "z"})),
        (declare("directory:/d"), declare("file:/d/x", notify=["directory:/d"])),
        (declare("file:/a", {"contents": "x"}),),
    ],
)
def test_what_no_host_could_plan_is_refused_for_every_graph(resources: tuple[Resource, ...]) -> None:
    graph = HostGraph("web-1", "production", (), resources)
    with pytest.raises(MalformedError, match="web-1 could not plan this") as stop:
        check_graphs(Graphs("production", {"web-1": graph}), Preparer(PROVIDERS))
    assert stop.value.code in ("C210", "C104", "M012", "C103")


def test_what_goes_away_below_a_folder_or_was_said_of_a_package_may_come_first() -> None:
    absent = declare("file:/d/x", {"state": "absent"})
    assert names_in_order(declare("directory:/d", needs=["file:/d/x"]), absent) == ["file:/d/x", "directory:/d"]
    alike = {name: HostGraph(name, "production") for name in ("a", "b")}
    check_graphs(Graphs("production", alike), Preparer(PROVIDERS))
