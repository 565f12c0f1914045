"""Custom facts in a project: declared, checked, named by digest; nothing of them runs while a stranger's commit is planned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gitops.model.codec import digest_bytes
from gitops.model.facts import FactProgram, Probe
from gitops.model.fleetplan import FleetPlan, PlanSubject
from gitops.model.graph import Graphs
from gitops.model.observation import Observation
from gitops.pipeline.project import Examined, examine_tree
from gitops.plan.fleet import FleetInputs, plan_fleet
from gitops.providers.registry import PROVIDERS
from gitops.source.snapshot import snapshot_folder
from gitops.trust.contents import find_blobs, find_programs
from tests.support.cli import call
from tests.support.nouns import NOW
from tests.support.planning import observe, with_content
from tests.support.programs import lay_out, thing
from tests.support.project import PROJECT, codes, examine_files, write_files

PROGRAM = "#!/bin/sh\necho r1\n"
FACTS = """\
apiVersion: gitops/v1
kind: Fact
metadata: {name: rack}
spec: {program: facts/rack}
---
apiVersion: gitops/v1
kind: Fact
metadata: {name: slots}
spec: {program: facts/slots.py, type: integer, timeout: 30}
---
apiVersion: gitops/v1
kind: Fact
metadata: {name: is-raid}
spec: {program: facts/rack, type: boolean}
"""
HOST = """\
apiVersion: gitops/v1
kind: Host
metadata: {name: a, labels: {env: production}}
spec:
  resources:
"""
MOTD = '    - {file: /etc/motd, content: "x\\n", when: {custom.rack: [r1, r2], os.family: debian}}\n'
RACK = FactProgram(digest_bytes(PROGRAM.encode()), len(PROGRAM))


def examine(folder: Path, resources: str = MOTD, files: Mapping[str, str] | None = None) -> Examined:
    texts = {
        "gitops.yaml": PROJECT,
        "host.yaml": HOST + resources,
        "facts/facts.yaml": FACTS,
        "facts/rack": PROGRAM,
        "facts/slots.py": "#!/usr/bin/env python3\nprint(4)\n",
        **(files or {}),
    }
    return examine_files(folder, texts)


def test_a_resource_carries_what_it_asks_and_the_digest_of_who_tells_it(tmp_path: Path) -> None:
    found = examine(tmp_path)
    assert found.diagnostics == ()
    graphs = found.graphs["production"]
    (resource,) = graphs.resources_of("a")
    assert resource.when == {"custom.rack": ("r1", "r2"), "os.family": ("debian",)}
    assert resource.facts == {"custom.rack": RACK}
    assert graphs.blobs == {RACK.blob: PROGRAM.encode()}
    assert find_blobs([resource]) == find_programs([resource]) == {RACK.blob}


def test_a_fact_that_nobody_asks_ships_nothing(tmp_path: Path) -> None:
    found = examine(tmp_path, '    - {file: /etc/motd, content: "x", when: {os.family: debian}}\n')
    assert (found.diagnostics, found.graphs["production"].blobs) == ((), {})


def test_values_are_written_as_the_fact_is_typed(tmp_path: Path) -> None:
    when = "{custom.slots: [4, -1], custom.is-raid: true}"
    (resource,) = (
        examine(tmp_path, f'    - {{file: /etc/motd, content: "x", when: {when}}}\n').graphs["production"].resources_of("a")
    )
    assert resource.when == {"custom.slots": ("4", "-1"), "custom.is-raid": ("true",)}
    assert (resource.facts["custom.slots"].type, resource.facts["custom.slots"].timeout) == ("integer", 30)


def test_groups_and_modules_ask_too(tmp_path: Path) -> None:
    shared = {
        "group.yaml": f"apiVersion: gitops/v1\nkind: Group\nmetadata: {{name: all}}\nspec:\n  selector: {{}}\n  modules: [m]\n  resources:\n{MOTD}",
        "modules/m/module.yaml": f"apiVersion: gitops/v1\nkind: Module\nmetadata: {{name: m}}\nspec:\n  resources:\n{MOTD.replace('motd', 'm')}",
    }
    graphs = examine(tmp_path, "    []\n", shared).graphs["production"]
    assert [resource.facts for resource in graphs.resources_of("a")] == [{"custom.rack": RACK}] * 2
    assert set(graphs.blobs) == {RACK.blob}


def test_programs_of_external_things_are_found_and_contents_are_not(tmp_path: Path) -> None:
    executable = lay_out(tmp_path, PROGRAM)
    graphs = examine(tmp_path, "    - {file: /etc/motd, source: x.bin}\n", {"files/x.bin": "content"}).graphs["production"]
    assert find_programs([*graphs.resources_of("a"), thing(executable)]) == {RACK.blob}


@pytest.mark.parametrize(
    ("when", "code", "words", "hint"),
    [
        ("{custom.rak: a}", "C214", "unknown fact `custom.rak`", "did you mean `custom.rack`?"),
        ("{custom.: a}", "C214", "unknown fact `custom.`", ""),
        ("{custom.nothing-like-it: a}", "C214", "unknown fact", "a document of the kind Fact"),
        ("{custom.rack: 5}", "C105", "custom.rack is declared as string; this value is not a string", "quote it"),
        ("{custom.rack: []}", "C105", "is not a string", ""),
        ("{custom.rack: {a: b}}", "C105", "is not a string", ""),
        ('{custom.rack: "a\\tb"}', "C105", "holds a control character", ""),
        ("{custom.slots: four}", "C105", "custom.slots is declared as integer; this value is not an integer", ""),
        ("{custom.slots: 4.0}", "C105", "is not an integer", ""),
        ("{custom.slots: [4, true]}", "C105", "is not an integer", ""),
        ("{custom.is-raid: 'true'}", "C105", "is not true or false", ""),
    ],
)
def test_a_mistake_in_a_question_is_shown_at_its_place(tmp_path: Path, when: str, code: str, words: str, hint: str) -> None:
    found = examine(tmp_path, f'    - {{file: /etc/motd, content: "x", when: {when}}}\n')
    assert codes(found) == [code]
    assert words in found.diagnostics[0].message
    assert hint in found.diagnostics[0].hint
    assert (found.diagnostics[0].place.file, found.diagnostics[0].place.line) == ("host.yaml", 6)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("program: facts/rack}", "program: ../rack}", "C305"),
        ("program: facts/rack}", "program: /bin/sh}", "C305"),
        ("program: facts/rack}", "program: facts//rack}", "C305"),
        ("program: facts/rack}", "program: 5}", "C305"),
        ("program: facts/rack}", "program: facts/other}", "C301"),
        ("program: facts/rack}", "program: facts/facts.yaml}", "C220"),
        ("program: facts/rack}", "program: facts/rack, timeout: 31}", "C105"),
        ("program: facts/rack}", "program: facts/rack, timeout: 0}", "C105"),
        ("program: facts/rack}", "program: facts/rack, type: list}", "C105"),
        ("program: facts/rack}", "program: facts/rack, user: root}", "C104"),
        ("program: facts/rack}", "executable: facts/rack}", "C106"),
        ("name: slots", "name: rack", "C108"),
        ("name: rack", "name: Rack", "C109"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_declaration_is_shown_and_nothing_follows_from_it(tmp_path: Path, old: str, new: str, code: str) -> None:
    found = examine(tmp_path, files={"facts/facts.yaml": FACTS.replace(old, new, 1)})
    assert set(codes(found)) - {"C104"} == {code} - {"C104"}
    assert code in codes(found)
    assert {item.place.file for item in found.diagnostics} == {"facts/facts.yaml"}


def test_a_program_that_is_a_link_or_too_large_is_refused(tmp_path: Path) -> None:
    assert codes(examine(tmp_path / "a", files={"facts/rack": "#!" + "x" * (16 * 1024 * 1024)})) == ["C602", "C602"]
    folder = write_files(tmp_path / "b", {"facts/real": PROGRAM})
    (folder / "facts/rack").symlink_to("/bin/sh")
    texts = {"gitops.yaml": PROJECT, "host.yaml": HOST + MOTD, "facts/facts.yaml": FACTS.split("---", maxsplit=1)[0]}
    assert codes(examine_tree(snapshot_folder(write_files(folder, texts)))) == ["C610"]


def test_nothing_of_a_strangers_fact_runs_while_it_is_planned(tmp_path: Path) -> None:
    marker, project = tmp_path / "ran", tmp_path / "project"
    resource = f'    - {{file: {tmp_path}/made, content: "x", when: {{custom.rack: r1}}}}\n'
    assert examine(project, resource, {"facts/rack": f"#!/bin/sh\ntouch {marker}\n"}).diagnostics == ()
    (project / "facts/rack").chmod(0o755)
    local = ("--local", "--host", "a", "--state", tmp_path / "state")
    for verb in (("validate",), ("compile",), ("plan",), ("explain", "a"), ("plan", *local), ("apply", *local, "--dry-run")):
        assert call("-C", project, *verb).status in (0, 2), verb
    assert not marker.exists()
    assert call("-C", project, "plan", *local, "--guards").status == 4
    assert marker.exists()  # the trap works


def plan_in_service(released: Graphs, desired: Graphs, observation: Observation) -> FleetPlan:
    return plan_fleet(PlanSubject("acme", "production"), FleetInputs(desired, released, {"a": observation}), providers=PROVIDERS)


def test_the_service_plans_by_what_the_host_was_told_and_a_changed_program_is_approved(tmp_path: Path) -> None:
    old = examine(tmp_path / "a").graphs["production"]
    new = examine(tmp_path / "b", files={"facts/rack": PROGRAM + "#"}).graphs["production"]
    seen = observe({"file:/etc/motd": with_content("drifted\n")}, {"os.family": "debian", "custom.rack": "r1"})
    told = Observation("a", NOW, seen.facts, seen.states, probes={"custom.rack": Probe(RACK.digest)})
    elsewhere = Observation("a", NOW, {**seen.facts, "custom.rack": "r9"}, probes={"custom.rack": Probe(RACK.digest)})

    def rows(plan: FleetPlan) -> list[tuple[str, str]]:
        return [(change.classification, change.confidence) for group in plan.groups for change in group.changes]

    assert rows(plan_in_service(old, old, told)) == [("corrective", "exact")]
    assert rows(plan_in_service(old, old, elsewhere)) == []
    changed = plan_in_service(old, new, told)
    assert rows(changed) == [("conflict", "conditional")]
    assert changed.scope.hosts["a"].intents == {(item.address, item.desired) for item in new.resources_of("a")}
    assert rows(plan_in_service(old, new, elsewhere)) == [("intentional", "conditional")]  # nobody knows what it will tell
