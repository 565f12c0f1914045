"""Laws of diagnostics as text, annotations and SARIF: the place is underlined, everything is counted, nothing breaks out."""

from __future__ import annotations

from typing import Any

import pytest

from gitops.model.diagnostic import Diagnostic, Place
from gitops.render.diagnostics import render_diagnostics, render_github, render_sarif

SOURCE = {14: '      contents: "Welcome"', 2: "\tx: \x1b[31m", 3: "a" * 300 + "HERE" + "b" * 300}
MISTAKE = Diagnostic(
    "C104",
    "unknown key `contents` in file:/etc/motd",
    Place("inventory/web.yaml", 14, 7),
    hint="did you mean `content`?",
    width=8,
)
WARNING = Diagnostic(
    "C211",
    "matches no host",
    Place("groups.yaml", 99),
    severity="warning",
    hint="h",
    notes=("a → b",),
    related=(Place("x.yaml", 3, 4),),
)


def read(_file: str, line: int) -> str | None:
    return SOURCE.get(line)


def test_a_mistake_shows_its_line_and_underlines_the_place() -> None:
    assert render_diagnostics([MISTAKE], read) == (
        "error[C104]: unknown key `contents` in file:/etc/motd\n"
        "  --> inventory/web.yaml:14:7\n"
        "    |\n"
        '14  |       contents: "Welcome"\n'
        "    |       ^^^^^^^^ did you mean `content`?\n"
        "\n"
        "1 error in 1 file. Nothing was planned.\n"
    )


def test_without_the_line_the_hint_stands_below() -> None:
    text = render_diagnostics([WARNING], read)
    assert "   = h\n   = a → b\n   = see also x.yaml:3:4\n" in text
    assert text.endswith("1 warning in 1 file.\n")


def test_errors_and_warnings_are_counted_together() -> None:
    text = render_diagnostics([MISTAKE, MISTAKE, WARNING, WARNING], read, colour=True)
    assert text.endswith("2 errors and 2 warnings in 2 files. Nothing was planned.\n")
    assert "\x1b[31;1merror[C104]\x1b[0m" in text
    assert "\x1b[33;1mwarning[C211]\x1b[0m" in text


def test_nothing_is_nothing() -> None:
    assert render_diagnostics([], read) == render_github([]) == ""


@pytest.mark.parametrize("width", [1, 4, 900])
def test_long_lines_are_cut_around_the_place(width: int) -> None:
    text = render_diagnostics([Diagnostic("C1", "m", Place("a", 3, 301), width=width)], read)
    shown, marks = text.split("\n")[3:5]
    at = marks.index("^")
    assert shown[at : at + 4] == "HERE"
    assert all(len(line) < 200 for line in text.split("\n"))


def test_what_a_file_holds_cannot_move_the_terminal() -> None:
    text = render_diagnostics([Diagnostic("C1", "a\x1b[2Jb\nc", Place("x\x1by", 2, 5))], read)
    assert "\x1b" not in text
    assert "\\x1b[31m" in text


def test_annotations_escape_what_would_begin_another_command() -> None:
    found = Diagnostic("C1", "50% of\n::error::x", Place("a:b,c.yaml", 2, 3), hint="do")
    assert render_github([found]) == "::error file=a%3Ab%2Cc.yaml,line=2,col=3,title=C1::50%25 of%0A::error::x. do\n"


def test_sarif_names_rule_place_and_level() -> None:
    log: Any = render_sarif([MISTAKE, WARNING], "0.1.0")
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    assert run["tool"]["driver"]["rules"] == [{"id": "C104"}, {"id": "C211"}]
    assert [result["level"] for result in run["results"]] == ["error", "warning"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]) == ("inventory/web.yaml", {"startLine": 14, "startColumn": 7})
    assert "did you mean" in run["results"][0]["message"]["text"]
