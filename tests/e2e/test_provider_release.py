"""External providers through a release: the agent runs the program that was approved, and no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.enrolled import open_enrolled
from agent.settings import Settings
from gitops.errors import TrustError
from gitops.model.graph import Graphs
from tests.support.agents import HOST, Rig
from tests.support.programs import lay_out, scaffold, thing
from tests.support.releases import graphs_of


def graphs(folder: Path, text: str, value: str = "one") -> Graphs:
    data = text.encode()
    executable = lay_out(folder, text)
    return graphs_of({HOST: [thing(executable, value)]}, blobs={str(executable["blob"]): data})


def make(folder: Path, *, required: int = 0) -> Rig:
    rig = Rig.make(folder, required=required)
    rig.machine = open_enrolled(folder / "state", replace(Settings(), lock_seconds=0), "")
    return rig


@pytest.mark.parametrize("language", ["python", "sh"])
def test_a_provider_travels_in_the_release_and_heals(tmp_path: Path, language: str) -> None:
    rig, file = make(tmp_path), tmp_path / "conf"
    rig.publisher.release(graphs(tmp_path, scaffold(language, file)))
    rig.cycle()
    assert file.read_text() == "a = one\n"
    file.write_text("a = by hand\nb = mine\n")
    rig.cycle()
    assert sorted(file.read_text().splitlines()) == ["a = one", "b = mine"]


def test_another_program_than_the_approved_one_never_runs(tmp_path: Path) -> None:
    rig, file = make(tmp_path, required=1), tmp_path / "conf"
    first = graphs(tmp_path, scaffold("python", file))
    rig.publisher.release(first, approvals=[rig.publisher.approve(first)])
    rig.cycle()
    trap = tmp_path / "ran"
    other = graphs(tmp_path, scaffold("python", file).replace("def main():", f"open({str(trap)!r}, 'w')\n\n\ndef main():"))
    rig.publisher.release(other, approvals=[rig.publisher.approve(first)])
    assert rig.cycle().status == TrustError.exit_status
    assert not trap.exists()


def test_a_program_spoiled_in_the_repository_never_runs(tmp_path: Path) -> None:
    rig, trap = make(tmp_path), tmp_path / "ran"
    found = graphs(tmp_path, scaffold("python", tmp_path / "conf"))
    digest = next(iter(found.blobs))

    def spoil(files: dict[str, bytes]) -> None:
        files[f"blobs/{digest[:2]}/{digest}"] = f"#!/bin/sh\ntouch {trap}\n".encode()

    rig.publisher.release(found, spoil=spoil)
    assert rig.cycle().status == TrustError.exit_status
    assert not trap.exists()
