"""Files that somebody else made large: not read when their size tells enough, not kept for an undo, and the plan says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitops.errors import HostError
from gitops.executor.journal import Journal
from gitops.model.limits import DEFAULTS, Limits
from gitops.model.resource import Resource
from tests.support.rooted import Rooted, directory, file

HUGE = 6 << 30


def make_huge(machine: Rooted, path: str, size: int = HUGE) -> Path:
    place = machine.write(path, "")
    with place.open("r+b") as stream:
        stream.truncate(size)
    return place


def spent(path: Path) -> int:
    """Give what a folder takes on the disk."""
    return sum(item.lstat().st_blocks * 512 for item in path.rglob("*"))


def bytes_read() -> int:
    return int(next(line.split()[1] for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("rchar")))


@pytest.fixture
def machine(tmp_path: Path) -> Rooted:
    return Rooted(tmp_path)


def test_a_managed_file_that_was_made_huge_is_healed_without_being_read_or_kept(machine: Rooted) -> None:
    machine.apply(file("/etc/x", "hello"))
    make_huge(machine, "/etc/x")
    before = bytes_read()
    plan = machine.plan(file("/etc/x", "hello"))
    (item,) = plan.changes
    assert "larger than 256 MiB and is not kept" in item.reason
    report = machine.apply(file("/etc/x", "hello"))
    assert (report.result, machine.read("/etc/x")) == ("changed", "hello")
    assert bytes_read() - before < 64 << 20
    assert spent(machine.state) < 1 << 20
    undone = machine.rollback(report.run)
    assert "it was larger than 256 MiB" in str(undone.to_json())
    assert machine.read("/etc/x") == "hello"


def test_a_file_of_another_size_needs_no_digest_and_a_small_one_has_one(machine: Rooted) -> None:
    wanted = file("/etc/x", "hello")
    make_huge(machine, "/etc/x", DEFAULTS.hashed_bytes + 1)
    assert "digest" not in machine.observe(wanted).states["file:/etc/x"]
    make_huge(machine, "/etc/x", DEFAULTS.hashed_bytes)
    assert "digest" in machine.observe(wanted).states["file:/etc/x"]


@pytest.mark.parametrize("state", ["present", "absent"])
def test_what_a_directory_removes_and_cannot_keep_is_said(machine: Rooted, state: str) -> None:
    machine.write("/srv/d/small", "x")
    make_huge(machine, "/srv/d/below/large")
    wanted = directory("/srv/d", purge=True) if state == "present" else directory("/srv/d", state="absent", recurse=True)
    (item,) = machine.plan(wanted).changes
    assert "not kept, so it cannot be undone: /srv/d/below/large" in item.reason
    assert machine.apply(wanted).result == "changed"
    assert spent(machine.state) < 1 << 20


def test_a_download_that_cannot_be_it_by_size_is_not_read(machine: Rooted) -> None:
    make_huge(machine, "/opt/tool", HUGE)
    wanted = Resource("download", "/opt/tool", {"url": "http://192.0.2.1/tool", "sha256": "a" * 64})
    before = bytes_read()
    (item,) = machine.plan(wanted).changes
    assert (item.action, bytes_read() - before < 64 << 20) == ("update", True)
    assert "is not kept" in item.reason


def test_holes_stay_holes_in_what_is_kept_and_in_what_is_brought_back(machine: Rooted) -> None:
    place = make_huge(machine, "/etc/x", 100 << 20)
    with place.open("r+b") as stream:
        stream.seek(50 << 20)
        stream.write(b"middle")
    report = machine.apply(file("/etc/x", "hello"))
    assert spent(machine.state) < 4 << 20
    machine.rollback(report.run)
    assert (place.stat().st_size, place.stat().st_blocks * 512 < 4 << 20) == (100 << 20, True)
    with place.open("rb") as stream:
        stream.seek(50 << 20)
        assert stream.read(7) == b"middle\0"


def test_a_run_keeps_so_much_and_leaves_the_rest_to_the_next(tmp_path: Path) -> None:
    (tmp_path / "runs/run").mkdir(parents=True)
    journal = Journal(str(tmp_path / "runs/run"), Limits(image_bytes=10, journal_bytes=15))
    for content, is_kept in ((b"x" * 10, True), (b"y" * 11, False)):
        (tmp_path / "source").write_bytes(content)
        with (tmp_path / "source").open("rb") as stream:
            assert bool(journal.keep_image(stream.fileno(), is_sensitive=False)) == is_kept
    (tmp_path / "source").write_bytes(b"z" * 6)
    with (tmp_path / "source").open("rb") as stream, pytest.raises(HostError, match="keeps at most"):
        journal.keep_image(stream.fileno(), is_sensitive=False)
    journal.close()
    assert len(list((tmp_path / "runs/run/images").iterdir())) == 1
