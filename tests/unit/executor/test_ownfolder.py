"""Folders that are this user's alone: what is read there was written there, and nobody else decides what a path leads to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitops.executor.ownfolder import (
    NotOwnError,
    correct_homes,
    evict_own,
    find_home,
    is_safe_way,
    open_own,
    read_own,
    touch_own,
    write_own,
)

OTHER = 4242


def write(folder: Path, name: str = "a", content: bytes = b"content") -> Path:
    with open_own(str(folder), make=True) as descriptor:
        write_own(descriptor, name, content)
    return folder / name


def read(folder: Path, name: str = "a", limit: int = 100) -> bytes:
    with open_own(str(folder)) as descriptor:
        return read_own(descriptor, name, limit)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write(tmp_path / "deep/own")
    assert read(tmp_path / "deep/own") == b"content"
    assert ((tmp_path / "deep/own").stat().st_mode & 0o777, (tmp_path / "deep/own/a").stat().st_mode & 0o777) == (0o700, 0o600)


def test_an_entry_is_bounded_whole_and_under_its_own_name(tmp_path: Path) -> None:
    entry = write(tmp_path / "own")
    with pytest.raises(NotOwnError):
        read(tmp_path / "own", limit=6)
    entry.rename(tmp_path / "own/b")
    with pytest.raises(NotOwnError, match="damaged"):
        read(tmp_path / "own", "b")
    (tmp_path / "own/b").rename(entry)
    entry.write_bytes(entry.read_bytes()[:-1])
    with pytest.raises(NotOwnError, match="damaged"):
        read(tmp_path / "own")
    (tmp_path / "own/pipe").touch()
    (tmp_path / "own/pipe").unlink()
    os.mkfifo(tmp_path / "own/pipe", 0o600)
    with pytest.raises(NotOwnError, match="not an entry"):
        read(tmp_path / "own", "pipe")


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "own/a").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write(tmp_path / "own")
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["a"]


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    for name in "abc":
        os.utime(write(tmp_path / "own", name), (10, 10))
    with open_own(str(tmp_path / "own")) as folder:
        touch_own(folder, "b")
        evict_own(folder, 1, 1000)
        assert [path.name for path in (tmp_path / "own").iterdir()] == ["b"]
        evict_own(folder, 1, 10)
        assert list((tmp_path / "own").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
@pytest.mark.parametrize("what", ["the folder", "the entry"])
def test_what_belongs_to_another_is_not_read(tmp_path: Path, what: str) -> None:
    entry = write(tmp_path / "own")
    os.chown(entry if what == "the entry" else entry.parent, OTHER, OTHER)
    with pytest.raises(NotOwnError):
        read(tmp_path / "own")
    with pytest.raises(NotOwnError), open_own(str(tmp_path / "own"), make=what == "the folder") as folder:
        read_own(folder, "a", 100)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_a_way_is_safe_when_only_root_and_oneself_decide_it(tmp_path: Path) -> None:
    foreign, group, sticky = tmp_path / "foreign", tmp_path / "group", tmp_path / "sticky"
    for folder in (foreign / "root's", group / "root's", sticky / "root's"):
        folder.mkdir(parents=True)
    os.chown(foreign, OTHER, OTHER)
    group.chmod(0o770)
    sticky.chmod(0o1777)
    (tmp_path / "link").symlink_to(foreign)
    safe = [tmp_path, sticky / "root's", sticky / "root's/not/there/yet"]
    unsafe = [foreign, foreign / "root's", group / "root's", sticky, sticky / "not-there-yet", tmp_path / "link/root's"]
    assert [is_safe_way(str(path)) for path in safe] == [True] * len(safe)
    assert [is_safe_way(str(path)) for path in unsafe] == [False] * len(unsafe)
    assert [is_safe_way(path) for path in ("", "relative")] == [False, False]


def test_a_home_that_another_decides_is_roots_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    kept = {"HOME": "/", "XDG_CACHE_HOME": "/usr"}
    assert correct_homes(kept) == {}
    foreign = {"HOME": "relative", "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": "/usr"}
    assert correct_homes(foreign) == {"HOME": find_home(), "XDG_CACHE_HOME": None}
    assert correct_homes({}) == {"HOME": find_home()}
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    assert correct_homes(foreign) == {}
