"""One host's bytes and runs of a day are bounded; its oldest go first, its newest never."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gitops.model.limits import DEFAULTS
from tests.support.people import NOW
from tests.support.rows import make_bench
from webhooks.records import RunRecord
from webhooks.store import budget
from webhooks.store.budget import DAY, trim_runs
from webhooks.store.runs import add_run, list_runs

RUN = RunRecord("web-1", "r", "production", "changed", 1, NOW, NOW, NOW, b"{}")


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        (replace(DEFAULTS, host_day_runs=3), ["r7", "r8", "r9"]),
        (replace(DEFAULTS, host_day_bytes=4), ["r8", "r9"]),
        (replace(DEFAULTS, host_day_bytes=1), ["r9"]),
        (DEFAULTS, [f"r{number}" for number in range(10)]),
    ],
    ids=["so many", "so large", "larger than the budget alone", "within it"],
)
def test_the_oldest_of_the_day_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: object, left: list[str]) -> None:
    monkeypatch.setattr(budget, "DEFAULTS", limits)
    with make_bench(tmp_path) as bench, bench.parts.store.write() as connection:
        add_run(connection, replace(RUN, run="yesterday", received=NOW - DAY))
        add_run(connection, replace(RUN, host="web-2", document=b"x" * 100))
        for number in range(10):
            add_run(connection, replace(RUN, run=f"r{number}", received=NOW + timedelta(seconds=number)))
        removed = trim_runs(connection, RUN.key, NOW + timedelta(seconds=9))
        assert removed == 10 - len(left)
        assert sorted(item.run for item in list_runs(connection, host="web-1")) == [*left, "yesterday"]
        assert len(list_runs(connection, host="web-2")) == 1
