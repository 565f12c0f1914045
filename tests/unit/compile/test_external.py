"""External providers in a project: declared, checked, named by digest; nothing of them runs while a stranger's commit is planned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gitops.model.codec import digest_bytes
from gitops.model.fleetplan import PlanSubject
from gitops.model.secret import find_secrets
from gitops.pipeline.project import Examined, examine_tree
from gitops.plan.fleet import FleetInputs, plan_fleet
from gitops.providers.registry import PROVIDERS
from gitops.source.snapshot import snapshot_folder
from gitops.trust.contents import find_blobs
from tests.support.cli import call
from tests.support.project import PROJECT, codes, examine_files, write_files

PROGRAM = "#!/bin/sh\nexit 1\n"
DECLARED = """\
apiVersion: gitops/v1
kind: Provider
metadata: {name: demo}
spec:
  executable: run.sh
  attributes:
    value: {type: text, required: true}
    size: {type: integer, minimum: 1, maximum: 9}
    how: {type: choice, choices: [fast, slow]}
    mode: {type: mode}
    many: {type: texts}
    flag: {type: boolean}
"""
HOST = """\
apiVersion: gitops/v1
kind: Host
metadata: {name: a, labels: {env: production}}
spec:
  vars: {v: text, n: 5, list: [x, y]}
  resources:
"""
THING = "    - {external: demo/a b:c, set: {value: '${vars.v}', size: '${vars.n}', many: '${vars.list}', mode: '644'}}\n"


def examine(folder: Path, resources: str = THING, files: Mapping[str, str] | None = None) -> Examined:
    texts = {
        "gitops.yaml": PROJECT + "  secrets: {token: {from: env, key: TOKEN}}\n",
        "host.yaml": HOST + resources,
        "providers/demo/provider.yaml": DECLARED,
        "providers/demo/run.sh": PROGRAM,
        **(files or {}),
    }
    return examine_files(folder, texts)


def test_a_thing_carries_its_values_and_its_programs_digest(tmp_path: Path) -> None:
    found = examine(tmp_path)
    assert found.diagnostics == ()
    graphs = found.graphs["production"]
    digest = digest_bytes(PROGRAM.encode())
    (resource,) = graphs.resources_of("a")
    assert resource.address == "external:demo/a b:c"
    assert resource.attributes == {
        "set": {"value": "text", "size": 5, "many": ["x", "y"], "mode": "0644"},
        "executable": {"blob": digest, "size": len(PROGRAM)},
        "protocol": 1,
    }
    assert graphs.blobs == {digest: PROGRAM.encode()}
    assert find_blobs([resource]) == {digest}


def test_another_program_is_another_desired_state(tmp_path: Path) -> None:
    first = examine(tmp_path / "a").graphs["production"]
    second = examine(tmp_path / "b", files={"providers/demo/run.sh": PROGRAM + "#"}).graphs["production"]
    plan = plan_fleet(PlanSubject("acme", "production"), FleetInputs(second, first, {}), providers=PROVIDERS)
    assert [(change.address, change.classification) for change in plan.groups[0].changes] == [
        ("external:demo/a b:c", "intentional")
    ]
    assert plan.scope.hosts["a"].intents


def test_what_is_absent_needs_no_values(tmp_path: Path) -> None:
    found = examine(tmp_path, "    - {external: demo/x, state: absent}\n")
    assert found.diagnostics == ()


@pytest.mark.parametrize(
    ("resource", "code", "words"),
    [
        ("{external: demo, set: {value: x}}", "C219", "not PROVIDER/THING"),
        ("{external: demo/, set: {value: x}}", "C219", "not PROVIDER/THING"),
        ('{external: "demo/a\\tb", set: {value: x}}', "C219", "not PROVIDER/THING"),
        ("{external: dema/x, set: {value: x}}", "C219", "unknown external provider `dema`"),
        ("{external: demo/x}", "C106", "`value` is missing in `set`"),
        ("{external: demo/x, set: {value: x, valu: y}}", "C104", "unknown key `valu`"),
        ("{external: demo/x, set: {value: 5}}", "C105", "expected a string"),
        ("{external: demo/x, set: {value: x, size: 10}}", "C105", "from 1 to 9"),
        ("{external: demo/x, set: {value: x, how: other}}", "C105", "one of fast, slow"),
        ("{external: demo/x, set: {value: x, mode: 644}}", "C105", "quote it"),
        ("{external: demo/x, set: {value: {blob: y}}}", "C105", "got a map"),
        ("{external: demo/x, set: [x]}", "C105", "expected a map"),
        ("{external: demo/x, set: {Value: x}}", "C105", "lower-case"),
        ("{external: demo/x, set: {value: '${secret.token}'}}", "C403", "would be seen"),
        ("{external: demo/x, set: {value: x}, executable: {blob: y, size: 1}}", "C104", "unknown key `executable`"),
        ("{external: demo/x, set: {value: x}, protocol: 1}", "C104", "unknown key `protocol`"),
        ("{external: demo/x, set: {value: x}, needs: [external:demo/y]}", "C201", "does not have"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_thing_is_shown_at_its_place(tmp_path: Path, resource: str, code: str, words: str) -> None:
    found = examine(tmp_path, f"    - {resource}\n")
    assert codes(found) == [code]
    assert words in found.diagnostics[0].message
    assert found.diagnostics[0].place.file == "host.yaml"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("executable: run.sh", "executable: ../../gitops.yaml", "C305"),
        ("executable: run.sh", "executable: ..", "C305"),
        ("executable: run.sh", "executable: /bin/sh", "C305"),
        ("executable: run.sh", "executable: other.sh", "C301"),
        ("executable: run.sh", "program: run.sh", "C104"),
        ("name: demo", "name: other", "C109"),
        ("{type: boolean}", "{type: secret}", "C105"),  # in protocol 1
        ("{type: boolean}", "{type: boolean, choices: [x]}", "C105"),
        ("{type: boolean}", "{type: choice}", "C105"),
        ("{type: boolean}", "{typ: boolean}", "C104"),
        ("flag:", "Flag:", "C109"),
        ("  executable: run.sh", "  executable: run.sh\n  protocol: 3", "C105"),
        ("  executable: run.sh", "  executable: run.sh\n  on_notify: restart", "C105"),
        ("  executable: run.sh", "  executable: run.sh\n  protocol: 2\n  on_notify: explode", "C105"),
    ],
)
def test_a_mistake_in_a_declaration_is_shown(tmp_path: Path, old: str, new: str, code: str) -> None:
    found = examine(tmp_path, files={"providers/demo/provider.yaml": DECLARED.replace(old, new)})
    assert code in codes(found)
    assert found.diagnostics[0].place.file == "providers/demo/provider.yaml"


def test_a_program_that_is_a_link_is_refused(tmp_path: Path) -> None:
    write_files(tmp_path, {"providers/demo/real.sh": PROGRAM})
    (tmp_path / "providers/demo/run.sh").symlink_to("/etc/passwd")
    texts = {"gitops.yaml": PROJECT, "host.yaml": HOST + "    []\n", "providers/demo/provider.yaml": DECLARED}
    found = examine_tree(snapshot_folder(write_files(tmp_path, texts)))
    assert "C610" in codes(found)


def test_a_program_too_large_is_refused(tmp_path: Path) -> None:
    found = examine(tmp_path, files={"providers/demo/run.sh": "x" * (16 * 1024 * 1024 + 1)})
    assert codes(found) == ["C602"]


def test_other_files_of_a_providers_folder_are_no_documents(tmp_path: Path) -> None:
    found = examine(
        tmp_path,
        files={"providers/demo/data.yaml": "a: [", "providers/demo/sub/provider.yaml": "a: [", "providers/demo/x.cue": "x: {"},
    )
    assert found.diagnostics == ()


def test_a_provider_declared_twice_is_an_error(tmp_path: Path) -> None:
    found = examine(tmp_path, files={"providers/demo/provider.yaml": f"{DECLARED}---\n{DECLARED}"})
    assert codes(found) == ["C108"]


def test_nothing_of_a_strangers_provider_runs_while_it_is_planned(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    program = f"#!/bin/sh\ntouch {marker}\n"
    project = tmp_path / "project"
    assert examine(project, files={"providers/demo/run.sh": program}).diagnostics == ()
    (project / "providers/demo/run.sh").chmod(0o755)
    local = ("--local", "--host", "a", "--state", tmp_path / "state")
    for verb in (("validate",), ("compile",), ("plan",), ("explain", "a"), ("plan", *local), ("apply", *local, "--dry-run")):
        assert call("-C", project, *verb).status in (0, 2), verb
    assert not marker.exists()
    assert call("-C", project, "plan", *local, "--guards").status == 4
    assert marker.exists()  # the trap works


NEWER = (
    DECLARED.replace("  executable: run.sh\n", "  executable: run.sh\n  protocol: 2\n  on_notify: reload\n")
    + "    key: {type: secret}\n"
)


def test_a_secret_stands_in_the_graph_as_its_reference_and_a_notification_is_planned(tmp_path: Path) -> None:
    things = (
        "    - {external: demo/x, set: {value: x, key: 'a ${secret.token}'}}\n"
        "    - {file: /etc/x, content: x, notify: [external:demo/x]}\n"
    )
    found = examine(tmp_path, things, {"providers/demo/provider.yaml": NEWER})
    assert found.diagnostics == ()
    graphs = found.graphs["production"]
    resource = next(item for item in graphs.resources_of("a") if item.kind == "external")
    reference = {"secret": "token", "from": "env", "key": "TOKEN"}
    assert resource.attributes["set"] == {"value": "x", "key": {"parts": ["a ", reference]}}
    assert (resource.attributes["protocol"], resource.attributes["on_notify"]) == (2, "reload")
    assert [item.name for item in find_secrets(resource.to_json())] == ["token"]
    plan = plan_fleet(PlanSubject("acme", "production"), FleetInputs(graphs, None, {}), providers=PROVIDERS)
    verbs = {(address, verb) for address, verb, _ in plan.scope.hosts["a"].effects}
    assert {("external:demo/x", "set"), ("external:demo/x", "reload")} <= verbs


@pytest.mark.parametrize(
    ("value", "code"),
    [("hunter2", "C105"), ("{parts: [{secret: token, from: env, key: TOKEN}]}", "C105"), ("5", "C105"), ("'${vars.v}'", "C105")],
)
def test_a_secret_is_a_reference_or_refused_and_never_repeated(tmp_path: Path, value: str, code: str) -> None:
    things = f"    - {{external: demo/x, set: {{value: x, key: {value}}}}}\n"
    found = examine(tmp_path, things, {"providers/demo/provider.yaml": NEWER})
    assert codes(found) == [code]
    assert "expected a reference to a secret" in found.diagnostics[0].message
    assert "hunter2" not in found.diagnostics[0].message


def test_secrets_need_the_protocol_that_knows_them(tmp_path: Path) -> None:
    old = NEWER.replace("  protocol: 2\n  on_notify: reload\n", "")
    found = examine(tmp_path, files={"providers/demo/provider.yaml": old})
    assert "an attribute of the type `secret` needs `protocol: 2`" in found.diagnostics[0].message
