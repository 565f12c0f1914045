"""Attacks of a user of the machine: what lies below that user's home, or in files that he may write to, while root runs.

A case is a JSON file: what was put where (a function below), and what must come of it when the real `gitops apply --local` runs as root with
that user's HOME and XDG folders, as after a sudo that keeps them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gitops.executor.ownfolder import seal_own
from gitops.transport.local import keep_executor
from gitops.transport.pack import make_pack
from gitops.transport.payload import build_payload
from tests.support.project import PROJECT, write_files

CASES = {path.stem: json.loads(path.read_text()) for path in sorted(Path(__file__).parent.glob("bytes-*.json"))}
USER = 4242
MOTD = "apiVersion: gitops/v1\nkind: Host\nmetadata: {name: web-1, labels: {env: production}}\nspec:\n  connection: local\n  modules: [{name: m}]\n"
MODULE = 'package module\n#Params: {}\nresources: [{file: "/etc/motd", content: "hello"}]\n'


@dataclass
class Scene:
    """A user's home, a project with CUE in it, and the note that shows whose code ran."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def cache(self) -> Path:
        return self.home / ".cache/gitops"

    @property
    def note(self) -> Path:
        return self.folder / "was-run"

    @property
    def evil(self) -> str:
        return f"open({str(self.note)!r}, 'w').close()\n"

    def give_away(self) -> None:
        for place, folders, names in os.walk(self.home):
            for name in (*folders, *names):
                os.chown(Path(place, name), USER, USER, follow_symlinks=False)
        os.chown(self.home, USER, USER)

    def run(self, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Apply the project below a scratch root."""
        (self.folder / "root/etc").mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "gitops.cli", "-C", "project", "apply", "--local", "--host", "web-1", "--yes"]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "COV", "GITOPS_"))}
        return subprocess.run(
            [*command, "--root", str(self.folder / "root"), "--state", str(self.folder / "state")],
            cwd=self.folder,
            env={**clean, "GITOPS_CUE": os.environ.get("GITOPS_CUE", ""), **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def put_executor(scene: Scene) -> None:
    """A kept executor that runs the user's code, in the right place and under the right name."""
    kept = keep_executor(build_payload(), scene.cache)
    evil = make_pack(
        {"gitops/__init__.py": scene.evil.encode(), "gitops/executor/__init__.py": b"", "gitops/executor/__main__.py": b""}
    )
    kept.path.write_bytes(seal_own(kept.path.name, evil) + evil)


def put_results(scene: Scene) -> None:
    """Results of CUE and compiled hosts, all edited."""
    scene.run({"HOME": str(scene.folder / "other"), "XDG_CACHE_HOME": str(scene.home / ".cache")})
    edited = 0
    for path in (*scene.cache.glob("cue/*"), *scene.cache.glob("compiled/*")):
        content = path.read_bytes()[64:].replace(b"hello", b"EVIL!")
        path.write_bytes(seal_own(path.name, content) + content)
        edited += b"EVIL!" in content
    assert edited > 0, "there was something to edit"
    (scene.folder / "root/etc/motd").unlink()


def put_link(scene: Scene) -> None:
    """A link in the place of the cache, to a folder of the user's."""
    (scene.home / "mine/executor").mkdir(parents=True)
    (scene.home / ".cache").mkdir()
    scene.cache.symlink_to(scene.home / "mine")


def put_git_settings(scene: Scene) -> None:
    """Settings of git that run a program."""
    program = scene.home / "program"
    write_files(
        scene.home,
        {".gitconfig": f"[core]\n\tfsmonitor = {program}\n\tpager = {program}\n", "program": f"#!/bin/sh\n: > {scene.note}\n"},
    )
    program.chmod(0o755)


def put_huge_file(scene: Scene) -> None:
    """A managed file that was made six gigabytes long."""
    (scene.folder / "root/etc").mkdir(parents=True)
    with (scene.folder / "root/etc/motd").open("wb") as stream:
        stream.truncate(6 << 30)
    scene.home.mkdir(exist_ok=True)


PUT: Mapping[str, Callable[[Scene], None]] = {
    "an executor": put_executor,
    "results": put_results,
    "a link": put_link,
    "settings of git": put_git_settings,
    "a huge file": put_huge_file,
}


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be attacked so")
@pytest.mark.parametrize("name", CASES)
def test_root_runs_and_believes_nothing_that_another_user_put_there(name: str, tmp_path: Path) -> None:
    case: dict[str, Any] = CASES[name]
    scene = Scene(tmp_path)
    write_files(tmp_path / "project", {"gitops.yaml": PROJECT, "inventory/web.yaml": MOTD, "modules/m/module.cue": MODULE})
    scene.home.mkdir()
    PUT[case["put"]](scene)
    scene.give_away()
    before = {path: path.lstat().st_uid for path in scene.home.rglob("*")}
    environment = {key: value.format(home=scene.home) for key, value in case["environment"].items()}
    done = scene.run(environment)
    assert done.returncode == case["expected"]["exit"], done.stderr
    assert ((tmp_path / "root/etc/motd").read_text(), scene.note.exists()) == ("hello", False)
    assert all(words in done.stdout + done.stderr for words in case["expected"].get("says", []))
    assert {path: path.lstat().st_uid for path in scene.home.rglob("*")} == before, "root leaves nothing there"
    assert sum(path.lstat().st_blocks * 512 for path in (tmp_path / "state").rglob("*")) < 1 << 20
