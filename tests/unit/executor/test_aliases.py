"""A path that leads over a link is the path that it leads to: a purge keeps it, and nobody else may declare it otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitops.model.resource import Resource
from tests.support.rooted import Rooted, directory, file, secret


@pytest.fixture
def machine(tmp_path: Path) -> Rooted:
    """Give a root with `/lib` a link to `usr/lib`, and `/also` an absolute one to it."""
    made = Rooted(tmp_path)
    made.write("/usr/lib/app.d/junk", "junk")
    (made.root / "lib").symlink_to("usr/lib")
    (made.root / "also").symlink_to("/usr/lib")
    return made


SPELLINGS = [("/usr/lib", "/lib"), ("/lib", "/usr/lib"), ("/lib", "/also"), ("/also", "/also"), ("/usr/lib", "/usr/lib")]


@pytest.mark.parametrize(("folder", "inside"), SPELLINGS)
def test_a_purge_keeps_what_is_declared_whatever_the_way_to_it(machine: Rooted, folder: str, inside: str) -> None:
    resources = (directory(f"{folder}/app.d", purge=True), file(f"{inside}/app.d/x", "x"), file(f"{inside}/app.d/deep/y", "y"))
    assert machine.apply(*resources).result == "changed"
    assert machine.names("/usr/lib/app.d") == ["deep", "x"]
    assert machine.apply(*resources).result == "converged"


@pytest.mark.parametrize(("folder", "inside"), SPELLINGS)
def test_recurse_leaves_alone_what_is_declared_whatever_the_way_to_it(machine: Rooted, folder: str, inside: str) -> None:
    tree = directory(f"{folder}/app.d", recurse=True, mode="0755", file_mode="0644")
    resources = (tree, file(f"{inside}/app.d/x", "x", mode="0600"))
    machine.apply(*resources)
    assert machine.mode("/usr/lib/app.d/x") == "0600"
    assert machine.apply(*resources).result == "converged"


def line(path: str, text: str) -> Resource:
    return Resource("line", text, {"path": path, "text": text})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (file("/lib/a", "a"), file("/usr/lib/a", "b")),
        (file("/lib/a", "a"), file("/usr/lib/a", state="absent")),
        (file("/lib/app.d/junk", "a"), line("/also/app.d/junk", "b")),
        (line("/lib/app.d/junk", "a"), line("/usr/lib/app.d/junk", "b")),
        (file("/lib/new/deep/a", "a"), file("/also/new/deep/a", "b")),
        (directory("/lib/app.d", mode="0700"), directory("/usr/lib/app.d", mode="0755")),
    ],
)
def test_two_that_would_undo_each_other_are_refused(machine: Rooted, one: Resource, other: Resource) -> None:
    before = machine.tree()
    plan = machine.plan(one, other, file("/etc/z", "z"))
    refused = {change.address: change.reason for change in plan.changes if change.action == "refused"}
    assert set(refused) == {one.address, other.address}
    assert other.address in refused[one.address]
    assert one.address in refused[other.address]
    report = machine.apply(one, other)
    assert (report.result, {item.result for item in report.changes}) == ("failed", {"refused"})
    assert machine.tree() == before


@pytest.mark.parametrize(
    "pair",
    [
        (file("/lib/a", "a"), file("/usr/lib/a", "a")),
        (line("/lib/app.d/junk", "a"), line("/lib/app.d/junk", "b")),
        (file("/lib/a", "a"), file("/usr/lib/b", "b")),
    ],
)
def test_what_wants_the_same_or_something_else_is_done(machine: Rooted, pair: tuple[Resource, Resource]) -> None:
    assert machine.apply(*pair).result == "changed"
    assert machine.apply(*pair).result == "converged"


def test_pruning_the_old_name_does_not_take_away_what_the_new_one_declares(machine: Rooted) -> None:
    machine.apply(file("/lib/a", "a"))
    report = machine.apply(file("/usr/lib/a", "a"), prune=("file:/lib/a",))
    assert "the same as file:/usr/lib/a" in {item.address: item.message for item in report.changes}["file:/lib/a"]
    assert machine.read("/usr/lib/a") == "a"


def test_a_link_that_others_could_have_put_there_gives_no_name(machine: Rooted) -> None:
    (machine.root / "theirs").mkdir()
    (machine.root / "theirs").chmod(0o777)
    (machine.root / "theirs/way").symlink_to("/usr/lib/app.d")
    resources = (directory("/usr/lib/app.d", purge=True), file("/theirs/way/junk", "x"))
    machine.apply(*resources)
    assert machine.names("/usr/lib/app.d") == []


@pytest.mark.parametrize(("declared", "purged"), [("/lib", "/usr/lib"), ("/usr/lib", "/also"), ("/lib", "/also")])
def test_a_secret_that_goes_by_another_name_is_not_kept_on_disk(machine: Rooted, declared: str, purged: str) -> None:
    pw = file(f"{declared}/app.d/pw", secret())
    machine.apply(pw, secrets={"env:PASSWORD": "hunter2 hunter2"})
    machine.apply(directory(f"{purged}/app.d", purge=True))
    assert machine.names("/usr/lib/app.d") == []
    assert not [path for path in machine.state.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]


def test_a_secret_that_goes_by_a_hard_link_is_not_kept_on_disk(machine: Rooted) -> None:
    pw = file("/etc/pw", secret())
    machine.apply(pw, secrets={"env:PASSWORD": "hunter2 hunter2"})
    machine.write("/srv/other", "other")
    os.link(machine.root / "etc/pw", machine.root / "srv/copy")
    machine.apply(directory("/srv", purge=True), pw, secrets={"env:PASSWORD": "hunter2 hunter2"})
    assert machine.names("/srv") == []
    assert not [path for path in machine.state.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
