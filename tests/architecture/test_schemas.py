"""Schemas equal their sources, accept what the program writes and what the examples hold, and refuse what the program refuses."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator

from gitops.config.cuebinary import find_cue
from gitops.config.documents import KINDS
from gitops.config.schemas import main, make_schemas, write_schemas
from gitops.model.codec import Json
from gitops.model.facts import FACTS, OBSERVED
from gitops.providers.registry import PROVIDERS
from tests.support import nouns
from tests.support.cli import call
from tests.support.project import HOST, PROJECT, write_files

ROOT = Path(__file__).parents[2]
SCHEMAS = make_schemas()
QUICK = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
GOOD = """\
apiVersion: gitops/v1
kind: Group
metadata: {name: web}
spec:
  selector: {role: [web, db]}
  vars: {x: {y: 1}}
  modules: [base, {name: nginx, params: {port: 80}}]
  resources:
    - {file: /etc/motd, content: "x", mode: "0644", group: root, when: {os.family: debian}}
    - {user: alice, uid: "${vars.uid}", groups: [adm], for_each: "${vars.users}"}
    - {service: nginx, state: running, enabled: true, needs: [package:nginx], drift: report}
    - {file: /etc/rack, content: "x", when: {custom.rack: [a, b], custom.disks: 4, custom.is-raid: [true]}}
    - {command: rebuild, argv: [make, all], creates: /x, timeout: 5}
"""


def problems(name: str, document: object) -> list[str]:
    validator = Draft202012Validator(cast("Any", SCHEMAS[name]))
    return [error.message for error in validator.iter_errors(cast("Any", document))]


def test_the_files_equal_their_sources(tmp_path: Path) -> None:
    write_schemas(tmp_path)
    made = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    kept = {
        path.relative_to(ROOT / "schemas").as_posix(): path.read_text()
        for path in (ROOT / "schemas").rglob("*")
        if path.is_file()
    }
    assert kept == made, "run: python -m gitops.config.schemas schemas"


def test_files_of_schemas_that_are_gone_are_removed(tmp_path: Path) -> None:
    write_files(tmp_path, {"json/old.json": "{}"})
    assert main([str(tmp_path)]) == 0
    assert not (tmp_path / "json/old.json").exists()
    assert main([]) == 1


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_each_schema_is_one_and_stands_alone(name: str) -> None:
    schema = SCHEMAS[name]
    Draft202012Validator.check_schema(cast("Any", schema))
    references = [part.partition('"')[0] for part in json.dumps(schema).split('"$ref": "')[1:]]
    defined = cast("Mapping[str, Json]", schema.get("$defs", {}))
    assert all(item.removeprefix("#/$defs/") in defined for item in references)


def test_every_kind_has_a_schema() -> None:
    assert {f"resource-{kind}" for kind in PROVIDERS} <= set(SCHEMAS)
    assert {kind.lower() for kind in KINDS} <= set(SCHEMAS)


def documents(folder: Path) -> list[tuple[str, object]]:
    return [
        (f"{path.relative_to(ROOT)}", item)
        for path in sorted(folder.rglob("*.yaml"))
        if not {"files", "templates", ".github"} & set(path.relative_to(ROOT).parts)
        for item in yaml.load_all(path.read_text(), yaml.CSafeLoader)
        if item
    ]


def test_the_examples_fit_the_one_schema_for_editors() -> None:
    found = documents(ROOT / "examples")
    assert len(found) > 5
    assert [(name, problems("gitops", item)) for name, item in found if problems("gitops", item)] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("selector:", "selecter:"),
        ("selector: {role: [web, db]}", "priority: 1"),
        ("kind: Group", "kind: Grup"),
        ("name: web", "name: Web"),
        ('mode: "0644"', "mode: 644"),
        ('mode: "0644"', "mod: '0644'"),
        ("state: running", "state: absent"),
        ("argv: [make, all]", "argv: []"),
        ("{os.family: debian}", "{os.famly: debian}"),
        ("custom.rack: [a, b]", "custom.Rack: [a, b]"),
        ("custom.rack: [a, b]", "custom.rack: []"),
        ("custom.disks: 4", "custom.disks: 4.5"),
        ('content: "x"', 'content: "x", source: y'),
        ("drift: report", "drift: never"),
        ("user: alice, uid", "uid"),
    ],
)  # fmt: skip
def test_what_the_program_refuses_an_editor_shows(tmp_path: Path, old: str, new: str) -> None:
    assert problems("gitops", yaml.load(GOOD, yaml.CSafeLoader)) == []
    assert old in GOOD
    assert problems("gitops", yaml.load(GOOD.replace(old, new), yaml.CSafeLoader)) != []
    assert not run_cue_vet(tmp_path, GOOD.replace(old, new))


@pytest.mark.parametrize("text", ["group: a", "group: a, system: true", "user: a", "user: a, group: b, system: true"])
def test_a_kind_that_others_have_as_an_attribute_is_recognized(tmp_path: Path, text: str) -> None:
    resources = f"apiVersion: gitops/v1\nkind: Module\nmetadata: {{name: m}}\nspec: {{resources: [{{{text}}}]}}\n"
    assert run_cue_vet(tmp_path, resources)


def test_the_cue_definitions_accept_what_the_program_accepts(tmp_path: Path) -> None:
    assert run_cue_vet(tmp_path / "a", GOOD)
    assert run_cue_vet(tmp_path / "b", PROJECT + "---\n" + HOST)
    for number, path in enumerate(sorted((ROOT / "examples").rglob("*.yaml"))):
        if not {"files", "templates", ".github"} & set(path.relative_to(ROOT).parts):
            assert run_cue_vet(tmp_path / str(number), path.read_text()), path


FACT = "apiVersion: gitops/v1\nkind: Fact\nmetadata: {name: rack}\nspec: {program: facts/rack, type: integer, timeout: 30}\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [("program: facts/rack, ", ""), ("integer", "list"), ("timeout: 30", "timeout: 31"), ("timeout", "seconds")],
)
def test_facts_are_declared_alike_for_all(tmp_path: Path, old: str, new: str) -> None:
    assert problems("fact", yaml.load(FACT, yaml.CSafeLoader)) == []
    assert run_cue_vet(tmp_path, FACT)
    assert problems("gitops", yaml.load(FACT.replace(old, new), yaml.CSafeLoader)) != []
    assert not run_cue_vet(tmp_path, FACT.replace(old, new))


def test_the_facts_that_there_are_have_a_schema() -> None:
    facts = json.loads(call("schema", "facts").out)
    assert set(facts["properties"]) == {*FACTS, *OBSERVED}
    assert problems("facts", {"os.family": "debian", "custom.rack": "r1"}) == []
    assert problems("facts", {"os.famly": "debian"}) != []
    assert problems("facts", {"custom.rack": 5}) != []
    assert problems("facts", {"custom.": "x"}) != []


def run_cue_vet(folder: Path, text: str) -> bool:
    write_files(folder, {"document.yaml": text})
    command = [find_cue(), "vet", "-c", "-d", "#Document", str(ROOT / "schemas/cue/gitops.cue"), "document.yaml"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=60).returncode == 0


@QUICK
@given(nouns.blocks, nouns.graphs, nouns.observations)
def test_what_nouns_write_fits(block: Any, graph: Any, observation: Any) -> None:
    assert problems("block", json.loads(block.to_bytes())) == []
    assert problems("graph", json.loads(graph.to_bytes())) == []
    assert problems("observation", observation.to_json()) == []


def test_unknown_keys_are_refused_as_the_program_refuses_them() -> None:
    for name, schema in SCHEMAS.items():
        if name not in ("index", "gitops", "resource", "provider-request", "provider-answer"):
            assert schema["additionalProperties"] is False, name


def test_schema_prints_one_and_lists_all() -> None:
    assert json.loads(call("schema", "plan").out) == SCHEMAS["plan"]
    assert set(call("schema").out.split()) == {*SCHEMAS, "cue"}
    assert call("schema", "cue").out == (ROOT / "schemas/cue/gitops.cue").read_text()
    assert problems("schemas", call("schema", "--format", "json").json) == []
    wrong = call("schema", "plam")
    assert wrong.status == 1
    assert "did you mean `plan`?" in wrong.err


def test_what_verbs_print_fits(tmp_path: Path) -> None:
    folder = write_files(tmp_path, {"gitops.yaml": PROJECT, "inventory/web.yaml": HOST})
    assert problems("compiled", call("-C", folder, "compile", "--format", "json").json) == []
    assert problems("explanation", call("-C", folder, "explain", "web-1", "--format", "json").json) == []
    assert problems("plan", call("-C", folder, "plan", "--format", "json").json) == []
    write_files(tmp_path, {"inventory/web.yaml": HOST.replace("content", "contents")})
    assert problems("diagnostics", call("-C", folder, "validate", "--format", "json").json) == []


def test_reports_and_runs_of_a_real_run_fit(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "project", {"gitops.yaml": PROJECT, "inventory/web.yaml": HOST})
    (tmp_path / "root").mkdir()
    where = ("--root", tmp_path / "root", "--state", tmp_path / "state")
    applied = call("-C", folder, "apply", "--local", "--host", "web-1", "--yes", "--format", "json", *where)
    assert problems("applied", applied.json) == [], applied.err
    runs = call("runs", "list", "--format", "json", *where)
    assert problems("runs", runs.json) == []
    assert problems("report", call("runs", "show", runs.json["runs"][0]["run"], "--format", "json", *where).json) == []
