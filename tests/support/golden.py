"""Compare with a golden file, or write it anew with `--update-golden`."""

from __future__ import annotations

from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "golden"


def check_golden(name: str, text: str, config: pytest.Config) -> None:
    """Assert that a text is what the golden file holds."""
    path = GOLDEN / name
    if config.getoption("--update-golden"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"{path} is missing: run pytest with --update-golden and look at it"
    assert text == path.read_text(encoding="utf-8"), f"{name} differs: look, and run with --update-golden if it is meant"
