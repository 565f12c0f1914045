"""A number in text reads as it was written, or it is an error that says where to quote it; what is computed is nobody's spelling."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gitops.config.cue import CueTool
from gitops.model.codec import Json
from gitops.pipeline.project import Examined, examine_tree
from gitops.source.snapshot import snapshot_folder
from tests.support.project import PROJECT, write_files

MODULE = "apiVersion: gitops/v1\nkind: Module\nmetadata: {name: m}\nspec:\n"
HOST = """\
apiVersion: gitops/v1
kind: Host
metadata: {name: a, labels: {env: production}}
spec:
  vars: {v: NUMBER, list: [NUMBER], deep: {x: NUMBER}}
  modules: [m]
"""
ALTERED = ("3.10", "1.50", "1e3", "0x10", "0o17", "0644", "+5", "-0", ".5", "5.", "0.00001", "12345678901234567.25")
FAITHFUL = ("3.1", "1.0", "-5", "0", "12345678901234567890", "1_000", "yes", "2026-11-29", '"3.10"', "-0.5", "1e+16")


def examine(folder: Path, number: str, resources: str, template: str = "", **more: str) -> Examined:
    texts = {
        "gitops.yaml": PROJECT,
        "hosts.yaml": HOST.replace("NUMBER", number),
        "modules/m/module.yaml": f"{MODULE}  resources:\n    - {resources}\n",
        "modules/m/templates/t.j2": template,
    }
    return examine_tree(snapshot_folder(write_files(folder, texts | more)))


def content(found: Examined, host: str = "a") -> Json:
    assert found.diagnostics == ()
    return {item.address: item.attributes.get("content") for item in found.graphs["production"].resources_of(host)}["file:/f"]


def told(found: Examined) -> list[tuple[str, str]]:
    return [(item.code, str(item.place)) for item in found.diagnostics]


TEXT = '{file: /f, content: "version ${vars.v}"}'
TEMPLATE = "{file: /f, template: t.j2}"


@pytest.mark.parametrize("number", ALTERED)
def test_a_number_that_would_read_otherwise_in_text_is_an_error_where_it_is_set(tmp_path: Path, number: str) -> None:
    found = examine(tmp_path, number, TEXT)
    assert told(found) == [("C223", "hosts.yaml:5:13")]
    (only,) = found.diagnostics
    assert f"`{number}`" in only.message
    assert only.hint == f'quote it: "{number}"'
    assert [str(place) for place in only.related] == ["modules/m/module.yaml:6:36"]


@pytest.mark.parametrize("number", ALTERED)
def test_a_template_tells_it_too(tmp_path: Path, number: str) -> None:
    found = examine(tmp_path, number, TEMPLATE, "a\nb {{ vars.v }}\n")
    assert told(found) == [("C223", "hosts.yaml:5:13")]
    assert [str(place) for place in found.diagnostics[0].related] == ["modules/m/templates/t.j2:2:1"]


@pytest.mark.parametrize("number", FAITHFUL)
def test_what_reads_the_same_is_text(tmp_path: Path, number: str) -> None:
    text = number.strip('"')
    assert content(examine(tmp_path / "a", number, TEXT)) == f"version {text}"
    assert content(examine(tmp_path / "b", number, TEMPLATE, "version {{ vars.v }}")) == f"version {text}"


@pytest.mark.parametrize(
    "expression",
    ["vars.list", "vars.deep", "vars.deep.x", "vars", "vars.list[0]", "vars.v ~ 'x'", "'%s' % vars.v", "'{}'.format(vars.v)", "vars.list | join(',')", "vars.v | string", "vars.list | first", "vars.v | default(1)", "'%s' | format(vars.v)", "hosts(env='production')[0].vars.v", "vars.list | sort | string", "vars.v | replace('1', '2')", "vars['v']", "vars.values() | list"],
)  # fmt: skip
def test_every_way_to_text_in_a_template_tells_it(tmp_path: Path, expression: str) -> None:
    found = examine(tmp_path, "3.10", TEMPLATE, f"{{{{ {expression} }}}}")
    assert {item.code for item in found.diagnostics} == {"C223"}
    assert {item.place.file for item in found.diagnostics} == {"hosts.yaml"}


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("vars.v | int", "3"),
        ("vars.v | float", "3.1"),
        ("vars.v + 1", "4.1"),
        ("1 + vars.v", "4.1"),
        ("'%.2f' % vars.v", "3.10"),
        ("'{:.2f}'.format(vars.v)", "3.10"),
        ("vars.v | round(1)", "3.1"),
        ("vars.list | sum", "3.1"),
        ("vars.v == 3.1", "true"),
        ("vars.v > 3", "true"),
        ("vars.v is number", "true"),
        ("vars.deep | tojson", '{"x": 3.1}'),
        ("'yes' if vars.v else 'no'", "yes"),
    ],
)
def test_what_is_computed_is_nobodys_spelling(tmp_path: Path, expression: str, text: str) -> None:
    assert content(examine(tmp_path, "3.10", TEMPLATE, f"{{{{ {expression} }}}}")) == text


@pytest.mark.parametrize(
    ("written", "text"), [("true", "true"), ("True", "true"), ("FALSE", "false"), ("yes", "yes"), ("off", "off")]
)
def test_booleans_have_one_text(tmp_path: Path, written: str, text: str) -> None:
    assert content(examine(tmp_path / "a", written, TEXT)) == f"version {text}"
    assert content(examine(tmp_path / "b", written, TEMPLATE, "version {{ vars.v }}")) == f"version {text}"


def test_a_whole_number_computes_too(tmp_path: Path) -> None:
    template = "{{ vars.v | int }} {{ vars.v + 1 }} {{ vars.v * 2 }} {% for n in range(vars.v) %}x{% endfor %}"
    assert content(examine(tmp_path, "0x10", TEMPLATE, template)) == "16 17 32 " + "x" * 16


def test_a_variable_in_a_variable_is_told_at_the_first(tmp_path: Path) -> None:
    host = HOST.replace("v: NUMBER", 'v: 3.10, w: "${vars.v}", x: "python${vars.w}"').replace("NUMBER", "1")
    found = examine(tmp_path, "1", '{file: /f, content: "${vars.x}"}', **{"hosts.yaml": host})
    assert told(found) == [("C223", "hosts.yaml:5:13")]


def test_each_reference_of_a_text_is_told(tmp_path: Path) -> None:
    found = examine(tmp_path, "3.10", '{file: /f, content: "${vars.v} ${vars.deep.x} ${vars.gone}"}')
    assert [code for code, _ in told(found)] == ["C223", "C223", "C204"]


def test_parameters_and_their_defaults_keep_what_was_written(tmp_path: Path) -> None:
    params = "  params: {p: {type: number, default: 3.10}, q: {type: number}}\n"
    module = f"{MODULE}{params}  resources:\n    - {TEMPLATE}\n"
    host = HOST.replace("[m]", '[{name: m, params: {q: "${vars.v}"}}]').replace("NUMBER", "1e3")
    found = examine(tmp_path, "", "", "{{ params.p }}", **{"hosts.yaml": host, "modules/m/module.yaml": module})
    assert told(found) == [("C223", "modules/m/module.yaml:5:39")]
    found = examine(tmp_path / "q", "", "", "{{ params.q }}", **{"hosts.yaml": host, "modules/m/module.yaml": module})
    assert told(found) == [("C223", "hosts.yaml:5:13")]


def test_each_value_of_a_repetition_is_told(tmp_path: Path) -> None:
    found = examine(tmp_path, "3.10", '{file: "/f/${each.value}", for_each: "${vars.list}"}')
    assert told(found) == [("C223", "hosts.yaml:5:26")]


@pytest.mark.parametrize("reading", [TEXT, TEMPLATE, "{file: /f, template: all.j2}", "{file: /f, template: peers.j2}"])
def test_a_host_that_writes_it_otherwise_shares_nothing_that_reads_it(tmp_path: Path, reading: str) -> None:
    """3.1 and 3.10 are one number; a unit compiled for the one must not hide the other's mistake."""
    other = HOST.replace("name: a", "name: b").replace("production", "testing").replace("NUMBER", "3.10")
    project = PROJECT + "    testing: {hosts: {env: testing}}\n"
    templates = {
        "modules/m/templates/all.j2": "{% for value in vars.values() %}{{ value }}{% endfor %}",
        "modules/m/templates/peers.j2": "{% for host in hosts() %}{{ host.vars.v }}{% endfor %}",
    }
    texts = {"hosts.yaml": HOST.replace("NUMBER", "3.1"), "b.yaml": other, "gitops.yaml": project, **templates}
    found = examine(tmp_path, "", reading, "{{ vars.v }}", **texts)
    assert {item.place.file for item in found.diagnostics if item.code == "C223"} == {"b.yaml"}


def test_two_hosts_are_both_told(tmp_path: Path) -> None:
    other = HOST.replace("name: a", "name: b").replace("NUMBER", "3.10")
    found = examine(tmp_path, "3.10", TEMPLATE, "{{ vars.v }}", **{"b.yaml": other})
    assert told(found) == [("C223", "b.yaml:5:13"), ("C223", "hosts.yaml:5:13")]


def by_cue(folder: Path, files: Mapping[str, str]) -> Examined:
    source = snapshot_folder(write_files(folder, {"gitops.yaml": PROJECT, **files}))
    return examine_tree(source, cue=CueTool(cache=folder.parent / "cache"))


CUE = 'package module\n\n#Params: {%s}\n\nresources: [{file: "/f", content: %s}]\n'


def test_cue_spells_what_it_was_given(tmp_path: Path) -> None:
    for number, read in (("3.10", "vars.v"), ("1.0", "vars.list[0]"), ("3.10", "hosts[0].vars.v"), ("3.10", "vars.deep.x")):
        files = {"hosts.yaml": HOST.replace("NUMBER", number), "modules/m/module.cue": CUE % ("", f'"v \\({read})"')}
        assert content(by_cue(tmp_path / "a", files)) == f"v {number}", read


@pytest.mark.parametrize("again", [False, True])
def test_numbers_of_cue_keep_what_cue_writes(tmp_path: Path, again: bool) -> None:
    """Also when the answer comes from the cache."""
    module = CUE % ("p: number | *3.10, q: number", '"${params.q}, ${params.p}"')
    host = HOST.replace("NUMBER", "0x10").replace("[m]", '[{name: m, params: {q: "${vars.v}"}}]')
    files = {"hosts.yaml": host, "modules/m/module.cue": module}
    for _ in range(1 + again):
        found = by_cue(tmp_path / "a", files)
    assert [(item.code, item.place.file) for item in found.diagnostics] == [
        ("C223", "hosts.yaml"),
        ("C223", "modules/m/module.cue"),
    ]
    assert ["`0x10`" in item.message or "`3.10`" in item.message for item in found.diagnostics] == [True, True]


def test_documents_in_cue_keep_it_too(tmp_path: Path) -> None:
    host = 'apiVersion: "gitops/v1", kind: "Host", metadata: {name: "a", labels: env: "production"}, spec: {vars: v: 3.10, modules: ["m"]}\n'
    files = {
        "host.cue": host,
        "modules/m/module.yaml": f"{MODULE}  resources:\n    - {TEXT}\n",
    }
    assert [(item.code, item.place.file) for item in by_cue(tmp_path / "a", files).diagnostics] == [("C223", "host.cue")]
