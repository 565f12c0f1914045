"""Diagnostics for people (SAMPLES), for editors (SARIF) and for GitHub's annotations.

Takes diagnostics and a reader of source lines; shows the line, underlines the place, and counts at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gitops.model.codec import Json
from gitops.model.diagnostic import Diagnostic
from gitops.render.escape import escape_line, escape_terminal

ReadLine = Callable[[str, int], str | None]

MAX_LINE = 160


def render_diagnostics(found: Sequence[Diagnostic], read_line: ReadLine, *, colour: bool = False) -> str:
    """Give all diagnostics as text, the count last; empty when there are none."""
    if not found:
        return ""
    blocks = [_render_one(item, read_line, colour=colour) for item in found]
    return "\n\n".join([*blocks, _count(found)]) + "\n"


def render_github(found: Sequence[Diagnostic]) -> str:
    """Give workflow commands that become line annotations; every value escaped as GitHub asks."""
    lines = [
        f"::{item.severity} file={_property(item.place.file)},line={item.place.line},col={item.place.column},"
        f"title={_property(item.code)}::{_data(item.message + (f'. {item.hint}' if item.hint else ''))}"
        for item in found
    ]
    return "".join(line + "\n" for line in lines)


def render_sarif(found: Sequence[Diagnostic], version: str) -> dict[str, Json]:
    """Give a SARIF 2.1.0 log as JSON."""
    rules: list[Json] = [{"id": code} for code in sorted({item.code for item in found})]
    results: list[Json] = [
        {
            "ruleId": item.code,
            "level": item.severity,
            "message": {"text": item.message + (f" ({item.hint})" if item.hint else "")},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": item.place.file},
                        "region": {"startLine": item.place.line, "startColumn": item.place.column},
                    }
                }
            ],
        }
        for item in found
    ]
    driver: dict[str, Json] = {"name": "trueup", "version": version, "rules": rules}
    return {"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _render_one(item: Diagnostic, read_line: ReadLine, *, colour: bool) -> str:
    head = f"{item.severity}[{item.code}]"
    if colour:
        head = f"\x1b[{'31;1' if item.severity == 'error' else '33;1'}m{head}\x1b[0m"
    lines = [f"{head}: {escape_terminal(item.message)}", f"  --> {escape_terminal(str(item.place))}"]
    source = read_line(item.place.file, item.place.line)
    if source is not None:
        lines.extend(_excerpt(item, source))
    elif item.hint:
        lines.append(f"   = {escape_terminal(item.hint)}")
    lines.extend(f"   = {escape_terminal(note)}" for note in item.notes)
    lines.extend(f"   = see also {escape_terminal(str(place))}" for place in item.related)
    return "\n".join(lines)


def _excerpt(item: Diagnostic, source: str) -> list[str]:
    number = str(item.place.line)
    gutter = " " * len(number)
    start = max(0, item.place.column - 1 - MAX_LINE // 2) if len(source) > MAX_LINE else 0
    shown = escape_line(source[start : start + MAX_LINE]).replace("\t", " ")
    room = max(1, len(shown) - (item.place.column - 1 - start))
    marks = "^" * max(1, min(item.width, room))
    under = " " * (item.place.column - 1 - start) + marks
    hint = f" {escape_terminal(item.hint)}" if item.hint else ""
    return [f"{gutter}  |", f"{number}  | {shown}", f"{gutter}  | {under}{hint}"]


def _count(found: Sequence[Diagnostic]) -> str:
    errors = [item for item in found if item.severity == "error"]
    files = len({item.place.file for item in found})
    parts: list[str] = []
    if errors:
        parts.append(f"{len(errors)} error{'' if len(errors) == 1 else 's'}")
    if len(found) > len(errors):
        count = len(found) - len(errors)
        parts.append(f"{count} warning{'' if count == 1 else 's'}")
    end = " Nothing was planned." if errors else ""
    return f"{' and '.join(parts)} in {files} file{'' if files == 1 else 's'}.{end}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
