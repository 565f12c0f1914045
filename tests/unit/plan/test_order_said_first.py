"""What a person says of order goes before what is guessed."""

from __future__ import annotations

from gitops.model.resource import Resource
from gitops.plan.item import Preparer
from gitops.plan.order import find_edges, order_items
from gitops.providers.registry import PROVIDERS


def order(*resources: Resource) -> list[str]:
    items = Preparer(PROVIDERS).prepare_all(resources)
    return [item.resource.address for item in order_items(items, find_edges(items))]


def test_files_below_the_folder_of_a_package_come_after_it() -> None:
    assert order(Resource("file", "/etc/hello/a.conf"), Resource("package", "hello")) == [
        "package:hello",
        "file:/etc/hello/a.conf",
    ]


def test_a_declared_need_turns_an_automatic_edge_around_instead_of_making_a_cycle() -> None:
    package = Resource("package", "hello", needs=("file:/etc/hello/a.conf",))  # type: ignore[arg-type]
    assert order(Resource("file", "/etc/hello/a.conf"), package) == ["file:/etc/hello/a.conf", "package:hello"]
