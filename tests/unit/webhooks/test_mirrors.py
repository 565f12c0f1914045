"""Mirrors: always fresh, damaged by a power cut or not, and never a way out of their folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitops.errors import RemoteError
from tests.support.fakeforge import REPOSITORY, FakeForge
from tests.support.project import Repository
from webhooks.forges.watched import Forges
from webhooks.mirrors import Mirrors, find_branch, has_commit, list_branches
from webhooks.records import PullKey


@pytest.fixture
def work(tmp_path: Path) -> Repository:
    made = Repository.make(tmp_path / "work")
    made.git("clone", "-q", "--bare", ".", str(tmp_path / "infra.git"))
    return made


def make_mirrors(folder: Path) -> tuple[Mirrors, FakeForge]:
    fake = FakeForge(folder / "infra.git")
    return Mirrors(folder / "mirrors", Forges({REPOSITORY: fake.forge()})), fake


def push(work: Repository) -> str:
    commit = work.commit({}, "more")
    work.git("push", "-q", str(work.path.parent / "infra.git"), "main")
    return commit


def damage_lock(mirror: Path) -> None:
    (mirror / "refs/heads/main.lock").write_bytes(b"")


def damage_object(mirror: Path) -> None:
    for path in (mirror / "objects").rglob("*"):
        if path.is_file() and len(path.parent.name) == 2:
            path.chmod(0o644)
            path.write_bytes(b"")


def damage_config(mirror: Path) -> None:
    (mirror / "config").write_text("[core")


def damage_folder(mirror: Path) -> None:
    (mirror / "refs").rename(mirror / "gone")


@pytest.mark.parametrize("damage", [damage_lock, damage_object, damage_config, damage_folder])
def test_a_damaged_mirror_is_made_anew(tmp_path: Path, work: Repository, damage: object) -> None:
    mirrors, _ = make_mirrors(tmp_path)
    mirror, _ = mirrors.refresh(REPOSITORY)
    damage(mirror)  # type: ignore[operator]
    commit = push(work)
    again, _ = mirrors.refresh(REPOSITORY, head=commit)
    assert find_branch(again, "main") == commit
    assert list_branches(again) == {"main": commit}


def test_a_remote_that_is_away_costs_no_mirror(tmp_path: Path, work: Repository) -> None:
    mirrors, fake = make_mirrors(tmp_path)
    mirror, _ = mirrors.refresh(REPOSITORY)
    fake.bare = tmp_path / "nowhere.git"
    with pytest.raises(RemoteError):
        mirrors.refresh(REPOSITORY)
    assert find_branch(mirror, "main")


def test_what_the_remote_forgot_is_forgotten_and_pulls_are_fetched_when_asked_for(tmp_path: Path, work: Repository) -> None:
    bare = tmp_path / "infra.git"
    work.git("push", "-q", str(bare), "main:refs/heads/old", "main:refs/pull/3/head")
    mirrors, _ = make_mirrors(tmp_path)
    mirror, _ = mirrors.refresh(REPOSITORY, PullKey(REPOSITORY, "3"))
    assert set(list_branches(mirror)) == {"main", "old"}
    work.git("push", "-q", str(bare), ":refs/heads/old")
    mirrors.refresh(REPOSITORY)
    assert set(list_branches(mirror)) == {"main"}
    assert find_branch(mirror, "old") == ""


def test_tidying_keeps_everything(tmp_path: Path, work: Repository) -> None:
    mirrors, _ = make_mirrors(tmp_path)
    mirrors.tidy(REPOSITORY)
    mirror, _ = mirrors.refresh(REPOSITORY)
    mirrors.tidy(REPOSITORY)
    assert has_commit(mirror, find_branch(mirror, "main"))
    assert not has_commit(mirror, "d" * 40)
