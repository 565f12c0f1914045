"""What fails before anything is compiled, in the format of diagnostics that was asked for: always one document, and the exit status stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gitops.cli import validate
from gitops.model.limits import Limits
from gitops.source import snapshot
from tests.support.cli import Called, call
from tests.support.project import SMALL, Repository, write_files

FORMATS = ("json", "sarif", "github")


def codes_of(called: Called, format_name: str) -> list[str]:
    """Read the codes in a document of any format."""
    if format_name == "json":
        document: Any = json.loads(called.out)
        assert document["schema"] == "gitops/diagnostics/v1"
        return [item["code"] for item in document["diagnostics"]]
    if format_name == "sarif":
        (run,) = json.loads(called.out)["runs"]
        return [item["ruleId"] for item in run["results"]]
    return [line.partition("title=")[2].partition("::")[0] for line in called.out.splitlines() if line.startswith("::error ")]


@pytest.mark.parametrize("format_name", FORMATS)
def test_sources_over_the_bound_are_told_in_every_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_name: str
) -> None:
    write_files(tmp_path, SMALL)
    monkeypatch.setattr(snapshot, "DEFAULTS", Limits(source_bytes=20))
    called = call("-C", tmp_path, "validate", "--format", format_name)
    assert called.status == 1
    assert codes_of(called, format_name) == ["C602"]
    assert "C602" in called.err


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        (("-C", "{here}/nowhere", "validate"), "U021", 1),
        (("-C", "{here}/plain", "validate", "--rev", "HEAD"), "U020", 1),
        (("-C", "{here}/repository", "validate", "--rev", "nope"), "R020", 7),
        (("-C", "{here}/link", "validate"), "C612", 1),
    ],
)
def test_what_fails_before_anything_is_read_is_told_in_every_format(
    tmp_path: Path, arguments: tuple[str, ...], code: str, status: int, format_name: str
) -> None:
    write_files(tmp_path / "plain", SMALL)
    Repository.make(tmp_path / "repository")
    write_files(tmp_path / "link", SMALL)
    Path(str(tmp_path / "link" / "odd-\udcff")).write_bytes(b"")
    called = call(*(item.format(here=tmp_path) for item in arguments), "--format", format_name)
    assert called.status == status
    assert codes_of(called, format_name) == [code]
    assert f"error[{code}]" in called.err


def test_a_wrong_argument_beside_a_format_is_told_in_it(tmp_path: Path) -> None:
    called = call("-C", tmp_path, "validate", "--format", "json", "surplus")
    assert called.status == 1
    assert codes_of(called, "json") == ["U000"]


def test_a_bug_is_told_in_the_format_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object, **_more: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(validate, "examine_tree", break_down)
    write_files(tmp_path, SMALL)
    called = call("-C", tmp_path, "validate", "--format", "json", env={"XDG_STATE_HOME": str(tmp_path / "state")})
    assert called.status == 70
    assert codes_of(called, "json") == ["B000"]
    assert "report it" in called.err


@pytest.mark.parametrize("arguments", [("validate",), ("plan",), ("compile", "--format", "json")])
def test_what_people_read_stays_on_standard_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    called = call("-C", tmp_path, *arguments)
    assert (called.status, called.out) == (1, "")


def test_a_document_is_printed_once(tmp_path: Path) -> None:
    write_files(tmp_path, SMALL)
    called = call("-C", tmp_path, "validate", "--format", "json")
    assert (called.status, json.loads(called.out)["diagnostics"]) == (0, [])
