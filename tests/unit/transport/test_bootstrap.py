"""The host's side of a push, called here: what it keeps, what it refuses, what it sweeps."""

from __future__ import annotations

import fcntl
import io
import os
import sys
import time
from pathlib import Path

import pytest

from gitops.transport import bootstrap
from gitops.transport.pack import name_pack
from gitops.transport.ssh import Destination, Payload, Ssh, bootstrap_source, run_ssh
from tests.support.rooted import Rooted, file

ROOT = Path(__file__).parents[3]
PAYLOAD = Payload.make()
PROGRAM = "import sys; sys.path.insert(0, '.'); sys.stdin.buffer.read(int(sys.argv[1])); from gitops.transport.bootstrap import main; main(sys.stdin.buffer)"


def test_a_request_is_answered_as_over_ssh(tmp_path: Path) -> None:
    size = len(bootstrap_source())
    program = tmp_path / "ssh"
    setup = f"#!/bin/sh\ncd {ROOT} && export XDG_CACHE_HOME={tmp_path}/cache GITOPS_STATE_DIR={tmp_path}/s\n"
    setup += "".join(f"export {name}='{value}'\n" for name, value in os.environ.items() if name.startswith("COVERAGE_"))
    program.write_text(f'{setup}exec {sys.executable} -c "{PROGRAM}" {size}\n')
    program.chmod(0o755)
    machine = Rooted(tmp_path)
    ssh = Ssh(program=str(program), environment=dict(os.environ))
    data = b"x" * 200_000
    for _ in range(2):
        done = run_ssh(
            machine.request("apply", (file("/etc/x", "a"),)), Destination("h"), ssh, payload=PAYLOAD, blobs={"a" * 64: data}
        )
        assert (done.status, machine.read("/etc/x"), list((tmp_path / "cache/gitops/contents").iterdir())) == (0, "a", [])


def test_the_folders_are_those_that_the_machine_itself_would_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert bootstrap.find_cache().endswith("/.cache/gitops")
    assert bootstrap.find_state() == os.environ["GITOPS_STATE_DIR"]
    monkeypatch.delenv("GITOPS_STATE_DIR")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert bootstrap.find_state() == "/var/lib/gitops"
    monkeypatch.setattr(os, "geteuid", os.getuid if os.getuid() else lambda: 65534)
    assert bootstrap.find_state().endswith("/.local/state/gitops")
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert bootstrap.find_state() == "/somewhere/gitops"


def test_a_folder_of_somebody_else_or_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o777)
    (tmp_path / "executor").symlink_to(tmp_path / "real")
    (tmp_path / "file").write_text("")
    for base, name in ((tmp_path, "executor"), (tmp_path / "file", "x")):
        with pytest.raises(SystemExit, match="gitops: "):
            bootstrap.own_folder(str(base), name)
    assert Path(bootstrap.own_folder(str(tmp_path), "real")).stat().st_mode & 0o777 == 0o700


def test_what_arrives_damaged_is_neither_run_nor_kept(tmp_path: Path) -> None:
    members = dict(PAYLOAD.members)
    parent = bootstrap.own_folder(str(tmp_path), "executor")
    with pytest.raises(SystemExit, match="damaged"):
        bootstrap.keep_pack(parent, dict(list(members.items())[:3]), PAYLOAD.tree)
    assert (bootstrap.find_pack(parent, PAYLOAD.tree), list(Path(parent).iterdir())) == (b"", [])
    pack = bootstrap.keep_pack(parent, members, PAYLOAD.tree)
    assert (bootstrap.find_pack(parent, PAYLOAD.tree) == pack, list(Path(parent).iterdir())) == (
        True,
        [Path(parent, name_pack(PAYLOAD.tree))],
    )


def test_what_cannot_be_kept_runs_all_the_same(tmp_path: Path) -> None:
    parent = tmp_path / "executor"
    parent.mkdir(mode=0o755)
    assert bootstrap.keep_pack(str(parent), dict(PAYLOAD.members), PAYLOAD.tree)
    assert bootstrap.find_pack(str(parent), PAYLOAD.tree) == b"", "the folder is not this user's alone"


def test_leftovers_are_swept_when_they_are_old_and_nobody_uses_them(tmp_path: Path) -> None:
    for name in ("new-old", "new-used", "new-fresh", "kept"):
        (tmp_path / name / "d").mkdir(parents=True)
        (tmp_path / name / "link").symlink_to(tmp_path / "kept")
        os.utime(tmp_path / name, (0, 0) if name in ("new-old", "new-used") else None)
    descriptor = os.open(tmp_path / "new-used", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    bootstrap.sweep(str(tmp_path))
    os.close(descriptor)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "new-fresh", "new-used"]


def test_executors_that_nobody_used_for_long_go(tmp_path: Path) -> None:
    for name, age in {"a" * 64: 40, "c" * 64: 20}.items():
        (tmp_path / name / "gitops").mkdir(parents=True)
        then = time.time() - age * bootstrap.DAY_SECONDS
        os.utime(tmp_path / name, (then, then))
    (tmp_path / "old-file").write_text("x")
    os.utime(tmp_path / "old-file", (0, 0))
    bootstrap.sweep(str(tmp_path))
    assert [path.name[0] for path in tmp_path.iterdir()] == ["c"]


def test_a_short_stream_ends_it() -> None:
    with pytest.raises(SystemExit, match="nothing was done"):
        bootstrap.read_exactly(io.BytesIO(b"abc"), 4)
