"""Diagnostics: a user's mistakes as values, collected, sorted and shown all at once.

Each has a stable code, a place, what is wrong, what was expected and what to do. Where no place is known the place is line 1
column 1 of the file (DESIGN §3). Lines and columns count from 1, columns in characters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, Tuple

from gitops.errors import ConfigError
from gitops.model.codec import Json

SEVERITIES = ("error", "warning")


@dataclass(frozen=True, order=True)
class Place:
    """A position in a file of the project; the path is relative to the project and uses `/`."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Diagnostic:
    """One mistake. `width` is how many characters to underline; `notes` are further lines for people; `related` other places."""

    code: str
    message: str
    place: Place
    severity: str = "error"
    hint: str = ""
    width: int = 1
    notes: Tuple[str, ...] = ()
    related: Tuple[Place, ...] = ()

    @property
    def sort_key(self) -> Tuple[str, int, int, str, str]:
        """Order by place, then code, then text."""
        return (self.place.file, self.place.line, self.place.column, self.code, self.message)

    def to_json(self) -> Dict[str, Json]:
        """Give `{code, severity, file, line, column, message, hint}` and, when there are any, `notes` and `related`."""
        table: Dict[str, Json] = {
            "code": self.code,
            "severity": self.severity,
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "message": self.message,
            "hint": self.hint,
        }
        if self.notes:
            table["notes"] = list(self.notes)
        if self.related:
            table["related"] = [{"file": place.file, "line": place.line, "column": place.column} for place in self.related]
        return table


def sort_diagnostics(found: Iterable[Diagnostic]) -> Tuple[Diagnostic, ...]:
    """Order by place and drop exact repeats."""
    unique = {(item.sort_key, item.severity): item for item in found}
    return tuple(unique[key] for key in sorted(unique))


def has_errors(found: Iterable[Diagnostic]) -> bool:
    """Say whether any of them is an error."""
    return any(item.severity == "error" for item in found)


class InvalidConfigError(ConfigError):
    """Stop because of diagnostics; carries them all, sorted (exit 1)."""

    code = "C001"

    def __init__(self, diagnostics: Iterable[Diagnostic], *, is_shown: bool = False) -> None:
        self.is_shown = is_shown
        self.diagnostics = sort_diagnostics(diagnostics)
        count = sum(1 for item in self.diagnostics if item.severity == "error")
        super().__init__(f"{count} error{'' if count == 1 else 's'} in the config")
