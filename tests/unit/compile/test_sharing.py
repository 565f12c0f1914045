"""What hosts share is exactly what reads the same; interpolation keeps types; repetition, secrets, drift and odd values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gitops.compile.quickcheck import HostChecker
from gitops.model.codec import Json
from gitops.model.graph import Graphs
from gitops.model.resource import Resource
from gitops.pipeline.project import Examined, examine_tree
from gitops.plan.item import Preparer
from gitops.providers.registry import PROVIDERS
from gitops.source.snapshot import snapshot_folder
from tests.support.project import PROJECT, write_files

HOSTS = """\
apiVersion: gitops/v1
kind: Host
metadata: {name: a, labels: {env: production, n: "1", role.kind: x}}
spec: {vars: {own: 1, flag: true, only_a: 1}, modules: [m]}
---
apiVersion: gitops/v1
kind: Host
metadata: {name: b, labels: {env: production, n: "2", role.kind: x}}
spec: {vars: {own: 2, flag: 1}, modules: [m]}
"""
MODULE = "apiVersion: gitops/v1\nkind: Module\nmetadata: {name: m}\nspec:\n  resources:\n"


def examine(folder: Path, resources: str, files: Mapping[str, str] | None = None, **replaced: str) -> Examined:
    texts = {"gitops.yaml": PROJECT + "  vars: {same: 1}\n  secrets: {token: {from: env, key: TOKEN}}\n", "hosts.yaml": HOSTS}
    texts.update({"modules/m/module.yaml": MODULE + resources, **(files or {}), **replaced})
    return examine_tree(snapshot_folder(write_files(folder, texts)))


def graphs(folder: Path, resources: str, files: Mapping[str, str] | None = None) -> Graphs:
    found = examine(folder, resources, files)
    assert found.built is not None, found.diagnostics
    return found.graphs["production"]


def contents(found: Graphs, host: str = "a") -> dict[str, Json]:
    return {item.address: item.attributes.get("content") for item in found.resources_of(host)}


@pytest.mark.parametrize(
    ("content", "blocks"),
    [
        ("${vars.same}", 1),
        ("${vars.own}", 2),
        ("${host.name}", 2),
        ("${host.labels.env}", 1),
        ("${host.labels.role.kind}", 1),
        ("${host.labels.n}", 2),
        ("${vars.flag}", 2),
    ],
)
def test_hosts_share_a_block_when_all_it_reads_is_equal(tmp_path: Path, content: str, blocks: int) -> None:
    found = graphs(tmp_path, f'    - {{file: /f, content: "x {content}"}}\n')
    assert len(found.blocks) == blocks


@pytest.mark.parametrize(
    ("template", "blocks"),
    [
        ("{{ vars.same }}", 1),
        ("{{ vars.own }}", 2),
        ("{% if vars.only_a is defined %}a{% endif %}", 2),
        ("{% if 'only_a' in vars %}a{% endif %}", 2),
        ("{{ vars | length }}", 2),
        ("{% for name in vars %}{{ name }} {% endfor %}", 2),
        ("{% for name, value in vars.items() %}{{ name }} {% endfor %}", 2),
        ("{% if vars.flag is sameas true %}yes{% endif %}", 2),
        ("{% if vars.same == 1 %}{{ vars.own }}{% endif %}", 2),
        ("{{ host.labels.env }}", 2),
    ],
)
def test_templates_share_by_what_they_read(tmp_path: Path, template: str, blocks: int) -> None:
    found = graphs(
        tmp_path, "    - {file: /f, template: t.j2}\n", {"modules/m/templates/t.j2": template + "{{ host.labels.env }}" * 0}
    )
    read = 2 if "labels" in template else blocks  # a template sees labels as one map
    seen = {str(contents(found, host)) for host in ("a", "b")}
    assert len(found.blocks) <= read
    assert len(seen) == len(found.blocks)
    if blocks == 2 and "labels" not in template:
        assert len(found.blocks) == 2


def test_drift_of_the_environment_tells_blocks_apart(tmp_path: Path) -> None:
    project = PROJECT.replace("hosts: {env: production}", "hosts: {n: '1'}") + "    watched: {hosts: {n: '2'}, drift: report}\n"
    found = examine(tmp_path, "    - {file: /f, content: x}\n", **{"gitops.yaml": project})
    assert found.diagnostics == ()
    drifts = {name: item.resources_of(host)[0].drift for name, item in found.graphs.items() for host in item.hosts}
    assert drifts == {"production": "heal", "watched": "report"}


def resource(folder: Path, text: str) -> Resource:
    return graphs(folder, f"    - {text}\n").resources_of("a")[0]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('"${vars.own}-${vars.flag}"', "1-true"),
        ('"$${vars.own}"', "${vars.own}"),
        ('"$$${vars.own}"', "$${vars.own}"),
        ('"a$b $ { }"', "a$b $ { }"),
        ('"${host.labels.role.kind}"', "x"),
    ],
)
def test_interpolation(tmp_path: Path, written: str, value: str) -> None:
    assert resource(tmp_path, f"{{file: /f, content: {written}}}").attributes["content"] == value


def test_a_whole_reference_keeps_its_type_and_numbers_their_text(tmp_path: Path) -> None:
    assert resource(tmp_path, '{user: u, uid: "${vars.own}"}').attributes == {"uid": 1}
    for number, text in (
        ("1.5", "1.5"),
        ("-16", "-16"),
        ("1000.0", "1000.0"),
        ("12345678901234567890", "12345678901234567890"),
    ):
        found = examine(
            tmp_path / number,
            '    - {file: /f, content: "x ${vars.v}"}\n',
            **{"hosts.yaml": HOSTS.replace("{own:", f"{{v: {number}, own:")},
        )
        assert found.built is not None, found.diagnostics
        assert contents(found.graphs["production"])["file:/f"] == f"x {text}"


def test_for_each_over_lists_and_maps(tmp_path: Path) -> None:
    text = (
        '    - {file: "/l/${each.key}", content: "${each.value.x}", for_each: [{x: one}, {x: two}]}\n'
        '    - {file: "/m/${each.key}", content: "${each.value}", needs: ["file:/l/0"], for_each: {p: P, q: Q}}\n'
        '    - {file: "/none", for_each: []}\n'
    )
    found = graphs(tmp_path, text)
    assert contents(found) == {"file:/l/0": "one", "file:/l/1": "two", "file:/m/p": "P", "file:/m/q": "Q"}


def test_a_template_sees_each(tmp_path: Path) -> None:
    found = graphs(
        tmp_path,
        '    - {file: "/f/${each.key}", template: t.j2, for_each: {p: {v: 1}}}\n',
        {"modules/m/templates/t.j2": "{{ each.key }}={{ each.value.v }}"},
    )
    assert contents(found) == {"file:/f/p": "p=1"}


def test_parameters_may_be_named_like_methods(tmp_path: Path) -> None:
    module = MODULE.replace(
        "spec:\n",
        "spec:\n  params: {items: {type: string, default: I}, get: {type: string, default: G}, keys: {type: string, default: K}}\n",
    )
    found = examine(
        tmp_path,
        "",
        {
            "modules/m/module.yaml": module + "    - {file: /f, template: t.j2}\n",
            "modules/m/templates/t.j2": "{{ params.items }}{{ params.get }}{{ params['keys'] }}",
        },
    )
    assert found.built is not None, found.diagnostics
    assert contents(found.graphs["production"]) == {"file:/f": "IGK"}


def test_a_secret_stays_a_reference_and_makes_its_file_sensitive(tmp_path: Path) -> None:
    found = graphs(
        tmp_path,
        '    - {file: /c, content: "a ${secret.token} b"}\n    - {file: /t, template: t.j2}\n    - {command: c, argv: [x], env: {T: "${secret.token}"}}\n',
        {"modules/m/templates/t.j2": "{% macro m() %}<{{ secret.token }}>{% endmacro %}{{ m() }}\n"},
    )
    by_address = {item.address: item.attributes for item in found.resources_of("a")}
    reference = {"secret": "token", "from": "env", "key": "TOKEN"}
    assert by_address["file:/c"] == {"content": {"parts": ["a ", reference, " b"]}, "sensitive": True}
    assert by_address["file:/t"] == {"content": {"parts": ["<", reference, ">\n"]}, "sensitive": True}
    assert by_address["command:c"]["env"] == {"T": {"parts": [reference]}}


@pytest.mark.parametrize(
    "template",
    ["{{ secret.token ~ 'x' }}", "{{ secret.token | length }}", "{% if secret.token == 'a' %}{% endif %}", "{% for c in secret.token %}{% endfor %}", "{% for s in secret %}{% endfor %}", "{{ secret.token[0] }}", "{{ '%s' % secret.token }}", "{{ {secret.token: 1} }}", "{{ [secret.token] }}"],
)  # fmt: skip
def test_a_secret_cannot_be_looked_into(tmp_path: Path, template: str) -> None:
    found = examine(tmp_path, "    - {file: /f, template: t.j2}\n", {"modules/m/templates/t.j2": template}).diagnostics
    assert [item.code for item in found] == ["C404"], found


def test_content_cannot_forge_a_secret(tmp_path: Path) -> None:
    """A table that only looks like a reference is data of a wrong type, not a secret."""
    found = examine(tmp_path, "    - {file: /f, content: {parts: [{secret: token, from: env, key: OTHER}]}}\n").diagnostics
    assert {item.code for item in found} <= {"C105", "C403"}
    assert found


def test_the_quick_check_and_the_full_one_agree(tmp_path: Path) -> None:
    """Circles across modules, absent parents, doubled owners, files owned and edited are found though each module is sound."""
    other = MODULE.replace("{name: m}", "{name: n}")
    hosts = HOSTS.replace("[m]", "[m, n]")
    rows = [
        ("    - {file: /a, needs: [file:/b]}\n", "    - {file: /b, needs: [file:/a]}\n", "C210"),
        (
            "    - {directory: /d, needs: [file:/x]}\n",
            "    - {file: /d/f, notify: [file:/x]}\n    - {file: /x, needs: [file:/d/f]}\n",
            "C210",
        ),
        ("    - {file: /a, needs: [file:/a]}\n", "    - {file: /b}\n", "C210"),
        ("    - {file: /a, notify: [file:/a]}\n", "    - {file: /b}\n", "C210"),
        ("    - {directory: /d, needs: [file:/d/x]}\n", "    - {file: /d/x}\n", "C210"),
        ("    - {file: /a}\n", "    - {file: /a}\n", "C202"),
        ("    - {file: /a}\n", "    - {symlink: /a, target: x}\n", "C203"),
        ("    - {file: /a}\n", "    - {file: /b, needs: [file:/c]}\n", "C201"),
        ("    - {directory: /d}\n", "    - {file: /d/f, needs: [directory:/d]}\n", ""),
        ("    - {file: /a}\n", "    - {line: x, path: /a, text: k}\n", "C203"),
        ("    - {line: x, path: /a, text: k}\n", "    - {file: /a}\n", "C203"),
        (
            "    - {ssh_authorized_key: root, keys: [k], exclusive: true}\n",
            "    - {line: x, path: /root/.ssh/authorized_keys, text: k}\n",
            "",  # without a key it is a mistake that the plan refuses
        ),
        (
            f"    - {{ssh_authorized_key: root, keys: ['ssh-rsa AAAA{'a' * 40}'], exclusive: true}}\n",
            "    - {line: x, path: /root/.ssh/authorized_keys, text: k}\n",
            "C203",
        ),
        ("    - {line: x, path: /a, text: k}\n", "    - {block: x, path: /a, text: k}\n", ""),
    ]
    for number, (first, second, code) in enumerate(rows):
        found = examine(tmp_path / str(number), first, {"hosts.yaml": hosts, "modules/n/module.yaml": other + second})
        codes = {item.code for item in found.diagnostics}
        assert code in codes if code else not codes, (first, second, found.diagnostics)


def test_a_sound_host_needs_no_full_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = examine(
        tmp_path,
        "    - {package: nginx}\n    - {service: nginx, needs: [package:nginx]}\n    - {directory: /d}\n    - {file: /d/f}\n",
    )
    assert found.built is not None
    units = found.built.compiled.hosts["a"].units
    monkeypatch.setattr("gitops.compile.quickcheck.check_host", None)
    assert HostChecker(Preparer(PROVIDERS)).check("a", units, frozenset()) == []
