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
from gitops.transport.ssh import Destination, Payload, Ssh, run_ssh
from tests.support.rooted import Rooted, file

ROOT = Path(__file__).parents[3]
PAYLOAD = Payload.make()
PROGRAM = "import sys; sys.path.insert(0, '.'); sys.stdin.buffer.read(int(sys.argv[1])); from gitops.transport.bootstrap import main; main(sys.stdin.buffer)"


def test_a_request_is_answered_as_over_ssh(tmp_path: Path) -> None:
    size = len(Path(bootstrap.__file__).read_bytes())
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


def test_what_arrives_damaged_is_not_kept_and_a_wrong_folder_is_moved_aside(tmp_path: Path) -> None:
    members = tuple(PAYLOAD.members.items())
    folder = tmp_path / PAYLOAD.tree
    with pytest.raises(SystemExit, match="damaged"):
        bootstrap.install(members[:3], str(tmp_path), str(folder), PAYLOAD.tree)
    assert list(tmp_path.iterdir()) == []
    (folder / "wrong").mkdir(parents=True)
    (folder / "wrong/file").write_text("x")
    (folder / "link").symlink_to("/")
    bootstrap.install(members, str(tmp_path), str(folder), PAYLOAD.tree)
    assert (list(tmp_path.iterdir()), bootstrap.digest_tree(str(folder))) == ([folder], PAYLOAD.tree)
    (folder / "dangling").symlink_to("nowhere")
    assert bootstrap.digest_tree(str(folder)) == ""


def test_leftovers_are_swept_when_they_are_old_and_nobody_uses_them(tmp_path: Path) -> None:
    for name in ("new-old", "new-used", "new-fresh", "kept"):
        (tmp_path / name / "d").mkdir(parents=True)
        (tmp_path / name / "link").symlink_to(tmp_path / "kept")
        os.utime(tmp_path / name, None if name == "new-fresh" else (0, 0))
    descriptor = os.open(tmp_path / "new-used", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    bootstrap.sweep(str(tmp_path))
    os.close(descriptor)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "new-fresh", "new-used"]


def test_executors_that_nobody_used_for_long_go_and_use_is_noted(tmp_path: Path) -> None:
    days = {"a" * 64: 40, "b" * 64: 40, "c" * 64: 20}
    for name, age in days.items():
        (tmp_path / name / "gitops").mkdir(parents=True)
        (tmp_path / name / "gitops/x.py").write_text("x\n")
        then = time.time() - age * bootstrap.DAY_SECONDS
        os.utime(tmp_path / name, (then, then))
    bootstrap.note_use(str(tmp_path / ("b" * 64)))
    bootstrap.note_use(str(tmp_path / "not-there"))
    bootstrap.sweep(str(tmp_path))
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == ["b", "c"]


def test_a_short_stream_ends_it() -> None:
    with pytest.raises(SystemExit, match="nothing was done"):
        bootstrap.read_exactly(io.BytesIO(b"abc"), 4)
