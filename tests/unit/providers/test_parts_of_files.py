"""Kinds that write a part of a file: what a state says, stale states, what comes before what."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gitops.errors import HostError
from gitops.executor.host import RealHost
from gitops.executor.journal import Journal
from gitops.executor.tree import Tree
from gitops.model.attribute import decode_spec
from gitops.model.codec import Json
from gitops.model.report import Outcome
from gitops.model.resource import Resource
from gitops.plan.item import Preparer
from gitops.plan.order import find_edges
from gitops.providers.base import Step
from gitops.providers.registry import PROVIDERS
from tests.support import rooted
from tests.support.rooted import Rooted, directory


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
    came: list[rooted.Tree] = []
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


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGexampleexampleexampleexampleexampleexamp1 ann@example.org"
ANN = 12345


def make_home(machine: Rooted, owner: int, content: str = "root:secret:1::\n") -> Path:
    """Give the file of a user who owns its folder; `owner` owns the file."""
    machine.write("/etc/passwd", f"root:x:0:0::/root:/bin/sh\nann:x:{ANN}:{ANN}::/home/ann:/bin/sh\n")
    path = machine.write("/home/ann/.ssh/authorized_keys", content)
    for folder in (path.parent, path.parent.parent):
        os.chown(folder, ANN, ANN)
    os.chown(path, owner, owner)
    return path


@pytest.mark.parametrize("is_exclusive", [False, True])
def test_of_a_file_that_is_not_the_users_nothing_is_given_to_the_user(tmp_path: Path, is_exclusive: bool) -> None:
    machine = Rooted(tmp_path)
    path = make_home(machine, 0)
    keys = part("ssh_authorized_key", "ann", keys=[KEY], exclusive=is_exclusive)
    assert [(change.action, "belongs to another user" in change.reason) for change in machine.plan(keys).changes] == [
        ("refused", True)
    ]
    line = part("line", "x", path="/home/ann/.ssh/authorized_keys", text="k")
    assert [change.action for change in machine.plan(line).changes] == ["refused"]
    assert (path.read_text(), path.stat().st_uid) == ("root:secret:1::\n", 0)


def test_a_hard_link_made_since_it_was_looked_at_is_not_read(tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    path = make_home(machine, ANN)
    tree = Tree(str(machine.root))
    assert tree.read_text("/home/ann/.ssh/authorized_keys", 1000)
    os.link(path, machine.root / "home/ann/other")
    with pytest.raises(HostError, match="hard link"):
        tree.read_text("/home/ann/.ssh/authorized_keys", 1000)


def test_the_users_own_file_keeps_its_lines_and_becomes_private(tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    path = make_home(machine, ANN, "# mine\n")
    keys = part("ssh_authorized_key", "ann", keys=[KEY])
    assert machine.apply(keys).result == "changed"
    assert (path.read_text(), path.stat().st_uid, machine.mode("/home/ann/.ssh/authorized_keys")) == (
        f"# mine\n{KEY}\n",
        ANN,
        "0600",
    )
    assert machine.apply(keys).result == "converged"


def test_a_new_folder_for_keys_is_the_users_and_private(tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    path = make_home(machine, ANN)
    path.unlink()
    path.parent.rmdir()
    assert machine.apply(part("ssh_authorized_key", "ann", keys=[KEY])).result == "changed"
    assert (path.parent.stat().st_uid, machine.mode("/home/ann/.ssh"), path.stat().st_uid) == (ANN, "0700", ANN)


def test_keys_come_after_their_user_and_show_no_data(tmp_path: Path) -> None:
    keys = part("ssh_authorized_key", "ann", keys=[KEY, "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQexampleexample=="])
    items = Preparer(PROVIDERS).prepare_all([part("user", "ann"), keys])
    assert {(edge.before, edge.after) for edge in find_edges(items)} == {("user:ann", "ssh_authorized_key:ann")}
    machine = Rooted(tmp_path)
    make_home(machine, ANN)
    (change,) = machine.plan(keys).changes
    assert "ann@example.org" in str(change.fields)
    assert "AAAA" not in str(change.fields)


@pytest.mark.parametrize("name", ["../../etc", "a/b", "ann\n", "", "-x"])
def test_a_users_name_never_leads_to_another_path(name: str) -> None:
    broken = Resource("ssh_authorized_key", name, {"keys": [KEY]})
    provider = PROVIDERS["ssh_authorized_key"]
    spec = decode_spec(provider.spec, name, broken.attributes)
    assert provider.relate(spec).paths == ()
    assert provider.diff(spec, {"type": "absent", "parents": []}).action == "refused"  # type: ignore[union-attr]
