"""Bytes and numbers: what people wrote is what is meant, and what they cannot see is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitops.model.diagnostic import Diagnostic
from gitops.pipeline.project import examine_tree
from gitops.source.snapshot import snapshot_folder
from tests.support.project import HOST, PROJECT, write_files

HEAD = HOST.partition("spec:")[0] + "spec:\n"
PROVIDER = """\
apiVersion: gitops/v1
kind: Provider
metadata: {name: demo}
spec: {executable: run, attributes: {value: {type: text}, many: {type: texts}}}
"""
FACT = """\
apiVersion: gitops/v1
kind: Fact
metadata: {name: rack}
spec: {type: string, executable: rack}
"""


def examine(folder: Path, spec: str, more: dict[str, str | bytes] | None = None) -> tuple[Diagnostic, ...]:
    files = {"gitops.yaml": PROJECT, "web.yaml": HEAD + spec, **(more or {})}
    return examine_tree(snapshot_folder(write_files(folder, files))).diagnostics


@pytest.mark.parametrize("number", ["1.10", "1e3", "2", "0.5", "0x10", "-1.5"])
@pytest.mark.parametrize(
    "resource",
    [
        "{package: a, version: N}",
        "{file: /a, content: N}",
        "{file: /a, owner: N}",
        "{file: /a, source: N}",
        "{command: a, argv: [/bin/echo, N]}",
        "{command: a, argv: [/bin/echo], env: {A: N}}",
        "{sysctl: vm.swappiness, value: N}",
        "{download: /a, url: 'https://example.org/a', sha256: N}",
        "{file: /a, xattrs: {user.a: N}}",
        "{user: a, groups: [b, N]}",
        "{symlink: /a, target: N}",
    ],
)
def test_a_number_is_no_text(tmp_path: Path, resource: str, number: str) -> None:
    found = examine(tmp_path, f"  resources:\n    - {resource.replace('N', number)}\n")
    assert [(item.code, item.place.file, item.place.line) for item in found] == [("C105", "web.yaml", 6)]
    assert "the number" in found[0].message
    assert "expected" in found[0].message


@pytest.mark.parametrize("resource", ["{package: a, version: '${vars.n}'}", "{command: a, argv: ['${vars.n}']}"])
def test_a_number_that_a_variable_brings_is_no_text(tmp_path: Path, resource: str) -> None:
    found = examine(tmp_path, f"  vars: {{n: 1.10}}\n  resources:\n    - {resource}\n")
    assert [(item.code, item.place.line) for item in found] == [("C105", 7)]
    assert examine(tmp_path / "x", f"  vars: {{n: '1.10'}}\n  resources:\n    - {resource}\n") == ()


@pytest.mark.parametrize("number", ["644", "0644", "0o644", "420", "4755", "0x1a4"])
def test_a_mode_without_quotes_is_refused_and_none_is_made_up(tmp_path: Path, number: str) -> None:
    (found,) = examine(tmp_path, f"  resources:\n    - {{file: /a, content: x, mode: {number}}}\n")
    assert (found.code, found.place.line) == ("C105", 6)
    assert [word for word in found.message.split('"')[1::2] if word != "0644"] == []


def test_a_number_in_a_provider_s_values_and_in_a_custom_fact_is_no_text(tmp_path: Path) -> None:
    more: dict[str, str | bytes] = {"providers/demo/provider.yaml": PROVIDER, "providers/demo/run": "#!/bin/sh\n"}
    for values in ("{value: [1.5]}", "{many: 1.5}", "{many: [1.5]}"):
        found = examine(tmp_path, f"  resources:\n    - {{external: demo/x, set: {values}}}\n", more)
        assert [item.code for item in found] == ["C105"], values


@pytest.mark.parametrize(
    ("letter", "words"),
    [
        ("\u2028", "U+2028 (line separator)"),
        ("\u2029", "U+2029 (paragraph separator)"),
        ("\x85", "U+0085 (next line)"),
        ("\r", "a lone CR"),
        ("\x07", "control character U+0007"),
        ("\x1b", "control character U+001B"),
        ("\x7f", "control character U+007F"),
        ("\x9f", "control character U+009F"),
        ("\ufeff", "byte order mark"),
        ("\ufffe", "control character U+FFFE"),
    ],
)
@pytest.mark.parametrize(
    "where", ["  # a comment{} vars: {{a: 1}}\n", '  vars: {{a: "x{}y"}}\n', "  vars:\n    a: |\n      x{}y\n"]
)
def test_what_people_cannot_see_is_refused_where_it_stands(tmp_path: Path, letter: str, words: str, where: str) -> None:
    text = where.format(letter)
    (found,) = examine(tmp_path, text)
    before = (HEAD + text).partition(letter)[0]
    line = before.count("\n") + 1
    assert (found.code, found.place.line, found.place.column) == ("C706", line, len(before.rpartition("\n")[2]) + 1)
    assert words in found.message
    assert "in double quotes" in found.hint


def test_the_escape_that_the_hint_names_is_taken(tmp_path: Path) -> None:
    assert examine(tmp_path, '  vars: {a: "\\u2028 \\x85 \\x07 \\r"}\n') == ()


@pytest.mark.parametrize("spec", ["  vars: {a: é ü 中 😀}\r\n", "  vars: {a: 1}\r\n\r\n", "  vars:\n    a: b\tc\n"])
def test_text_of_people_is_fine(tmp_path: Path, spec: str) -> None:
    assert examine(tmp_path, spec) == ()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("kind: Project\nspec: {secrets: {pw: {from: env, key: 5}}}\n", "`key` is the number 5"),
        ("kind: Host\nspec: {modules: [{name: 5}]}\n", "`name` is the number 5"),
        ("kind: Group\nspec: {selector: {}, modules: [{name: [a]}]}\n", "`name` is a list"),
    ],
)
def test_a_name_that_is_no_text_is_told(tmp_path: Path, text: str, place: str) -> None:
    head = "apiVersion: gitops/v1\nmetadata: {name: other}\n"
    found = examine(tmp_path, "  vars: {}\n", {"other.yaml": head + text})
    assert any(item.code == "C105" and place in item.message for item in found), found
