"""Cases of `tests/attacks`: one JSON file holds what is tried, which promise it tries, and a row for each way of trying it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_cases(test: str, name: str) -> list[dict[str, Any]]:
    """Give the rows of `<name>.json` beside a test's file."""
    table = json.loads((Path(test).parent / f"{name}.json").read_text(encoding="utf-8"))
    assert table["issue"]
    assert table["tried"]
    assert table["cases"]
    return table["cases"]
