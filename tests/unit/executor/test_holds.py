"""What keeps a path as it is is in the plan, in words that say what it is: mounts, read-only file systems, flags of chattr(1)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from gitops.executor.holds import read_mount_points
from gitops.model.resource import Resource
from tests.support.rooted import Rooted, command, directory, file, quick_folder, symlink

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts and sets flags")

IMMUTABLE, APPEND_ONLY, READ_ONLY, MOUNTED = "is immutable", "is append-only", "mounted read-only", "is a mount point"


@pytest.fixture
def machine(tmp_path: Path) -> Rooted:
    return Rooted(tmp_path)


def call(*argv: str | Path) -> None:
    subprocess.run(argv, check=True, capture_output=True)


@contextmanager
def mounted(*options: str | Path, at: Path) -> Generator[None]:
    call("mount", *options, at)
    try:
        yield
    finally:
        call("umount", at)


@contextmanager
def flagged(flag: str, path: Path) -> Generator[None]:
    call("chattr", f"+{flag}", path)
    try:
        yield
    finally:
        call("chattr", f"-{flag}", path)


def line(path: str, text: str) -> Resource:
    return Resource("line", "one", {"path": path, "text": text})


def refusals(machine: Rooted, *resources: Resource) -> Mapping[str, str]:
    """Give the reason of each that the plan refuses, and see that an apply then leaves all as it was."""
    plan = machine.plan(*resources)
    before = machine.tree(is_exact=True)
    report = machine.apply(*resources)
    assert {item.result for item in report.changes} <= {"refused", "skipped"}
    assert machine.tree(is_exact=True) == before
    return {change.address: change.reason for change in plan.changes if change.action == "refused"}


CHANGES = {
    "content": file("/etc/x", "new"),
    "removal": file("/etc/x", state="absent"),
    "link": symlink("/etc/x", "other"),
    "part": line("/etc/x", "more"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_something_is_mounted_on_is_refused_and_says_so(machine: Rooted, change: str) -> None:
    """As /etc/hosts is in a container: nothing can be renamed over it."""
    place, other = machine.write("/etc/x", "under"), machine.write("/outside", "from outside")
    with mounted("--bind", other, at=place):
        resource = CHANGES[change]
        assert MOUNTED in refusals(machine, resource)[resource.address]
        assert [item.action for item in machine.plan(file("/etc/x", mode="0600")).changes] == ["update"]  # in its place
    assert machine.apply(CHANGES[change]).result == "changed"


@pytest.mark.parametrize(("flag", "words"), [("i", IMMUTABLE), ("a", APPEND_ONLY)])
@pytest.mark.parametrize("change", [*CHANGES, "mode"])
def test_a_file_with_a_flag_is_refused_and_says_so(machine: Rooted, change: str, flag: str, words: str) -> None:
    resource = {**CHANGES, "mode": file("/etc/x", mode="0600")}[change]
    with flagged(flag, machine.write("/etc/x", "old")):
        assert words in refusals(machine, resource)[resource.address]
        assert (
            machine.plan(file("/etc/x", "old", mode="0644")).changes == ()
        )  # nothing is to be done, so nothing stands in the way
    assert machine.apply(resource).result == "changed"


@pytest.mark.parametrize(("flag", "words"), [("i", IMMUTABLE), ("a", APPEND_ONLY)])
def test_a_folder_with_a_flag_holds_what_is_in_it(machine: Rooted, flag: str, words: str) -> None:
    machine.write("/etc/x", "old")
    wanted = (file("/etc/x", "new"), file("/etc/new", "n"), file("/etc/a/b/c", "c"), directory("/etc/d"), symlink("/etc/l", "x"))
    with flagged(flag, machine.root / "etc"):
        reasons = refusals(machine, *wanted)
        assert sorted(reasons) == sorted(item.address for item in wanted)
        assert all(f"its folder {words}" in reason for reason in reasons.values())
        assert words in refusals(machine, directory("/etc", mode="0700"))["directory:/etc"]
        assert words in refusals(machine, directory("/etc", purge=True))["directory:/etc"]
        assert [item.action for item in machine.plan(file("/etc/x", mode="0600")).changes] == ["update"]
    assert machine.apply(*wanted).result == "changed"


def test_what_lies_on_a_read_only_file_system_is_refused(machine: Rooted) -> None:
    disk = machine.root / "srv"
    disk.mkdir()
    with mounted("-t", "tmpfs", "-o", "mode=0755", "disk", at=disk):
        (disk / "x").write_text("old")
        call("mount", "-o", "remount,ro", disk)
        wanted = (file("/srv/x", "new"), file("/srv/a/b", "n"), directory("/srv", mode="0700"))
        reasons = refusals(machine, *wanted)
        assert READ_ONLY in reasons["directory:/srv"]
        assert [reasons[item.address] for item in wanted[:2]] == ["depends on directory:/srv, which is refused"] * 2
        for alone in (*wanted[:2], file("/srv/x", mode="0600"), directory("/srv/new"), symlink("/srv/x", "y")):
            assert READ_ONLY in refusals(machine, alone)[alone.address]


def test_what_a_command_before_it_may_clear_is_conditional(machine: Rooted) -> None:
    path = machine.write("/etc/x", "old")
    clear = command("clear", "chattr", "-i", str(path))
    with flagged("i", path):
        live = file(str(path), "new", needs=["command:clear"])
        plan = machine.plan(clear, live, root="")
        changes = {str(item.address): item for item in plan.changes}
        found = changes[f"file:{path}"]
        assert (found.action, found.confidence, IMMUTABLE in found.reason) == ("update", "conditional", True)
        assert machine.apply(clear, live, root="").result == "changed"
        assert path.read_text() == "new"


def test_what_a_folder_is_a_mount_point_of_is_not_emptied_and_named_before(machine: Rooted) -> None:
    """A bind mount of the same file system has the same number, so only the kernel's table tells it."""
    machine.write("/srv/top", "t")
    kept = machine.write("/precious/x", "mine")
    (machine.root / "srv/in/deep").mkdir(parents=True)
    with mounted("--bind", machine.root / "precious", at=machine.root / "srv/in/deep"):
        reason = refusals(machine, directory("/srv", state="absent", recurse=True))["directory:/srv"]
        assert reason.startswith("/srv/in/deep is a mount point")
        plan = machine.plan(directory("/srv", purge=True))
        assert [field.before for field in plan.changes[0].fields] == [["top"]]
        assert "/srv/in/deep" in plan.changes[0].reason
        assert machine.apply(directory("/srv", purge=True)).result == "changed"
        again = machine.plan(directory("/srv", purge=True))
        assert (again.changes, "/srv/in/deep" in str(again.notes)) == ((), True)
        declared = Resource("mount", "/srv/in/deep", {"device": "/x", "fstype": "none", "options": "bind", "state": "present"})
        assert "directory:/srv" not in machine.plan(directory("/srv", purge=True), declared).notes
    assert kept.read_text() == "mine"


def test_a_declared_mount_point_that_is_not_mounted_survives_a_purge(machine: Rooted) -> None:
    (machine.root / "srv/data").mkdir(parents=True)
    machine.write("/etc/fstab", "")
    declared = Resource("mount", "/srv/data", {"device": "/dev/x", "fstype": "ext4", "state": "present"})
    assert machine.apply(directory("/srv", purge=True), declared).result == "changed"
    assert machine.names("/srv") == ["data"]


def test_recurse_goes_through_an_overlay_of_two_file_systems(tmp_path: Path) -> None:
    """There files have the number of their layer, and folders that of the overlay."""
    with quick_folder(tmp_path) as memory:
        for folder in ("lower", "upper", "work"):
            (memory / folder).mkdir()
        lower = tmp_path / "lower"
        (lower / "srv").mkdir(parents=True)
        (lower / "srv/below").write_text("b")
        machine = Rooted(tmp_path / "machine")
        layers = f"lowerdir={lower},upperdir={memory / 'upper'},workdir={memory / 'work'}"
        with mounted("-t", "overlay", "-o", layers, "overlay", at=machine.root):
            machine.write("/srv/above", "a")
            numbers = {(machine.root / "srv" / name).lstat().st_dev for name in ("", "below", "above")}
            assert len(numbers) > 1
            wanted = directory("/srv", recurse=True, file_mode="0600")
            assert machine.apply(wanted).result == "changed"
            assert [machine.mode(f"/srv/{name}") for name in ("below", "above")] == ["0600", "0600"]
            assert (machine.plan(wanted).changes, machine.plan(wanted).notes) == ((), {})
            assert machine.apply(directory("/srv", state="absent", recurse=True)).result == "changed"
            assert machine.names("/") == []


def test_recurse_names_what_it_leaves_alone(machine: Rooted) -> None:
    (machine.root / "srv/disk").mkdir(parents=True)
    with mounted("-t", "tmpfs", "tmpfs", at=machine.root / "srv/disk"):
        kept = machine.write("/srv/disk/x", "mine", 0o600)
        wanted = directory("/srv", recurse=True, file_mode="0644")
        assert machine.plan(wanted).notes == {"directory:/srv": "left alone, as mount points or other file systems: /srv/disk"}
        machine.write("/srv/y", "y", 0o600)
        assert "/srv/disk" in machine.plan(wanted).changes[0].reason
        assert machine.apply(wanted).result == "changed"
        assert oct(kept.stat().st_mode)[-3:] == "600"


def test_an_immutable_file_below_is_named_before_anything_changes(machine: Rooted) -> None:
    stuck = machine.write("/srv/stuck", "s", 0o600)
    machine.write("/srv/loose", "l", 0o600)
    with flagged("i", stuck):
        for wanted in (
            directory("/srv", recurse=True, file_mode="0644"),
            directory("/srv", purge=True),
            directory("/srv", state="absent", recurse=True),
        ):
            assert refusals(machine, wanted)["directory:/srv"].startswith("/srv/stuck: it is immutable")


def test_mount_points_are_read_as_the_kernel_writes_them(tmp_path: Path) -> None:
    odd = tmp_path / "with blank\tand \\ and #"
    odd.mkdir()
    with mounted("-t", "tmpfs", "tmpfs", at=odd):
        assert str(odd) in read_mount_points()
