"""Templates print the same everywhere: values only, never an object of ours or of Python's, whatever filter stands between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gitops.compile.sandbox import make_environment
from gitops.model.graph import Graphs
from gitops.pipeline.project import Examined, examine_tree
from gitops.source.snapshot import snapshot_folder
from tests.support.project import HOST, PROJECT, write_files

ROOT = Path(__file__).parents[3]
SPEC = "  resources: [{file: /a, template: t.j2}]\n"
VARS = """\
  vars:
    l: [b, a, b]
    n: [3, 1, 2]
    m: {keys: own, items: [1], values: 2, get: 3, x: {y: 1}}
    plain: {b: 1, a: 2}
    rows: [{k: b, v: 1}, {k: a, v: 2}]
    s: some text
    f: 1.5
    items: of the root
"""
ARGUMENTS = {
    "attr": "('m')", "batch": "(2)", "slice": "(2)", "groupby": "('k')", "map": "('string')", "select": "('string')",
    "reject": "('none')", "selectattr": "('k')", "rejectattr": "('k')", "sort": "(attribute='k')", "format": "(1)",
    "replace": "('a', 'b')", "xmlattr": "", "indent": "(2)", "truncate": "(3)", "center": "(9)", "default": "(1)",
}  # fmt: skip
VALUES = ("vars.l", "vars.n", "vars.m", "vars.plain", "vars.rows", "vars.s", "vars.f", "vars", "host", "hosts()", "true", "'%s'")
FILTERS = sorted(make_environment().filters)
COMPILE = """\
import json, sys
from pathlib import Path
from gitops.pipeline.project import examine_tree
from gitops.source.snapshot import snapshot_folder
found = examine_tree(snapshot_folder(Path(sys.argv[1])))
resources = [] if not found.graphs else found.graphs["production"].hosts["web-1"].resources
told = [f"{item.place} {item.message} {item.hint}" for item in found.diagnostics]
print(json.dumps([told, {str(item.address): item.attributes["content"] for item in resources}]))
"""


def examine(folder: Path, template: str | bytes, more: str = VARS) -> Examined:
    files = {
        "gitops.yaml": PROJECT + "  secrets: {pw: {from: env, key: PW}}\n",
        "web.yaml": HOST.partition("spec:")[0] + "spec:\n" + more + SPEC,
        "templates/t.j2": template,
    }
    return examine_tree(snapshot_folder(write_files(folder, files)))


def render(folder: Path, template: str | bytes) -> object:
    found = examine(folder, template)
    assert found.diagnostics == ()
    graphs: Graphs = found.graphs["production"]
    (resource,) = graphs.hosts["web-1"].resources
    return resource.attributes["content"]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ vars.l | map('string') }}", "['b', 'a', 'b']"),
        ("{{ vars.l | unique }}", "['b', 'a']"),
        ("{{ vars.l | reverse }}", "['b', 'a', 'b']"),
        ("{{ vars.n | select('odd') ~ '' }}", "[3, 1]"),
        ("{{ vars.m.keys }} {{ vars.m['items'] }} {{ vars.m | attr('get') }}", "own [1] 3"),
        ("{{ vars.m.x.keys() }}", "['y']"),
        ("{{ vars.plain.items() | list }}", "[('b', 1), ('a', 2)]"),
        ("{{ vars.rows | map(attribute='k') | join(',') }}", "b,a"),
        ("{{ vars.items }}", "of the root"),
        ("{{ host }}", "{'address': '', 'labels': {'env': 'production', 'role': 'web'}, 'name': 'web-1'}"),
        ("{{ host ~ '' }}", "{'address': '', 'labels': {'env': 'production', 'role': 'web'}, 'name': 'web-1'}"),
        ("{{ hosts(role='web') | map(attribute='name') }}", "['web-1']"),
        ("{{ host | tojson }}", '{"address": "", "labels": {"env": "production", "role": "web"}, "name": "web-1"}'),
        ("{{ 'a'.upper() }}{{ '%s' | format(1.5) }}{{ true }}{{ '{x}'.format(x=1) }}", "A1.5true1"),
        ("{% block b %}x{% endblock %}{{ self.b() }}", "xx"),
    ],
)
def test_what_is_a_value_is_printed(tmp_path: Path, template: str, text: str) -> None:
    assert render(tmp_path, template) == text


@pytest.mark.parametrize(
    ("template", "code", "words"),
    [
        ("{{ vars.plain.keys }}", "C304", "the function `keys`"),
        ("{{ vars.plain.keys ~ '' }}", "C304", "the function `keys`"),
        ("{{ [vars.plain.keys] | string }}", "C304", "the function `keys`"),
        ("{{ '{0.keys}'.format(vars.plain) }}", "C304", "the function `keys`"),
        ("{{ 'x'.upper }}", "C304", "the function `upper`"),
        ("{{ hosts }}", "C304", "the function `hosts`"),
        ("{{ [hosts] }}", "C304", "the function `hosts`"),
        ("{{ hosts ~ '' }}", "C304", "the function `hosts`"),
        ("{{ secret }}", "C404", "placed, not transformed"),
        ("{{ secret ~ '' }}", "C404", "placed, not transformed"),
        ("{{ [secret] }}", "C404", "placed, not transformed"),
        ("{{ {'a': [secret.pw]} }}", "C404", "placed, not transformed"),
        ("{{ range(3) }}", "C304", "a range"),
        ("{{ [range(3)] }}", "C304", "a range"),
        ("{{ dict }}", "C304", "no value"),
        ("{{ namespace(a=1) }}", "C304", "no value"),
        ("{% macro m() %}{% endmacro %}{{ m }}", "C304", "no value"),
        ("{% block b %}x{% endblock %}{{ self.b ~ '' }}", "C304", "the function `b`"),
        ("{% for x in [1] %}{{ loop }}{% endfor %}", "C304", "no value"),
        ("{{ 'a'.encode() }}", "C304", "bytes"),
        ("{{ 1e308 * 10 }}", "C304", "too large"),
        ("{{ (0 - 8) ** 0.5 }}", "C304", "no value"),
        ("{{ vars.l | random }}", "C304", "something else each time"),
        ("{{ vars.l | map('random') }}", "C304", "something else each time"),
        ("{{ [vars.nope] | string }}", "C303", "unknown variable `nope`"),
        ("{{ {'f': vars.plain.keys} | tojson }}", "C304", "the function `keys`"),
    ],
)
def test_what_is_no_value_is_an_error(tmp_path: Path, template: str, code: str, words: str) -> None:
    (found,) = examine(tmp_path, template).diagnostics
    assert (found.code, found.place.file) == (code, "templates/t.j2")
    assert words in found.message
    assert " at 0x" not in found.message


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every filter on every kind of value, each in a resource of its own; what fails is told, and told the same."""
    folder = tmp_path_factory.mktemp("filters")
    rows = [
        (f"{name}-{number}", f"{{{{ {value} | {name}{ARGUMENTS.get(name, '')} }}}}{{{{ ({value} | {name}{ARGUMENTS.get(name, '')}) ~ '' }}}}")
        for name in FILTERS
        for number, value in enumerate(VALUES)
    ]  # fmt: skip
    resources = "".join(f"    - {{file: /{name}, template: {name}.j2}}\n" for name, _ in rows)
    files = {f"templates/{name}.j2": text for name, text in rows}
    write_files(
        folder,
        {
            "gitops.yaml": PROJECT,
            "web.yaml": HOST.partition("spec:")[0] + "spec:\n" + VARS + "  resources:\n" + resources,
            **files,
        },
    )
    return folder


def test_two_compiles_of_every_filter_say_the_same_and_print_no_address(everything: Path) -> None:
    first, second = (compile_apart(everything, seed) for seed in ("1", "2"))
    assert first == second
    told = "\n".join(first[0])
    assert " at 0x" not in told
    assert {name for name in FILTERS if f"templates/{name}-" in told} >= {"random", "xmlattr"}


def test_every_filter_prints_the_same_twice_where_it_prints(everything: Path, tmp_path: Path) -> None:
    told, _ = compile_apart(everything, "1")
    broken = {line.partition(":")[0] for line in told}
    good = [path for path in sorted((everything / "templates").iterdir()) if f"templates/{path.name}" not in broken]
    works = {path.name.rpartition("-")[0] for path in good}
    assert works == set(FILTERS) - {"random"}
    resources = "".join(f"    - {{file: /{path.stem}, template: {path.name}}}\n" for path in good)
    files = {
        "gitops.yaml": PROJECT,
        "web.yaml": HOST.partition("spec:")[0] + "spec:\n" + VARS + "  resources:\n" + resources,
        **{f"templates/{path.name}": path.read_text() for path in good},
    }
    folder = write_files(tmp_path, files)
    first, second = (compile_apart(folder, seed) for seed in ("3", "4"))
    assert first == second
    assert first[0] == []
    assert len(first[1]) == len(good)
    assert " at 0x" not in json.dumps(first)


def compile_apart(folder: Path, seed: str) -> list[list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", COMPILE, str(folder)],
        cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_of_a_template_are_kept(tmp_path: Path, end: str) -> None:
    text = "{% for x in [1, 2] %}\nline {{ x }}\n{% endfor %}\nlast {#\n #}\n{% raw %}a\nb{% endraw %}\n"
    first = render(tmp_path / "lf", text)
    assert isinstance(first, str)
    assert "line 1\nline 2\n" in first
    assert render(tmp_path / "as", text.replace("\n", end).encode()) == first.replace("\n", end)


@pytest.mark.parametrize(
    ("template", "line", "words"),
    [
        ("a\r\nb\n", 2, "ends with LF, expected CRLF"),
        ("a\nb\r\n", 2, "ends with CRLF, expected LF"),
        ("a\nb\rc\n", 2, "ends with a lone CR, expected LF"),
        ("a\rc\n", 1, "ends with a lone CR, expected LF"),
    ],
)
def test_line_ends_that_cannot_be_kept_are_refused(tmp_path: Path, template: str, line: int, words: str) -> None:
    (found,) = examine(tmp_path, template.encode()).diagnostics
    assert (found.code, found.place.line) == ("C307", line)
    assert words in found.message
