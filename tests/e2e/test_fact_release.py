"""Custom facts through a release: the agent asks the program that was approved, and no other, and reports what it told."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from agent.enrolled import open_enrolled
from agent.settings import Settings
from gitops.errors import TrustError
from gitops.executor.host import RealHost
from gitops.model.facts import FactProgram
from gitops.model.graph import Graphs
from gitops.pipeline.project import examine_tree
from gitops.source.snapshot import snapshot_folder
from tests.support.agents import HOST, Rig
from tests.support.programs import lay_out
from tests.support.project import SMALL, write_files
from tests.support.releases import graphs_of
from tests.support.rooted import file

PAGE = Path(__file__).parents[2] / "docs/how-to/custom-facts.md"


def graphs(folder: Path, text: str, *values: str) -> Graphs:
    """One file that is only where `custom.rack` has one of these values, as `text` tells it."""
    executable = lay_out(folder, text)
    fact = FactProgram(str(executable["blob"]), len(text))
    resource = replace(file(f"{folder}/motd", "x\n", when={"custom.rack": values}), facts={"custom.rack": fact})
    return graphs_of({HOST: [resource]}, blobs={fact.blob: text.encode()})


def make(folder: Path, *, required: int = 0) -> Rig:
    rig = Rig.make(folder, required=required)
    rig.machine = open_enrolled(folder / "state", replace(Settings(), lock_seconds=0), "")
    return rig


def test_a_fact_travels_in_the_release_decides_and_heals(tmp_path: Path) -> None:
    rig, made = make(tmp_path), tmp_path / "motd"
    (tmp_path / "rack").write_text("r9\n")
    rig.publisher.release(graphs(tmp_path, f"#!/bin/sh\ncat {tmp_path}/rack\n", "r1", "r2"))
    assert rig.cycle().status == 0
    assert not made.exists()
    (tmp_path / "rack").write_text("r2\n")  # the machine moved: what was approved for that rack is put there
    assert rig.cycle().status == 0
    assert made.read_text() == "x\n"
    made.write_text("by hand")
    rig.cycle()
    assert made.read_text() == "x\n"


def test_another_program_than_the_approved_one_is_never_asked(tmp_path: Path) -> None:
    rig, trap = make(tmp_path, required=1), tmp_path / "ran"
    first = graphs(tmp_path, "#!/bin/sh\necho r9\n", "r1")
    rig.publisher.release(first, approvals=[rig.publisher.approve(first)])
    assert rig.cycle().status == 0
    other = graphs(tmp_path, f"#!/bin/sh\ntouch {trap}\necho r1\n", "r1")
    rig.publisher.release(other, approvals=[rig.publisher.approve(first)])
    assert rig.cycle().status == TrustError.exit_status
    assert not trap.exists()
    rig = make(tmp_path / "approved", required=1)
    rig.publisher.release(other, approvals=[rig.publisher.approve(other)])
    rig.cycle()
    assert trap.exists()  # the trap works


def test_a_program_spoiled_in_the_repository_is_never_asked(tmp_path: Path) -> None:
    rig, trap = make(tmp_path), tmp_path / "ran"
    found = graphs(tmp_path, "#!/bin/sh\necho r1\n", "r1")
    digest = next(iter(found.blobs))

    def spoil(files: dict[str, bytes]) -> None:
        files[f"blobs/{digest[:2]}/{digest}"] = f"#!/bin/sh\ntouch {trap}\n".encode()

    rig.publisher.release(found, spoil=spoil)
    assert rig.cycle().status == TrustError.exit_status
    assert not trap.exists()


def test_a_program_exchanged_on_the_machine_is_never_asked(tmp_path: Path) -> None:
    rig, trap = make(tmp_path), tmp_path / "ran"
    found = graphs(tmp_path, "#!/bin/sh\necho r1\n", "r1")
    rig.publisher.release(found)
    assert rig.cycle().status == 0
    digest = next(iter(found.blobs))
    (place,) = (tmp_path / "state").rglob(digest)
    place.chmod(0o600)
    place.write_text(f"#!/bin/sh\ntouch {trap}\necho r1\n")
    (tmp_path / "motd").unlink()
    assert rig.cycle().status == 4
    assert not trap.exists()
    assert not (tmp_path / "motd").exists()


def test_the_how_to_page_is_a_project_that_compiles_and_its_programs_tell(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {}
    for block in re.findall(r"```(?:yaml|sh)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        named = re.search(r"(?m)^# ((?:facts|groups)/[a-z.]+)", block)
        assert named is not None
        files[named[1]] = block
    assert sorted(files) == ["facts/disks", "facts/facts.yaml", "facts/rack", "groups/all.yaml"]
    found = examine_tree(snapshot_folder(write_files(tmp_path, {**SMALL, **files})))
    assert found.diagnostics == ()
    graphs = found.graphs["production"]
    asked = {name: fact for resource in graphs.resources_of("web-1") for name, fact in resource.facts.items()}
    assert sorted(asked) == ["custom.disks", "custom.rack"]
    for fact in asked.values():
        lay_out(tmp_path, graphs.blobs[fact.blob].decode())
    host = RealHost(blobs=str(tmp_path / "blobs"))
    assert host.ask_fact(asked["custom.disks"]).isdigit()
    assert host.ask_fact(asked["custom.rack"])
