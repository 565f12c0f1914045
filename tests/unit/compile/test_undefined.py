"""Every undefined name of a template is told at once, and none that the template guards, or that hangs on another one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.project import PROJECT, examine_files

HOST = """\
apiVersion: gitops/v1
kind: Host
metadata: {name: a, labels: {env: production}}
spec:
  vars: {one: 1, list: [{x: 1}], no: false, v: 3.10}
  resources: [{file: /f, template: t.j2}]
"""


def told(folder: Path, template: str) -> list[tuple[int, str]]:
    found = examine_files(folder, {"gitops.yaml": PROJECT, "hosts.yaml": HOST, "templates/t.j2": template})
    return [(item.place.line, item.message.partition("`")[2].rstrip("`")) for item in found.diagnostics]


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("{{ vars.a }}\n{{ vars.b }}\n{{ vars.one }}\n{{ params.c }}", [(1, "a"), (2, "b"), (4, "c")]),
        ("{{ vars.a }} {{ vars.b }}", [(1, "a"), (1, "b")]),
        ("{{ vars.a }}{{ vars.a }}\n{{ vars.a }}", [(1, "a"), (2, "a")]),
        ("{{ vars.a | upper }}\n{{ nope }}", [(1, "a"), (2, "nope")]),
        ("{% if vars.a %}\n{{ vars.x }}\n{% else %}\n{{ vars.y }}\n{% endif %}\n{{ vars.b }}", [(1, "a"), (6, "b")]),
        ("{% for u in vars.a %}\n{{ u.x }}\n{% else %}\n{{ vars.y }}\n{% endfor %}\n{{ vars.b }}", [(1, "a"), (6, "b")]),
        ("{% for u in vars.list %}\n{{ u.x }}\n{{ u.y }}\n{% endfor %}\n{{ vars.b }}", [(3, "y"), (5, "b")]),
        ("{% if vars.one %}\n{{ vars.a }}\n{% endif %}\n{% if vars.no %}{{ vars.x }}{% endif %}{{ vars.b }}", [(2, "a"), (4, "b")]),
        ("{% macro m(p) %}\n{{ vars.a }}{{ p }}\n{{ vars.b }}{% endmacro %}\n{{ m(1) }}{{ vars.c }}", [(2, "a"), (3, "b"), (4, "c")]),
        ("{% if vars.no %}{% elif vars.a %}\n{% elif vars.x %}{% endif %}\n{{ vars.b }}", [(1, "a"), (3, "b")]),
        ("{% set z = vars.a %}\n{{ z }}\n{{ vars.b }}", [(2, "a"), (3, "b")]),
        ("{% filter upper %}{{ vars.a }}{% endfilter %}\n{{ vars.b }}", [(1, "a"), (2, "b")]),
        ("{{ vars.a ~ vars.b }}", [(1, "a"), (1, "b")]),
        ("{{ vars.a + vars.b * vars.c }}", [(1, "a"), (1, "b"), (1, "c")]),
        ("{{ vars.one == vars.a or vars.x }}\n{{ vars.b }}", [(1, "a"), (2, "b")]),
        ("{{ secret.s }}\n{{ vars.a }}", [(1, "s"), (2, "a")]),
    ],
)  # fmt: skip
def test_every_undefined_name_is_told_at_once(tmp_path: Path, template: str, names: list[tuple[int, str]]) -> None:
    assert told(tmp_path, template) == names


@pytest.mark.parametrize(
    "template",
    [
        "{% if vars.x is defined %}{{ vars.x }}{% endif %}",
        "{{ vars.x | default('d') }}{{ vars.x | d(1) }}",
        "{{ vars.x if vars.x is defined else 'd' }}",
        "{% if 'x' in vars %}{{ vars.x }}{% endif %}",
        "{{ vars.x is defined and vars.x }}",
        "{{ [vars.x, 1] | select('defined') | list }}",
        "{% macro m(p) %}{% if p is defined %}{{ p }}{% endif %}{% endmacro %}{{ m(vars.x) }}",
        "{% set z = vars.a | upper %}{% if z is defined %}1{% else %}{{ vars.x }}{% endif %}",
        "{% if vars.a %}{% set z = 1 %}{% else %}{% set z = 2 %}{% endif %}{{ z }}",
        "{% set ns = namespace() %}{% if vars.a %}{% set ns.q = 1 %}{% endif %}{{ ns.q }}",
        "{% set z %}{{ vars.a }}{% endset %}{{ z }}",
        "{{ (vars.a | int) + (vars.x | default(1)) }}",
    ],
)
def test_what_is_guarded_or_follows_is_not_told(tmp_path: Path, template: str) -> None:
    assert [name for _, name in told(tmp_path, f"{template}{{{{ vars.last }}}}")] == [
        *(["a"] if "vars.a" in template else []),
        "last",
    ]


def test_what_a_macro_would_have_set_elsewhere_ends_the_search(tmp_path: Path) -> None:
    setting = "{% macro m() %}{% if vars.a %}{% set ns.r = 1 %}{% endif %}{% endmacro %}{{ m() }}"
    assert told(tmp_path, f"{{% set ns = namespace() %}}{setting}{{{{ ns.r }}}}{{{{ vars.b }}}}") == [(1, "a")]


def test_a_number_of_another_spelling_is_told_beside_them(tmp_path: Path) -> None:
    found = examine_files(
        tmp_path,
        {"gitops.yaml": PROJECT, "hosts.yaml": HOST, "templates/t.j2": "{{ vars.a }}\n{{ vars.v }}\n{{ vars.v + vars.b }}\n"},
    )
    assert sorted((item.code, item.place.line) for item in found.diagnostics) == [("C223", 5), ("C303", 1), ("C303", 3)]


def test_a_template_too_deep_to_take_apart_tells_the_first(tmp_path: Path) -> None:
    template = "{% if vars.one %}" * 15 + "{{ vars.a }}" + "{% endif %}" * 15 + "{{ vars.b }}"
    names = [name for _, name in told(tmp_path, template)]
    assert names in (["a"], ["a", "b"])


def test_a_loop_that_fails_without_end_does_not_cost_without_end(tmp_path: Path) -> None:
    template = "{% for i in range(99999) %}{{ vars.a }}{{ vars.b }}{% endfor %}\n{{ vars.c }}"
    start = time.process_time()
    assert told(tmp_path, template) == [(1, "a"), (1, "b")]
    assert time.process_time() - start < 3


def test_hosts_tell_each_its_own(tmp_path: Path) -> None:
    hosts = HOST + "---\n" + HOST.replace("name: a", "name: b").replace("one: 1", "one: 1, a: 1")
    found = examine_files(tmp_path, {"gitops.yaml": PROJECT, "hosts.yaml": hosts, "templates/t.j2": "{{ vars.a }}\n{{ vars.b }}"})
    assert [(item.place.line, item.message[-3:]) for item in found.diagnostics] == [(1, "`a`"), (2, "`b`")]
