"""The cases of `tests/providers`, played on a machine of recorded answers: package, service, user, group."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.casehost import list_cases, play


@pytest.mark.parametrize(
    "path", list_cases("package", "service", "user", "group"), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_case(path: Path) -> None:
    play(path)
