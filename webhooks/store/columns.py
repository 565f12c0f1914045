"""Values in and out of columns: times as sortable texts, lists and diagnostics as JSON texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from gitops.model.diagnostic import Diagnostic, Place


def pack_time(moment: datetime | None) -> str | None:
    """Give a text that sorts as the time does."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def unpack_time(text: str | None) -> datetime | None:
    """Read it back."""
    return None if text is None else datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def need_time(text: str) -> datetime:
    """Read a time that is always there."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def pack_texts(texts: Sequence[str]) -> str:
    """Give a list of texts as JSON."""
    return json.dumps(list(texts), ensure_ascii=False)


def unpack_texts(text: str) -> tuple[str, ...]:
    """Read it back."""
    return tuple(cast("list[str]", json.loads(text)))


def pack_diagnostics(found: Sequence[Diagnostic]) -> str:
    """Give diagnostics as JSON."""
    return json.dumps([_diagnostic_to_row(item) for item in found], ensure_ascii=False)


def unpack_diagnostics(text: str) -> tuple[Diagnostic, ...]:
    """Read them back."""
    return tuple(_row_to_diagnostic(row) for row in cast("list[dict[str, Any]]", json.loads(text)))


def _diagnostic_to_row(item: Diagnostic) -> dict[str, Any]:
    place = item.place
    return {
        "code": item.code,
        "message": item.message,
        "place": [place.file, place.line, place.column],
        "severity": item.severity,
        "hint": item.hint,
        "width": item.width,
        "notes": list(item.notes),
        "related": [[place.file, place.line, place.column] for place in item.related],
    }


def _row_to_diagnostic(row: dict[str, Any]) -> Diagnostic:
    return Diagnostic(
        code=row["code"],
        message=row["message"],
        place=Place(*row["place"]),
        severity=row["severity"],
        hint=row["hint"],
        width=row["width"],
        notes=tuple(row["notes"]),
        related=tuple(Place(*place) for place in row["related"]),
    )
