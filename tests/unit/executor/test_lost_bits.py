"""What a file loses when it changes hands or content is in the plan; what it need not lose stays."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path

import pytest

from gitops.model.plan import Change
from gitops.model.resource import Resource
from tests.support.rooted import Rooted, directory, file

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")

CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)  # cap_net_bind_service=ep
NAME = "security.capability"
MODES = ("2755", "4755", "6755", "1755", "0755")


@pytest.fixture
def machine(tmp_path: Path) -> Rooted:
    return Rooted(tmp_path)


def fields(change: Change) -> dict[str, tuple[object, object]]:
    return {item.name: (item.before, item.after) for item in change.fields}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("who", ["owner", "group"])
def test_a_file_that_changes_hands_loses_set_id_bits_as_the_plan_says(machine: Rooted, mode: str, who: str) -> None:
    machine.write("/bin/x", "x", int(mode, 8))
    wanted = file("/bin/x", **{who: "4242"})
    change = machine.plan(wanted).changes[0]
    kept = f"{int(mode, 8) & 0o1777:04o}"
    said = fields(change).get("mode", (None, mode))[1]
    assert (said, "set-id" in change.reason) == (kept, mode != kept)
    run = machine.apply(wanted).run
    assert (machine.mode("/bin/x"), machine.plan(wanted).changes) == (kept, ())
    machine.rollback(run)
    assert machine.mode("/bin/x") == mode


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("owner", [0, 4242])
def test_a_new_content_and_a_folders_owner_leave_set_id_bits_alone(machine: Rooted, mode: str, owner: int) -> None:
    path = machine.write("/bin/x", "old")
    os.chown(path, owner, owner)
    path.chmod(int(mode, 8))
    (machine.root / "bin").chmod(int(mode, 8))
    wanted = (file("/bin/x", "new"), directory("/bin", owner="4343", group="4343"))
    plan = machine.plan(*wanted)
    assert ["mode" in fields(change) for change in plan.changes] == [False, False]
    assert machine.apply(*wanted).result == "changed"
    assert (machine.mode("/bin"), machine.mode("/bin/x"), machine.plan(*wanted).changes) == (mode, mode, ())


def test_recurse_names_the_files_whose_set_id_bits_go(machine: Rooted) -> None:
    for name, mode in (("one", 0o4755), ("two", 0o755)):
        machine.write(f"/srv/{name}", "x", mode)
    (machine.root / "srv/in").mkdir()
    (machine.root / "srv/in").chmod(0o2755)
    wanted = directory("/srv", recurse=True, owner="4242", group="4242")
    assert fields(machine.plan(wanted).changes[0])["set-id bits"] == (["/srv/one"], None)
    assert machine.apply(wanted).result == "changed"
    assert [machine.mode(f"/srv/{name}") for name in ("one", "two", "in")] == ["0755", "0755", "2755"]
    assert machine.plan(wanted).changes == ()


def test_a_declared_mode_gives_set_id_bits_to_the_new_owner(machine: Rooted) -> None:
    machine.write("/bin/x", "x", 0o2755)
    wanted = file("/bin/x", owner="4242", mode="2755")
    assert "set-id" not in machine.plan(wanted).changes[0].reason
    machine.apply(wanted)
    assert machine.mode("/bin/x") == "2755"


@pytest.mark.parametrize("attributes", [{"content": "new"}, {"owner": "4242"}, {"group": "4242"}, {"mode": "0700"}])
def test_capabilities_that_go_are_named(machine: Rooted, attributes: dict[str, str]) -> None:
    path = machine.write("/bin/x", "old", 0o755)
    os.setxattr(path, NAME, CAPABILITY)
    wanted = Resource("file", "/bin/x", {**attributes})
    is_said = "loses its capabilities" in machine.plan(wanted).changes[0].reason
    machine.apply(wanted)
    assert is_said is (NAME not in os.listxattr(path))
    assert is_said is ("mode" not in attributes)


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        (file("/etc/a", "new"), "which keeps the old content"),
        (Resource("line", "one", {"path": "/etc/a", "text": "new"}), "which keeps the old content"),
        (file("/etc/a", mode="0600"), "which changes with it"),
        (file("/etc/a", "old", mode="0644"), ""),
    ],
)
def test_a_second_name_is_split_or_changed_with_a_word(machine: Rooted, resource: Resource, words: str) -> None:
    first = machine.write("/etc/a", "old")
    second = machine.root / "etc/b"
    second.hardlink_to(first)
    changes = machine.plan(resource).changes
    assert [words in change.reason for change in changes] == ([True] if words else [])
    if words:
        assert "another name (a hard link)" in changes[0].reason
        machine.apply(resource)
        is_together = first.stat().st_ino == second.stat().st_ino
        assert is_together is (words == "which changes with it")
        assert second.read_text() == "old"
        assert stat.S_IMODE(second.stat().st_mode) == (0o600 if is_together else 0o644)
