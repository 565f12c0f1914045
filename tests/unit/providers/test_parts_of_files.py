"""Kinds that write a part of a file: what a state says, stale states, what comes before what."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gitops.executor.host import RealHost
from gitops.executor.journal import Journal
from gitops.model.attribute import decode_spec
from gitops.model.codec import Json
from gitops.model.report import Outcome
from gitops.model.resource import Resource
from gitops.plan.item import Preparer
from gitops.plan.order import find_edges
from gitops.providers.base import Step
from gitops.providers.registry import PROVIDERS
from tests.support.rooted import Rooted, Tree, directory


def part(kind: str, name: str, **attributes: Json) -> Resource:
    return Resource(kind, name, attributes)


def diff(resource: Resource, state: dict[str, Json]) -> Any:
    provider = PROVIDERS[resource.kind]
    return provider.diff(decode_spec(provider.spec, resource.name, resource.attributes), state)


LINE = part("line", "x", path="/etc/x", text="k", replaces=["k"])


def test_no_line_of_the_host_is_in_a_state(tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    machine.write("/etc/x", "key = hunter2\n")
    wanted = part("line", "x", path="/etc/x", text="key = new", replaces=["key"])
    seen = json.dumps([machine.observe(wanted).to_json(), machine.plan(wanted).to_json()])
    assert "hunter2" not in seen
    machine.apply(wanted)
    assert "hunter2" not in json.dumps([event.to_json() for event in machine.events])


@pytest.mark.parametrize("state", ["present", "absent"])
def test_of_what_a_host_was_not_asked_the_plan_is_conditional(tmp_path: Path, state: str) -> None:
    machine = Rooted(tmp_path)
    machine.write("/etc/x", "k\n")
    seen = dict(machine.observe(LINE).states[LINE.address])
    other = part("line", "x", path="/etc/x", text="other", state=state)
    found = diff(other, seen)
    assert (found.action, found.confidence) == ("update" if state == "present" else "remove", "conditional")
    assert diff(LINE, seen) is None


def test_a_block_with_another_text_is_known_from_an_old_state(tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    block = part("block", "x", path="/etc/x", text="k")
    machine.apply(block)
    seen = dict(machine.observe(block).states[block.address])
    found = diff(part("block", "x", path="/etc/x", text="l"), seen)
    assert (found.action, found.confidence) == ("update", "exact")


def test_a_part_comes_after_its_folder_and_before_what_wants_the_file() -> None:
    unit = part("line", "x", path="/etc/systemd/system/app.service", text="k")
    other = part("line", "y", path="/etc/systemd/system/app.service", text="l")
    items = Preparer(PROVIDERS).prepare_all([unit, other, directory("/etc/systemd"), part("service", "app", state="running")])
    found = {(edge.before, edge.after) for edge in find_edges(items)}
    folder = "directory:/etc/systemd"
    assert found == {(folder, "line:x"), (folder, "line:y"), ("line:x", "service:app"), ("line:y", "service:app")}


def test_at_most_it_is_set_with_its_parents_or_removed() -> None:
    provider = PROVIDERS["line"]
    spec = decode_spec(provider.spec, "x", LINE.attributes)
    assert [(item.verb, item.resource and item.resource.address) for item in provider.bound(spec)] == [
        ("set", None),
        ("set", "directory:/etc"),
    ]
    gone = decode_spec(provider.spec, "x", {**LINE.attributes, "state": "absent"})
    assert [item.verb for item in provider.bound(gone)] == ["remove"]


CAME: Mapping[str, Callable[[Path], object]] = {
    "a link": lambda path: (path.unlink(), path.symlink_to("other")),
    "not text": lambda path: path.write_bytes(b"\xff"),
    "mend them": lambda path: path.write_text("# BEGIN trueup x\n"),
}


@pytest.mark.parametrize("reason", CAME)
def test_what_came_since_the_plan_is_left_as_it_is(tmp_path: Path, reason: str) -> None:
    machine = Rooted(tmp_path)
    path = machine.write("/etc/x", "a\n")
    machine.write("/etc/other", "b\n")
    came: list[Tree] = []
    outcome = apply_after(
        machine, part("block", "x", path="/etc/x", text="k"), lambda: (CAME[reason](path), came.append(machine.tree()))
    )
    assert (outcome.result, reason in outcome.message) == ("failed", True)
    assert machine.tree() == came[0]


def test_a_line_that_somebody_else_wrote_since_is_not_written_again(tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    path = machine.write("/etc/x", "a\n")
    outcome = apply_after(machine, part("line", "x", path="/etc/x", text="k"), lambda: path.write_text("k\nb\n"))
    assert (outcome.result, machine.read("/etc/x")) == ("changed", "k\nb\n")


def apply_after(machine: Rooted, resource: Resource, happen: Callable[[], object]) -> Outcome:
    """Plan, let something happen, and apply what was planned."""
    provider = PROVIDERS[resource.kind]
    spec = decode_spec(provider.spec, resource.name, resource.attributes)
    state = machine.observe(resource).states[resource.address]
    difference = provider.diff(spec, state)
    assert difference is not None
    happen()
    machine.state.mkdir()
    host = RealHost(root=str(machine.root), journal=Journal(str(machine.state)), run="r")
    (outcome,) = provider.apply([Step(resource.address, difference.action, spec, state, difference)], host)
    host.close()
    return outcome


def test_a_file_too_large_is_not_read_into_memory(tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    machine.write("/etc/x", b"x" * (5 * 1024 * 1024 + 1))
    plan = machine.plan(LINE)
    assert [(change.action, "cannot be read" in change.reason) for change in plan.changes] == [("refused", True)]
