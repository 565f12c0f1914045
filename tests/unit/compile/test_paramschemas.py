"""Schemas of parameters that are none: told with the place inside, one row each, used by nobody; and no schema ends a compile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gitops.pipeline.project import Examined
from tests.support.project import PROJECT, SMALL, codes, examine_files

HOST = """\
apiVersion: gitops/v1
kind: Host
metadata: {name: web-1, labels: {env: production}}
spec:
  modules:
    - {name: app, params: {port: 8080}}
"""
HEAD = "apiVersion: gitops/v1\nkind: Module\nmetadata: {name: app}\nspec:\n  params:\n"
RESOURCES = '  resources:\n    - file: /etc/app\n      content: "port ${params.port}"\n'
SCHEMA_LINE, SCHEMA_COLUMN = 6, 11


def examine(folder: Path, schema: str, *, resources: str = RESOURCES) -> Examined:
    files = {
        "gitops.yaml": PROJECT,
        "inventory/web.yaml": HOST,
        "modules/app/module.yaml": f"{HEAD}    port: {schema}\n{resources}",
    }
    return examine_files(folder, files)


WRONG = [
    ("an unknown type", "{type: strin}", "strin", "`type` is the string 'strin', expected one of array, boolean", "did you mean `string`?"),
    ("one of the types", "{type: [string, nmber]}", "nmber", "`type` is the string 'nmber', expected one of", "did you mean `number`?"),
    ("a type that is a number", "{type: 5}", "5", "`type` is the number 5, expected one of", ""),
    ("a bad pattern", '{pattern: "a("}', '"a("', "`pattern` is the string 'a(', expected a regular expression: missing )", ""),
    ("a pattern beyond bounds", '{pattern: "a{99999999999}"}', '"a{9', "expected a regular expression: the repetition number", ""),
    ("a bad pattern of keys", '{patternProperties: {"[": {}}}', '"["', "`patternProperties` is the string '[', expected a regular", ""),
    ("a word as minimum", "{minimum: low}", "low", "`minimum` is the string 'low', expected a number", ""),
    ("a length below 0", "{minLength: -1}", "-1", "`minLength` is the number -1, expected a number that is not below 0", ""),
    ("a multiple of 0", "{multipleOf: 0}", "0}", "`multipleOf` is the number 0, expected a number above 0", ""),
    ("deep inside", "{properties: {a: {items: {type: x}}}}", "x}}", "`properties.a.items.type` is the string 'x'", ""),
    ("an item of a list", "{anyOf: [{type: string}, 7]}", "7", "`anyOf.1` is the number 7, expected a schema (a map, true or false)", ""),
    ("a list of nothing", "{allOf: []}", "[]", "`allOf` is a list, expected at least one", ""),
    ("required twice", "{required: [a, a]}", "[a", "`required` is a list, expected none of them twice", ""),
    ("enum of a word", "{enum: x}", "x}", "`enum` is the string 'x', expected a list", ""),
    ("a list as schema", "[1]", "[1]", "the schema of `port` is a list, expected a schema", ""),
    ("nothing as schema", "", "", "the schema of `port` is nothing, expected a schema", ""),
    ("a reference to no schema", '{type: string, $ref: "#/type"}', "string", "is the string 'string', expected a schema", ""),
    ("a reference to what nobody checks", '{x: {type: y}, $ref: "#/x"}', "y}", "`type` is the string 'y'", ""),
    ("another dialect", '{$schema: "https://example.org/schema"}', '"https', "`$schema` is the string", "leave it out"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "at", "words", "hint"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_schema_is_told_once_with_its_place_inside(tmp_path: Path, schema: str, at: str, words: str, hint: str) -> None:
    found = examine(tmp_path, schema).diagnostics
    assert [item.code for item in found] == ["C218"]
    place = found[0].place
    assert (place.file, place.line) == ("modules/app/module.yaml", SCHEMA_LINE)
    assert place.column == (SCHEMA_COLUMN + schema.index(at) if at else place.column)
    assert words in found[0].message
    assert found[0].hint == hint


def test_all_that_is_wrong_with_a_schema_is_told_at_once(tmp_path: Path) -> None:
    found = examine(tmp_path, "{type: strin, minimum: low, pattern: '('}").diagnostics
    assert [item.message.split("`")[3] for item in found] == ["type", "minimum", "pattern"]


def test_a_wrong_schema_hides_no_mistake_beside_it(tmp_path: Path) -> None:
    files = {
        "gitops.yaml": PROJECT,
        "inventory/web.yaml": HOST.replace("port: 8080", "prt: 1, size: big"),
        "modules/app/module.yaml": f"{HEAD}    port: {{type: strin}}\n    size: {{type: integer}}\n{RESOURCES}",
    }
    assert codes(examine_files(tmp_path, files)) == ["C207", "C207", "C218"]


@pytest.mark.parametrize("schema", ["{type: strin, default: 5}", "{minimum: low}", "nonsense"])
def test_a_module_that_nobody_uses_is_checked_as_well(tmp_path: Path, schema: str) -> None:
    files = {**SMALL, "modules/app/module.yaml": f"{HEAD}    port: {schema}\n  resources: []\n"}
    assert codes(examine_files(tmp_path, files)) == ["C218"]


def test_a_schema_that_refers_to_itself_for_ever_is_no_crash(tmp_path: Path) -> None:
    (found,) = examine(tmp_path, '{$ref: "#"}').diagnostics
    assert (found.code, "never ends" in found.message) == ("C207", True)


@pytest.mark.parametrize(
    "schema",
    [
        "true",
        "{}",
        "{type: [integer, string]}",
        '{$ref: "#/$defs/a", $defs: {a: {type: integer}}}',
        '{$schema: "https://json-schema.org/draft/2020-12/schema", type: integer}',
        '{type: integer, pattern: "[[a]"}',
    ],
)
def test_a_good_schema_is_good(tmp_path: Path, schema: str) -> None:
    assert codes(examine(tmp_path, schema)) == []


def test_a_misfit_is_told_where_it_stands_inside_the_value(tmp_path: Path) -> None:
    schema = "{type: object, default: {a: [1, x]}, properties: {a: {items: {type: integer}}}}"
    found = [item for item in examine(tmp_path, schema, resources="  resources: []\n").diagnostics if "default" in item.message]
    assert [item.place.column for item in found] == [SCHEMA_COLUMN + schema.index("x]")]


OTHERS = ("$anchor", "$defs", "$dynamicAnchor", "$id", "$schema", "$vocabulary", "default", "definitions", "then", "else", "x")
KEYWORDS = sorted({*Draft202012Validator.VALIDATORS, *OTHERS})
WORDS = st.sampled_from(
    [
        "string",
        "integer",
        "strin",
        "(",
        "#",
        "#/type",
        "#/$defs/a",
        "#/x",
        "#x",
        "a{9999999999}",
        "http://json-schema.org/draft-03/schema#",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS
SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "x", "("]), inner, max_size=2)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(schema=SCHEMAS)
def test_whatever_stands_as_schema_ends_in_diagnostics(tmp_path_factory: pytest.TempPathFactory, schema: object) -> None:
    found = examine(tmp_path_factory.mktemp("fuzz"), json.dumps(schema))
    assert {item.code for item in found.diagnostics} <= {"C207", "C218", "C105", "C217", "C205", "C706"}
    assert (found.built is None) == bool(found.diagnostics)
