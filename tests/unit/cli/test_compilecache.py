"""The cache of compiled config: the same text is compiled once, and nothing but what this user wrote is believed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.model.graph import Graphs, HostGraph
from gitops.model.limits import DEFAULTS
from gitops.model.resource import Resource
from gitops.pipeline.compilecache import CompiledHere, digest_inputs, hold_tree, keep_compiled, read_compiled
from gitops.source.snapshot import Snapshot, snapshot_folder
from tests.support.cli import call
from tests.support.project import SMALL, write_files

KEY = "a" * 64


def compiled(content: str = "hello") -> CompiledHere:
    resource = Resource("file", "/etc/motd", {"content": content})
    return CompiledHere("acme", Graphs("production", {"web-1": HostGraph("web-1", "production", resources=(resource,))}))


def entry_of(cache: Path, key: str = KEY) -> Path:
    return cache / "compiled" / key


def held(folder: Path) -> Snapshot:
    found = hold_tree(snapshot_folder(folder))
    assert found is not None
    return found


def test_what_is_kept_is_found_and_is_this_users_alone(tmp_path: Path) -> None:
    assert read_compiled(tmp_path, KEY) is None
    keep_compiled(tmp_path, KEY, compiled())
    assert read_compiled(tmp_path, KEY) == compiled()
    assert entry_of(tmp_path).stat().st_mode & 0o777 == 0o600
    assert entry_of(tmp_path).parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", [b"", b"x", b"0" * 64 + b"\n{}", b"not even text \xff"])
def test_a_damaged_entry_is_one_that_is_not_there(tmp_path: Path, damage: bytes) -> None:
    keep_compiled(tmp_path, KEY, compiled())
    entry_of(tmp_path).write_bytes(damage)
    assert read_compiled(tmp_path, KEY) is None


def test_one_changed_byte_is_noticed(tmp_path: Path) -> None:
    keep_compiled(tmp_path, KEY, compiled("hello"))
    data = entry_of(tmp_path).read_bytes()
    entry_of(tmp_path).write_bytes(data.replace(b"hello", b"hullo"))
    assert read_compiled(tmp_path, KEY) is None


def test_an_entry_under_another_name_is_not_believed(tmp_path: Path) -> None:
    keep_compiled(tmp_path, KEY, compiled())
    entry_of(tmp_path).rename(entry_of(tmp_path, "b" * 64))
    assert read_compiled(tmp_path, "b" * 64) is None


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o755])
def test_a_folder_that_others_reach_is_not_read_and_closed_before_it_is_written(tmp_path: Path, mode: int) -> None:
    keep_compiled(tmp_path, KEY, compiled())
    entry_of(tmp_path).parent.chmod(mode)
    assert read_compiled(tmp_path, KEY) is None
    keep_compiled(tmp_path, "b" * 64, compiled())
    assert entry_of(tmp_path, "b" * 64).parent.stat().st_mode & 0o777 == 0o700


def test_links_and_pipes_are_not_followed(tmp_path: Path) -> None:
    keep_compiled(tmp_path, KEY, compiled())
    entry_of(tmp_path).rename(tmp_path / "elsewhere")
    entry_of(tmp_path).symlink_to(tmp_path / "elsewhere")
    assert read_compiled(tmp_path, KEY) is None
    entry_of(tmp_path).unlink()
    os.mkfifo(entry_of(tmp_path), 0o600)
    assert read_compiled(tmp_path, KEY) is None
    (tmp_path / "compiled").rename(tmp_path / "real")
    (tmp_path / "compiled").symlink_to(tmp_path / "real")
    keep_compiled(tmp_path, "b" * 64, compiled())
    assert not entry_of(tmp_path, "b" * 64).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder that is another user's")
def test_another_users_folder_is_not_believed(tmp_path: Path) -> None:
    keep_compiled(tmp_path, KEY, compiled())
    os.chown(tmp_path / "compiled", 65534, 65534)
    assert read_compiled(tmp_path, KEY) is None


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    limits = replace(DEFAULTS, cached_entries=2)
    for number, key in enumerate(("a" * 64, "b" * 64)):
        keep_compiled(tmp_path, key, compiled(), limits)
        os.utime(entry_of(tmp_path, key), (number, number))
    assert read_compiled(tmp_path, "a" * 64) is not None
    keep_compiled(tmp_path, "c" * 64, compiled(), limits)
    assert sorted(item.name[0] for item in (tmp_path / "compiled").iterdir()) == ["a", "c"]


def test_too_large_is_not_kept(tmp_path: Path) -> None:
    keep_compiled(tmp_path, KEY, compiled(), replace(DEFAULTS, cached_entry_bytes=10))
    assert read_compiled(tmp_path, KEY) is None
    (tmp_path / "file").write_bytes(b"12345")
    assert hold_tree(snapshot_folder(tmp_path), replace(DEFAULTS, cached_source_bytes=4)) is None


def test_a_key_names_text_kind_host_and_cue(tmp_path: Path) -> None:
    project = write_files(tmp_path / "project", SMALL)
    keys = [digest_inputs(held(project), "web-1"), digest_inputs(held(project), "web-2")]
    (project / "gitops.yaml").chmod(0o755)
    keys.append(digest_inputs(held(project), "web-1"))
    (project / "more.yaml").write_text("# a comment\n", encoding="utf-8")
    keys.append(digest_inputs(held(project), "web-1"))
    (project / "more.yaml").rename(project / "more.cue")
    keys.append(digest_inputs(held(project), "web-1", "/usr/bin/true"))
    keys.append(digest_inputs(held(project), "web-1", "/usr/bin/false"))
    assert len(set(keys)) == len(keys)
    assert digest_inputs(held(project), "web-1", "/usr/bin/false") == keys[-1]


def test_apply_uses_what_is_kept_and_no_cache_does_not(tmp_path: Path) -> None:
    project, root = write_files(tmp_path / "project", SMALL), tmp_path / "root"
    root.mkdir()
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    words = ("-C", project, "apply", "--local", "--host", "web-1", "--root", root, "--state", tmp_path / "state", "--yes")
    folder = tmp_path / "cache" / "gitops" / "compiled"
    assert call(*words, "--no-cache", env=environment).status == 0
    assert not folder.exists()
    assert call(*words, env=environment).status == 0
    (kept,) = folder.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1])
    assert call(*words, env=environment).status == 0
    assert kept.read_bytes() == whole
    assert call(*words, env=environment).status == 0
