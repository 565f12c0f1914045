"""As a user without rights, and on a file system that takes nothing: what cannot be done fails alone, with the reason."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from gitops.errors import TrueupError
from tests.support.rooted import Rooted, directory, file, quick_folder

NOBODY = 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else, or mount")


@pytest.fixture
def machine(tmp_path: Path) -> Generator[Rooted]:
    with quick_folder(tmp_path) as folder:
        Rooted(folder / "before").apply(file("/x"))  # loads what the child may no longer be able to load
        machine = Rooted(folder)
        machine.state.mkdir()
        for path in (folder, machine.root, machine.state):
            os.chown(path, NOBODY, NOBODY)
        yield machine


def as_nobody(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do something in a child without rights and give its answer."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(writing, json.dumps(work()).encode())
        except (OSError, TrueupError) as error:
            os.write(writing, json.dumps({"error": repr(error)}).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        answer = json.loads(stream.read())
    os.waitpid(child, 0)
    assert "error" not in answer, answer
    return answer


def test_what_may_not_be_read_or_written_fails_alone(machine: Rooted) -> None:
    machine.write("/root-only/x", "x", 0o600)
    machine.write("/closed/y", "y")
    machine.write("/unreadable", "old", 0o600)
    (machine.root / "closed").chmod(0o700)
    os.chown(machine.root / "unreadable", 0, 0)
    resources = (
        file("/root-only/new", "a"),
        file("/closed/y", "b"),
        file("/unreadable", "c"),
        file("/fine", "d"),
        directory("/root-only", mode="0711"),
    )
    report = as_nobody(lambda: machine.apply(*resources).to_json())
    said = {item["address"]: (item["result"], item.get("message", "")) for item in report["changes"]}
    assert said["file:/fine"] == ("changed", "")
    assert said["file:/closed/y"][0] == "refused"
    assert said["file:/unreadable"] == ("refused", "it cannot be read: Permission denied: unreadable")
    assert said["directory:/root-only"][0] == "failed"
    assert "not permitted" in said["directory:/root-only"][1]
    assert said["file:/root-only/new"][0] in ("failed", "skipped")
    assert machine.temps() == []
    assert (machine.read("/closed/y"), machine.read("/unreadable")) == ("y", "old")


def test_a_folder_that_may_only_be_searched_is_walked_through(machine: Rooted) -> None:
    machine.write("/home/me/x", "old")
    (machine.root / "home").chmod(0o711)
    for name in ("home/me", "home/me/x"):
        os.chown(machine.root / name, NOBODY, NOBODY)
    report = as_nobody(lambda: machine.apply(file("/home/me/x", "new")).to_json())
    assert report["result"] == "changed"
    assert machine.read("/home/me/x") == "new"


def test_a_mode_that_forbids_reading_can_be_mended_by_the_owner(machine: Rooted) -> None:
    path = machine.write("/x", "mine", 0o000)
    os.chown(path, NOBODY, NOBODY)
    report = as_nobody(lambda: machine.apply(file("/x", mode="0600")).to_json())
    assert (report["result"], machine.mode("/x"), machine.read("/x")) == ("changed", "0600", "mine")
    undone = as_nobody(lambda: machine.rollback(report["run"]).to_json())
    assert (undone["result"], machine.mode("/x")) == ("reverted", "0000")


@pytest.mark.parametrize("content", [None, "from the config"])
def test_a_file_that_changes_hands_does_not_run_as_its_new_owner(machine: Rooted, content: str | None) -> None:
    path = machine.write("/home/them/x", "theirs")
    for item in (path.parent, path):
        os.chown(item, NOBODY, NOBODY)
    path.chmod(0o6755)
    os.chown(machine.state, 0, 0)
    machine.apply(file("/home/them/x", content, owner="0", group="0"))
    assert (path.stat().st_uid, machine.mode("/home/them/x")) == (0, "0755")


def test_a_mode_alone_copies_no_content(machine: Rooted) -> None:
    machine.write("/large", "x" * 1_000_000)
    os.chown(machine.state, 0, 0)
    report = machine.apply(file("/large", mode="0600"))
    assert list(machine.state.rglob("images/*")) == []
    assert machine.rollback(report.run).result == "reverted"
    assert machine.mode("/large") == "0644"


@pytest.fixture
def small_disk(machine: Rooted) -> Generator[Rooted]:
    os.chown(machine.state, 0, 0)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", machine.root], check=False, capture_output=True)
    if done.returncode != 0:
        pytest.skip("this sandbox may not mount")
    try:
        yield machine
    finally:
        subprocess.run(["umount", machine.root], check=True)


def test_a_disk_that_is_really_full_leaves_the_old_and_no_temporary_file(small_disk: Rooted) -> None:
    small_disk.write("/etc/x", "old")
    report = small_disk.apply(file("/etc/x", "n" * 200_000), file("/etc/small", "fits"))
    said = {item.address: (item.result, item.message) for item in report.changes}
    assert said == {
        "file:/etc/x": ("failed", "No space left on device"),
        "file:/etc/small": ("changed", ""),
    }
    assert (small_disk.read("/etc/x"), small_disk.temps()) == ("old", [])
    assert small_disk.apply(file("/etc/x", "new")).result == "changed"


def test_a_read_only_file_system_fails_with_its_reason(small_disk: Rooted) -> None:
    small_disk.write("/etc/x", "old")
    subprocess.run(["mount", "-o", "remount,ro", small_disk.root], check=True)
    report = small_disk.apply(file("/etc/x", "new"), file("/etc/y", "y"), directory("/d"))
    assert {item.message for item in report.changes} == {"the file system here is mounted read-only; mount it writable first"}
    assert small_disk.read("/etc/x") == "old"


def test_a_mount_point_is_not_emptied(small_disk: Rooted) -> None:
    inner = small_disk.root / "d/mnt"
    inner.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", inner], check=True)
    try:
        (inner / "precious").touch()
        report = small_disk.apply(directory("/d", state="absent", recurse=True))
        assert "mount point" in report.changes[0].message
        assert (inner / "precious").exists()
    finally:
        subprocess.run(["umount", inner], check=True)
