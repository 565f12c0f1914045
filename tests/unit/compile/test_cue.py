"""CUE: modules, parameters and documents through the real binary; sharing, cache, bounds, mistakes with their places."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from gitops.config import cue as cue_module
from gitops.config.cue import CueTool, read_version
from gitops.config.cuebinary import find_cue
from gitops.model.diagnostic import Diagnostic
from gitops.model.resource import Resource
from gitops.pipeline.bounds import Bounds
from gitops.pipeline.child import compile_commit
from gitops.pipeline.project import Examined, examine_tree
from gitops.source.snapshot import snapshot_folder
from tests.support.project import PROJECT, Repository, write_files

MODULE = """\
package module

import "strings"

#Params: {
	port: int & >0 & <65536 | *80
	names: [...string]
	title!: string
}

resources: [
	{package: "nginx"},
	for name in params.names {
		file:    "/etc/\\(name)"
		content: strings.ToUpper(params.title) + " \\(params.port) \\(vars.zone)\\n"
		needs: ["package:nginx"]
	},
]
"""
GROUP = """\
apiVersion: gitops/v1
kind: Group
metadata: {name: all}
spec:
  selector: {}
  vars: {zone: a}
  modules:
    - name: site
      params: {title: hi, names: [one, two]}
"""
HOSTS = "".join(
    f"apiVersion: gitops/v1\nkind: Host\nmetadata: {{name: web-{number}, labels: {{env: production, n: '{number}'}}}}\n---\n"
    for number in (1, 2)
)
SITE = {"gitops.yaml": PROJECT, "inventory/hosts.yaml": HOSTS, "groups.yaml": GROUP, "modules/site/module.cue": MODULE}


def examine(folder: Path, files: Mapping[str, str | bytes], **options: object) -> Examined:
    return examine_tree(snapshot_folder(write_files(folder, files)), **options)  # type: ignore[arg-type]


def resources(found: Examined, host: str = "web-1") -> dict[str, Resource]:
    assert found.built is not None, found.diagnostics
    return {item.address: item for item in found.graphs["production"].resources_of(host)}


def at(item: Diagnostic) -> tuple[str, str, int]:
    return item.code, item.place.file, item.place.line


def test_a_module_in_cue_gives_resources_with_defaults_and_vars(tmp_path: Path) -> None:
    found = resources(examine(tmp_path, SITE))
    assert set(found) == {"package:nginx", "file:/etc/one", "file:/etc/two"}
    assert found["file:/etc/one"].attributes == {"content": "HI 80 a\n"}
    assert found["file:/etc/one"].needs == ("package:nginx",)


def test_hosts_share_what_a_module_does_not_tell_apart(tmp_path: Path) -> None:
    shared = examine(tmp_path / "a", SITE).graphs["production"]
    assert len(shared.blocks) == 1
    by_name = MODULE.replace("vars.zone", "host.name")
    apart = examine(tmp_path / "b", {**SITE, "modules/site/module.cue": by_name})
    assert len(apart.graphs["production"].blocks) == 2
    assert resources(apart, "web-2")["file:/etc/one"].attributes == {"content": "HI 80 web-2\n"}
    by_label = MODULE.replace("vars.zone", "host.labels.env")
    assert len(examine(tmp_path / "c", {**SITE, "modules/site/module.cue": by_label}).graphs["production"].blocks) == 1


def test_a_root_read_as_a_whole_tells_hosts_apart(tmp_path: Path) -> None:
    whole = MODULE.replace("\\(vars.zone)", "\\(all.labels.n)") + "let all = host\n"
    found = examine(tmp_path, {**SITE, "modules/site/module.cue": whole})
    assert resources(found, "web-1")["file:/etc/one"].attributes == {"content": "HI 80 1\n"}
    assert resources(found, "web-2")["file:/etc/one"].attributes == {"content": "HI 80 2\n"}


def test_declaring_the_inputs_too_is_fine(tmp_path: Path) -> None:
    declared = MODULE + "vars: _\nhost: {...}\nparams: #Params\n"
    assert set(resources(examine(tmp_path, {**SITE, "modules/site/module.cue": declared}))) >= {"file:/etc/one"}


def test_secrets_and_escapes_pass_through_cue(tmp_path: Path) -> None:
    files = {
        "gitops.yaml": PROJECT + "  secrets:\n    token: {from: env, key: TOKEN}\n",
        "inventory/hosts.yaml": HOSTS,
        "groups.yaml": GROUP.replace("title: hi", 'title: "$${x}"'),
        "modules/site/module.cue": MODULE.replace(
            "strings.ToUpper(params.title)", 'params.title + strings.Repeat("${secret.token}", 1)'
        ),
    }
    content = resources(examine(tmp_path, files))["file:/etc/one"].attributes["content"]
    assert content == {"parts": ["${x}", {"secret": "token", "from": "env", "key": "TOKEN"}, " 80 a\n"]}


@pytest.mark.parametrize(
    ("old", "new", "code", "place", "words"),
    [
        ("title: hi, ", "", "C207", ("groups.yaml", 8), "needs the parameter `title`"),
        ("title: hi", "title: hi, port: x", "C207", ("groups.yaml", 9), "parameter `port` of module `site`"),
        ("title: hi", "title: hi, prt: 1", "C207", ("groups.yaml", 9), "no parameter `prt`"),
        ("{zone: a}", "{zon: a}", "C502", ("modules/site/module.cue", 15), "undefined field: zone"),
    ],
)
def test_wrong_inputs_are_told_where_they_are_given(
    tmp_path: Path, old: str, new: str, code: str, place: tuple[str, int], words: str
) -> None:
    found = examine(tmp_path, {**SITE, "groups.yaml": GROUP.replace(old, new)}).diagnostics
    assert at(found[0]) == (code, *place)
    assert words in found[0].message
    assert {at(item) for item in found} == {(code, *place)}


@pytest.mark.parametrize(
    ("old", "new", "code", "line", "words"),
    [
        ('{package: "nginx"},', '{package: "nginx" "x"},', "C502", 12, "missing ','"),
        ('{package: "nginx"},', '{package: nginx},', "C502", 12, '"nginx" not found'),
        ("package module", "package other", "C502", 1, "package other"),
        ("package module", "", "C502", 1, "no package"),
        ('import "strings"', 'import "acme.example.org/x@v1"', "C502", 3, "acme.example.org/x"),
        ("resources: [", "things: [", "C106", 1, "`resources` is missing"),
        ('{package: "nginx"}', '{package: "nginx", versoin: "1"}', "C104", 12, "unknown key `versoin`"),
        ('{package: "nginx"}', '{package: "nginx", service: "nginx"}', "C107", 12, "two kinds"),
    ],
)  # fmt: skip
def test_mistakes_in_a_cue_module_have_their_line(tmp_path: Path, old: str, new: str, code: str, line: int, words: str) -> None:
    found = examine(tmp_path, {**SITE, "modules/site/module.cue": MODULE.replace(old, new, 1)}).diagnostics
    assert at(found[0]) == (code, "modules/site/module.cue", line), found
    assert words in found[0].message


PARAMS = "package module\n\n#Params: {\n\tport: int & <65536 | *80\n\tname: string\n}\n"
YAML_MODULE = """\
apiVersion: gitops/v1
kind: Module
metadata: {name: site}
spec:
  resources:
    - file: /etc/${params.name}
      content: "port ${params.port}"
"""


def test_params_cue_checks_and_fills_beside_yaml(tmp_path: Path) -> None:
    files = {
        **SITE,
        "modules/site/module.cue": "",
        "modules/site/module.yaml": YAML_MODULE,
        "modules/site/params.cue": PARAMS,
        "groups.yaml": GROUP.replace("title: hi, names: [one, two]", "name: x"),
    }
    del files["modules/site/module.cue"]
    assert resources(examine(tmp_path / "a", files))["file:/etc/x"].attributes == {"content": "port 80"}
    missing = examine(tmp_path / "b", {**files, "groups.yaml": files["groups.yaml"].replace("name: x", "port: 1")}).diagnostics
    assert [(item.code, item.place.file) for item in missing] == [("C207", "groups.yaml")]
    twice = YAML_MODULE.replace("spec:\n", "spec:\n  params: {port: {type: integer}}\n")
    found = examine(tmp_path / "c", {**files, "modules/site/module.yaml": twice}).diagnostics
    assert at(found[0])[:2] == ("C110", "modules/site/module.yaml")


def test_documents_in_cue_may_use_what_lies_beside_them(tmp_path: Path) -> None:
    files = {
        "gitops.yaml": PROJECT,
        "inventory/shape.cue": 'package inventory\n\n#Web: {\n\tapiVersion: "gitops/v1"\n\tkind: "Host"\n\tmetadata: {name: string, labels: env: "production"}\n\tspec: resources: [{file: "/etc/motd", content: metadata.name}]\n}\n',
        "inventory/hosts.cue": 'package inventory\n\nhosts: [for n in ["a", "b"] {#Web & {metadata: name: n}}]\nbyName: c: #Web & {metadata: name: "c"}\n',
        "one.cue": 'apiVersion: "gitops/v1"\nkind: "Group"\nmetadata: name: "all"\nspec: {selector: {}, resources: [{package: "vim"}]}\n',
    }
    found = examine(tmp_path, files)
    assert found.built is not None, found.diagnostics
    assert set(found.built.config.hosts) == {"a", "b", "c"}
    assert set(resources(found, "c")) == {"file:/etc/motd", "package:vim"}
    assert found.built.config.hosts["c"].place.file == "inventory/hosts.cue"


def test_cue_files_may_import_the_projects_own_packages(tmp_path: Path) -> None:
    files = {
        "gitops.yaml": PROJECT,
        "cue.mod/module.cue": 'module: "acme.example.org/site@v0"\nlanguage: version: "v0.17.0"\n',
        "lib/lib.cue": 'package lib\n\n#Label: env: "production"\n',
        "hosts/a.cue": 'package hosts\n\nimport "acme.example.org/site/lib"\n\na: {apiVersion: "gitops/v1", kind: "Host", metadata: {name: "a", labels: lib.#Label}}\n',
    }
    found = examine(tmp_path, files)
    assert found.built is not None, found.diagnostics
    assert found.built.config.hosts["a"].labels == {"env": "production"}


def test_a_broken_cue_document_hides_nothing_and_causes_nothing(tmp_path: Path) -> None:
    files = {
        "gitops.yaml": PROJECT,
        "inventory/hosts.yaml": HOSTS,
        "bad.cue": "x: [\n",
        "worse.cue": "package worse\n\ny: z\n",
        "scalar.cue": "package scalar\n\nport: 80\n",
        "groups.yaml": GROUP.replace("spec:\n", "spec:\n  prioritty: 1\n"),
    }
    found = examine(tmp_path, files).diagnostics
    assert [(item.code, item.place.file) for item in found] == [
        ("C502", "bad.cue"),
        ("C104", "groups.yaml"),
        ("C101", "scalar.cue"),
        ("C502", "worse.cue"),
    ]
    assert str(found[0].place) == "bad.cue:1:6"
    assert str(found[3].place) == "worse.cue:3:4"
    assert found[2].place.line == 3


def test_cue_is_missing_only_for_those_who_use_it(tmp_path: Path) -> None:
    tool = CueTool(setting=str(tmp_path / "nowhere"))
    found = examine(tmp_path / "a", SITE, cue=tool).diagnostics
    assert [(item.code, item.place.file) for item in found] == [("C501", "modules/site/module.cue")]
    assert "GITOPS_CUE" in found[0].hint
    assert examine(tmp_path / "b", {"gitops.yaml": PROJECT, "inventory/hosts.yaml": HOSTS}, cue=tool).built is not None


def test_an_old_cue_is_refused_with_its_version(tmp_path: Path) -> None:
    old = tmp_path / "cue"
    old.write_text("#!/bin/sh\necho cue version v0.16.9\n")
    old.chmod(0o755)
    found = examine(tmp_path / "a", SITE, cue=CueTool(setting=str(old))).diagnostics
    assert [item.code for item in found] == ["C501"]
    assert "0.16.9" in found[0].message


def counting(folder: Path) -> tuple[str, Path]:
    """A cue that writes down how often it exports."""
    log, wrapper = folder / "log", folder / "cue"
    folder.mkdir()
    wrapper.write_text(f'#!/bin/sh\n[ "$1" = export ] && echo "$@" >> {log}\nexec {find_cue()} "$@"\n')
    wrapper.chmod(0o755)
    return str(wrapper), log


def test_one_process_for_all_units_and_none_when_cached(tmp_path: Path) -> None:
    wrapper, log = counting(tmp_path / "tool")
    tool = CueTool(wrapper, tmp_path / "cache")
    files = {**SITE, "modules/site/module.cue": MODULE.replace("vars.zone", "host.name")}
    first = examine(tmp_path / "a", files, cue=tool)
    assert len(log.read_text().splitlines()) == 1
    assert examine(tmp_path / "b", files, cue=tool).graphs == first.graphs
    assert len(log.read_text().splitlines()) == 1
    assert examine(tmp_path / "c", {**files, "modules/site/module.cue": MODULE}, cue=tool).graphs != first.graphs
    assert len(log.read_text().splitlines()) == 2


def test_a_damaged_cache_changes_nothing(tmp_path: Path) -> None:
    tool = CueTool(cache=tmp_path / "cache")
    first = examine(tmp_path / "a", SITE, cue=tool)
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert kept
    for path in kept:
        path.write_bytes(b"{")
    assert examine(tmp_path / "a", SITE, cue=tool).graphs == first.graphs


ENDLESS = 'package module\n\nimport "list"\n\nresources: [for i in list.Range(0, 100000000, 1) {package: "p\\(i)"}]\n'


def test_cue_that_does_not_end_is_stopped(tmp_path: Path) -> None:
    files = {**SITE, "modules/site/module.cue": ENDLESS, "groups.yaml": GROUP.replace("title: hi, names: [one, two]", "")}
    started = time.monotonic()
    found = examine(tmp_path, files, cue=CueTool(seconds=1)).diagnostics
    assert time.monotonic() - started < 120
    assert [at(item) for item in found] == [("C606", "modules/site/module.cue", 1)]


def test_cue_works_in_the_bounded_child_and_ends_with_it(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repo", SITE)
    found = compile_commit(repository.path / ".git", repository.git("rev-parse", "HEAD"))
    assert found.is_valid, found.diagnostics
    assert found.graphs == examine_tree(snapshot_folder(repository.path)).graphs
    head = repository.commit(
        {"modules/site/module.cue": ENDLESS, "groups.yaml": GROUP.replace("title: hi, names: [one, two]", "")}
    )
    found = compile_commit(repository.path / ".git", head, bounds=Bounds(3))
    assert [item.code for item in found.diagnostics] == ["C606"]


def test_cue_may_not_take_all_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cue_module, "MEMORY", 96 * 1024 * 1024)
    files = {**SITE, "modules/site/module.cue": ENDLESS, "groups.yaml": GROUP.replace("title: hi, names: [one, two]", "")}
    found = examine(tmp_path, files).diagnostics
    assert [at(item) for item in found] == [("C606", "modules/site/module.cue", 1)]
    assert "memory" in found[0].message


def test_what_is_no_cue_has_no_version(tmp_path: Path) -> None:
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexit 1\n")
    silent.chmod(0o755)
    assert read_version(str(silent)) is None
    assert read_version(str(tmp_path / "nowhere")) is None


NUMBERS = """\
apiVersion: "gitops/v1"
kind:       "Host"
metadata: {name: "big-1", labels: {env: "production"}}
spec: vars: {
	deep: [{size: 1}, {size: 1E+999}]
}
"""


@pytest.mark.parametrize(
    ("number", "path"),
    [
        ("1E+999", "spec.vars.deep.1.size"),
        ("-1e400", "spec.vars.deep.1.size"),
        ("1" + "0" * 400, "spec.vars.deep.1.size"),
        ("1" + "0" * 5000, "spec.vars.deep.1.size"),
    ],
)
@pytest.mark.parametrize("is_cached", [False, True])
def test_a_number_beyond_all_bounds_is_told_with_its_place(tmp_path: Path, number: str, path: str, is_cached: bool) -> None:
    files = {"gitops.yaml": PROJECT, "big.cue": NUMBERS.replace("1E+999", number)}
    tool = CueTool(cache=tmp_path / "cache")
    found = [examine(tmp_path / "project", files, cue=tool).diagnostics for _ in range(1 + is_cached)]
    (item,) = found[-1]
    assert at(item) == ("C105", "big.cue", 5)
    assert item.message == f"CUE: {path}: the number is too large"


def test_a_number_beyond_all_bounds_in_a_module_is_told_as_well(tmp_path: Path) -> None:
    module = MODULE.replace("(params.port)", "(params.port)").replace("*80", "*80\n\tfactor: number | *1e999")
    (item,) = examine(tmp_path, {**SITE, "modules/site/module.cue": module}).diagnostics
    assert at(item) == ("C105", "modules/site/module.cue", 7)
    assert "params.factor" in item.message


def test_large_numbers_within_bounds_are_fine(tmp_path: Path) -> None:
    files = {
        "gitops.yaml": PROJECT,
        "big.cue": NUMBERS.replace("1E+999", "1e300").replace("{size: 1}", "{size: 1" + "0" * 299 + "}"),
    }
    assert [item.code for item in examine(tmp_path, files).diagnostics] == []


@pytest.mark.parametrize(
    ("letter", "words", "escape"),
    [
        ("\r", "a lone CR ends a line", "\\u000d"),
        ("\u2028", "U+2028 (line separator) ends a line", "\\u2028"),
        ("\x85", "U+0085 (next line) ends a line", "\\u0085"),
        ("\x1b", "the control character U+001B", "\\u001b"),
    ],
)
@pytest.mark.parametrize("path", ["b.cue", "modules/site/module.cue", "modules/yaml/params.cue", "cue.mod/module.cue"])
def test_what_hides_a_line_in_cue_is_refused_with_its_place(
    tmp_path: Path, path: str, letter: str, words: str, escape: str
) -> None:
    yaml = "apiVersion: gitops/v1\nkind: Module\nmetadata: {name: yaml}\nspec: {resources: []}\n"
    files = {**SITE, "modules/yaml/module.yaml": yaml, path: f"package module\n// a{letter} b\n"}
    if path == "modules/yaml/params.cue":
        files["inventory/use.yaml"] = HOSTS.partition("---")[0].replace("web-1", "web-9").rstrip() + "\nspec: {modules: [yaml]}\n"
    found = [item for item in examine(tmp_path, files).diagnostics if item.code == "C706"]
    assert [(item.place.file, item.place.line, item.place.column) for item in found] == [(path, 2, 5)]
    assert words in found[0].message
    assert escape in found[0].hint


def test_crlf_in_cue_is_fine(tmp_path: Path) -> None:
    crlf = MODULE.replace("\n", "\r\n")
    assert set(resources(examine(tmp_path, {**SITE, "modules/site/module.cue": crlf}))) >= {"file:/etc/one"}
