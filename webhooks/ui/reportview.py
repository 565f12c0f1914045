"""Reports and observations as pages show them: a run's outcomes, a host's resources. Plain nouns; templates escape them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from gitops.model.observation import Observation
from gitops.model.report import Outcome, Report
from gitops.render.escape import escape_line
from gitops.render.words import SIGNS, count_words, describe_age, describe_value

MOST_OUTCOMES = 500
# Of use to planning only: how parents stand, where a before-image would be kept.
HIDDEN = ("parents", "kept")
TONES: Mapping[str, str] = {
    "converged": "good",
    "changed": "good",
    "held": "warn",
    "skipped": "warn",
    "reverted": "warn",
    "interrupted": "warn",
    "failed": "bad",
    "refused": "bad",
}


@dataclass(frozen=True)
class RunRow:
    """One run as a row."""

    run: str
    host: str
    result: str
    tone: str
    changes: str
    serial: int
    environment: str
    age: str
    repository: str = ""


@dataclass(frozen=True)
class OutcomeLine:
    """What happened to one item."""

    sign: str
    tone: str
    kind: str
    name: str
    action: str
    result: str
    message: str


@dataclass(frozen=True)
class ResourceRow:
    """One resource as it was found."""

    address: str
    state: str
    is_drifted: bool


def tone_of(result: str) -> str:
    """Give the tone of a result; what is unknown has none."""
    return TONES.get(result, "")


def view_run(report: Report, now: datetime, repository: str = "") -> RunRow:
    """Give a report's row."""
    counts = Counter(outcome.result for outcome in report.changes)
    words = ", ".join(f"{count} {result}" for result, count in sorted(counts.items())) or "none"
    return RunRow(
        run=report.run,
        host=report.host,
        result=report.result,
        tone=tone_of(report.result),
        changes=words,
        serial=report.serial,
        environment=report.environment,
        age=f"{describe_age(report.finished, now)} ago",
        repository=repository,
    )


def view_outcomes(report: Report) -> tuple[tuple[OutcomeLine, ...], int]:
    """Give what happened, what went wrong first, and how many lines more there are."""
    order = {"failed": 0, "refused": 1, "held": 2, "skipped": 3, "reverted": 4}
    ranked = sorted(report.changes, key=lambda item: order.get(item.result, 9))
    shown = tuple(_view_outcome(item) for item in ranked[:MOST_OUTCOMES])
    return shown, max(0, len(report.changes) - MOST_OUTCOMES)


def view_resources(observation: Observation, drifted: frozenset[str]) -> tuple[ResourceRow, ...]:
    """Give what was found, drifted resources first."""
    rows = [
        ResourceRow(escape_line(address), _describe_state(cast("Mapping[str, object]", state)), address in drifted)
        for address, state in observation.states.items()
    ]
    return tuple(sorted(rows, key=lambda row: (not row.is_drifted, row.address)))


def describe_span(report: Report) -> str:
    """Say how long a run took."""
    seconds = int((report.finished - report.started).total_seconds())
    return count_words(seconds, "second") if seconds > 0 else "less than a second"


def _view_outcome(item: Outcome) -> OutcomeLine:
    kind, _, name = item.address.partition(":")
    return OutcomeLine(
        sign=SIGNS.get(item.action, "·"),
        tone=tone_of(item.result),
        kind=kind,
        name=escape_line(name),
        action=item.action,
        result=item.result,
        message=escape_line(item.message),
    )


def _describe_state(state: Mapping[str, object]) -> str:
    if not state or state.get("exists") is False or state.get("type") == "absent":
        return "not there"
    shown = {name: value for name, value in state.items() if name not in HIDDEN and value not in (None, "", [], {})}
    parts = [f"{name} {_short(value)}" for name, value in sorted(shown.items())]
    return escape_line(", ".join(parts))[:400]


def _short(value: object) -> str:
    words = describe_value(value)
    is_long_hex = len(words) == 64 and all(mark in "0123456789abcdef" for mark in words)  # noqa: PLR2004  a SHA-256
    return f"{words[:12]}…" if is_long_hex else words
