"""`hosts(…)` in templates and `hosts` in CUE: the hosts of the environment, sorted; blocks are shared by what was seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitops.model.codec import Json
from gitops.model.diagnostic import Diagnostic
from gitops.pipeline.project import Examined, examine_tree
from gitops.source.snapshot import snapshot_folder
from tests.support.cli import call
from tests.support.project import write_files

PROJECT = """\
apiVersion: gitops/v1
kind: Project
metadata: {name: acme}
spec:
  vars: {domain: example.org}
  environments:
    production: {hosts: {env: production}}
    staging: {hosts: {env: staging}}
"""
WEB = "server {{ h.name }}.{{ h.vars.domain }} {{ h.address }}:{{ h.vars.port }};\n"
LOOP = "{% for h in hosts(role='web') %}\n" + WEB + "{% endfor %}\n"
MODULE = "apiVersion: gitops/v1\nkind: Module\nmetadata: {name: balancer}\nspec: {resources: [{file: /f, template: t.j2}]}\n"
GROUP = (
    "apiVersion: gitops/v1\nkind: Group\nmetadata: {name: lb}\nspec: {selector: {role: lb}, modules: [balancer]}\n---\n"
    "apiVersion: gitops/v1\nkind: Group\nmetadata: {name: web}\n"
    "spec: {selector: {role: web}, vars: {port: '${host.labels.port}', port_of: '${vars.port}'}}\n"
)


def host(name: str, role: str, environment: str = "production", address: str = "192.0.2.1", **labels: str) -> str:
    more = "".join(f", {key}: '{value}'" for key, value in labels.items())
    return (
        f"---\napiVersion: gitops/v1\nkind: Host\nmetadata: {{name: {name}, labels: {{env: {environment}, role: {role}{more}}}}}\n"
        f"spec: {{address: {address}}}\n"
    )


WEBS = host("web-2", "web", address="192.0.2.22", port="81") + host("web-1", "web", address="192.0.2.21", port="80")
HOSTS = host("lb-1", "lb") + host("lb-2", "lb", address="192.0.2.2") + WEBS


def examine(folder: Path, template: str, hosts: str = HOSTS, **more: str) -> Examined:
    texts = {"gitops.yaml": PROJECT, "groups.yaml": GROUP, "hosts.yaml": hosts, "modules/balancer/module.yaml": MODULE}
    if template:
        texts["modules/balancer/templates/t.j2"] = template
    return examine_tree(snapshot_folder(write_files(folder, {**texts, **more})))


def contents(examined: Examined) -> dict[str, Json]:
    assert examined.built is not None, examined.diagnostics
    return {
        name: item.attributes.get("content")
        for graphs in examined.graphs.values()
        for name in graphs.hosts
        for item in graphs.resources_of(name)
    }


def blocks(examined: Examined) -> int:
    return len({digest for graphs in examined.graphs.values() for digest in graphs.blocks})


def test_a_balancer_lists_its_backends_sorted_with_resolved_variables_in_one_block(tmp_path: Path) -> None:
    found = examine(tmp_path, LOOP)
    listed = "server web-1.example.org 192.0.2.21:80;\nserver web-2.example.org 192.0.2.22:81;\n"
    assert contents(found) == {"lb-1": listed, "lb-2": listed}
    assert blocks(found) == 1


def test_the_order_of_documents_changes_nothing(tmp_path: Path) -> None:
    turned = "---".join(reversed(HOSTS.split("---")))
    assert contents(examine(tmp_path / "a", LOOP)) == contents(examine(tmp_path / "b", LOOP, turned))


def test_a_host_sees_its_own_environment_only(tmp_path: Path) -> None:
    elsewhere = host("lb-s", "lb", "staging") + host("web-s", "web", "staging", port="9", address="192.0.2.99")
    found = contents(examine(tmp_path, "{% for h in hosts() %}{{ h.name }} {% endfor %}", HOSTS + elsewhere))
    assert found == {"lb-1": "lb-1 lb-2 web-1 web-2 ", "lb-2": "lb-1 lb-2 web-1 web-2 ", "lb-s": "lb-s web-s "}


def test_environments_that_see_the_same_share_and_others_do_not(tmp_path: Path) -> None:
    elsewhere = host("lb-s", "lb", "staging")
    none = "{{ hosts(role='cache') | length }}"
    assert blocks(examine(tmp_path / "none", none, HOSTS + elsewhere)) == 1
    assert blocks(examine(tmp_path / "webs", LOOP, HOSTS + elsewhere)) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{zone: a}", "{zone: b}"),
        ("{zone: 1}", "{zone: true}"),
        ("{zone: 1}", "{zone: '1'}"),
        ("{zone: [a]}", "{zone: {'0': a}}"),
        ("{zone: ~}", "{}"),
    ],
)
def test_a_difference_in_any_variable_of_a_peer_tells_environments_apart(tmp_path: Path, first: str, second: str) -> None:
    template = "{% for h in hosts(role='web') %}{{ h.vars.zone is defined }}{{ h.vars.zone is sameas true }}{% endfor %}"
    pair = [
        host(f"lb-{name}", "lb", name) + host("web", "web", name).replace("name: web", f"name: web-{name}")
        for name in ("production", "staging")
    ]
    hosts = "".join(text.rstrip("}\n") + f", vars: {zone}}}\n" for text, zone in zip(pair, (first, second), strict=True))
    hosts = hosts.replace("role: web}}", "role: web, port: '1'}}")
    both = contents(examine(tmp_path, template + "{{ hosts(role='web') | map(attribute='vars') | list }}", hosts))
    assert both["lb-production"] != both["lb-staging"]


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ("hosts()", "lb-1 lb-2 web-1 web-2"),
        ("hosts(role='lb', env='production')", "lb-1 lb-2"),
        ("hosts(port=['80', '81'])", "web-1 web-2"),
        ("hosts(port=('80', ))", "web-1"),
        ("hosts(**{'role': 'lb'})", "lb-1 lb-2"),
        ("hosts(role='nothing')", ""),
    ],
)
def test_labels_select_as_selectors_do(tmp_path: Path, selection: str, names: str) -> None:
    found = contents(examine(tmp_path, f"{{{{ {selection} | map(attribute='name') | join(' ') }}}}"))
    assert set(found.values()) == {names}


@pytest.mark.parametrize(
    "selection", ["hosts(role=1)", "hosts(role=[])", "hosts(role=['web', 2])", "hosts(role=none)", "hosts('web')"]
)
def test_what_is_no_label_is_a_mistake_with_its_line(tmp_path: Path, selection: str) -> None:
    found = examine(tmp_path, f"first\n{{{{ {selection} }}}}")
    assert [(item.code, item.place.file, item.place.line) for item in found.diagnostics if item.severity == "error"] == [
        ("C304", "modules/balancer/templates/t.j2", 2)
    ]


@pytest.mark.parametrize(
    "trick",
    [
        "{% set _ = hosts().append(1) %}",
        "{% set _ = hosts()[0].vars.update({'port': 9}) %}",
        "{% set _ = hosts()[0].labels.clear() %}",
        "{{ hosts.__globals__ }}",
        "{{ hosts.__closure__[0].cell_contents.secrets }}",
    ],
)
def test_a_template_changes_no_other_host_and_reaches_nothing_behind_it(tmp_path: Path, trick: str) -> None:
    assert [item.code for item in examine(tmp_path, trick).diagnostics if item.severity == "error"] == ["C304"]


def test_explain_names_the_selection_that_was_read(tmp_path: Path) -> None:
    assert examine(tmp_path, LOOP).built is not None
    shown = call("-C", tmp_path, "explain", "lb-1", "file:/f", "--format", "json").json
    assert [name for name in shown["addresses"][0]["reads"] if name.startswith("hosts.")] == ['hosts.{"role": ["web"]}']


CUE = """\
package module

import "strings"

resources: [{
	file:    "/f"
	content: strings.Join([for h in hosts if h.labels.role == "web" {"\\(h.name) \\(h.address):\\(h.vars.port)"}], " ")
}]
"""


def test_a_cue_module_sees_the_hosts_as_a_list_and_shares(tmp_path: Path) -> None:
    group = GROUP.replace("balancer", "site")
    found = examine(tmp_path, "", **{"modules/site/module.cue": CUE, "groups.yaml": group})
    assert contents(found) == dict.fromkeys(("lb-1", "lb-2"), "web-1 192.0.2.21:80 web-2 192.0.2.22:81")
    assert blocks(found) == 1


def test_a_cue_module_that_only_declares_hosts_of_its_own_keeps_them(tmp_path: Path) -> None:
    text = 'package module\n\n#Params: hosts: [...string] | *["x"]\nresources: [{file: "/f", content: params.hosts[0]}]\n'
    found = examine(tmp_path, "", **{"modules/site/module.cue": text, "groups.yaml": GROUP.replace("balancer", "site")})
    assert set(contents(found).values()) == {"x"}


def in_template(found: Examined) -> list[Diagnostic]:
    return [item for item in found.diagnostics if item.place.file.endswith(".j2")]


@pytest.mark.parametrize(
    ("selection", "hint"),
    [
        ("rle='web'", "no host has the label `rle`, did you mean `role`? there are: env, port, role"),
        ("role='wbe'", "no host has `role: wbe`, did you mean `web`? there are: lb, web"),
        ("role='lb', port='80'", "no host has all of these labels"),
    ],
)
def test_a_selection_that_no_host_of_the_project_matches_is_told(tmp_path: Path, selection: str, hint: str) -> None:
    """As it is of a group's selector; the number of hosts is still nought, and the template is rendered."""
    found = examine(tmp_path, f"a\n{{% for h in hosts({selection}) %}}\n{{{{ h.name }}}}\n{{% endfor %}}\n")
    assert [(item.code, item.severity, str(item.place), item.hint) for item in in_template(found)] == [
        ("C211", "warning", "modules/balancer/templates/t.j2:2:1", hint)
    ]
    assert found.built is not None


def test_a_selection_in_a_macro_and_a_missing_loop_is_told_at_its_line(tmp_path: Path) -> None:
    macro = "{% macro m(role) %}\n{{ hosts(role=role) | length }}{% endmacro %}\n{{ m('a') }}{{ m('b') }}{{ m('web') }}"
    found = in_template(examine(tmp_path, macro))
    assert [(item.code, item.place.line) for item in found] == [("C211", 2), ("C211", 2)]
    assert ["`hosts(role='a')`" in found[0].message, "`hosts(role='b')`" in found[1].message] == [True, True]


def test_a_selection_met_in_another_environment_is_no_mistake(tmp_path: Path) -> None:
    elsewhere = "---\napiVersion: gitops/v1\nkind: Host\nmetadata: {name: db, labels: {env: other, role: db}}\n"
    found = examine(tmp_path, "{{ hosts(role='db') | length }}", HOSTS + elsewhere)
    assert in_template(found) == []
