"""What the laws gave, by platform, kind and law: compared with what is recorded, or recorded with `--update-golden`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.roots import locked

PATH = Path(__file__).parents[1] / "conformance" / "results.json"
Counts = dict[str, list[int]]  # by law: held, tried


def check_results(platform: str, found: Mapping[str, Counts], config: pytest.Config) -> None:
    """Assert that a platform's results are those that are recorded. Laws and kinds that this run did not try are left alone."""
    if config.getoption("--update-golden"):
        with locked(PATH.with_suffix(".lock")):
            _record(platform, found)
        PATH.with_suffix(".lock").unlink(missing_ok=True)
    recorded: dict[str, dict[str, Counts]] = json.loads(PATH.read_text(encoding="utf-8"))
    known = {
        kind: {law: counts for law, counts in recorded.get(platform, {}).get(kind, {}).items() if law in row}
        for kind, row in found.items()
    }
    words = "differs from tests/conformance/results.json: look, run with --update-golden if it is meant, then `make docs`"
    assert found == known, f"{platform} {words}"


def _record(platform: str, found: Mapping[str, Counts]) -> None:
    recorded: dict[str, dict[str, Counts]] = json.loads(PATH.read_text(encoding="utf-8")) if PATH.exists() else {}
    rows = recorded.setdefault(platform, {})
    for kind, row in found.items():
        rows[kind] = {**rows.get(kind, {}), **row}
    PATH.write_text(json.dumps(recorded, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
