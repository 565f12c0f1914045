"""What one host says of itself costs no more than so many plans an hour, and what it said last is planned all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gitops.model.address import parse_address
from gitops.model.observation import Observation
from gitops.model.report import Report
from tests.support.attacks import read_cases
from tests.support.people import make_gate, make_users
from tests.support.rows import Bench, make_bench
from webhooks.api.hosts import issue_token
from webhooks.parts import make_api_routes
from webhooks.records import PlanRecord, PullKey, PullRecord
from webhooks.store.plans import add_plan
from webhooks.store.pulls import save_pull
from webhooks.store.repositories import watch_repositories
from webhooks.store.work import claim_job, finish_job

MOTD = parse_address("file:/etc/motd")
OPEN, OVER = PullKey("acme/infra", "7"), PullKey("acme/infra", "8")


class Flapping:
    """One host, and a worker that does what is due."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench = bench
        self.app = Starlette(routes=make_api_routes(bench.parts, make_gate(folder, make_users())))
        self.looks: list[datetime] = []
        self.reports: list[datetime] = []
        token = issue_token(bench.parts.store, "web-1", fresh=bench.parts.fresh(32), now=bench.clock())
        body = {"schema": "gitops/enrolment/v1", "token": token, "environment": "production"}
        self.credential = self.post("/api/v1/hosts/web-1/enroll", body).json()["credential"]

    def post(self, path: str, body: Any, credential: str = "") -> httpx.Response:
        async def run() -> httpx.Response:
            transport, headers = httpx.ASGITransport(self.app), {"authorization": f"Bearer {credential}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                return await client.post(path, json=body, headers=headers)

        return asyncio.run(run())

    def report(self) -> None:
        number, at = len(self.reports), self.bench.clock()
        seen = Observation("web-1", at, {"init": "systemd"}, {MOTD: {"exists": True, "digest": "ab"[number % 2] * 64}})
        report = Report(f"r{number}", "web-1", "changed", at, at, environment="production", serial=3, observation=seen)
        assert self.post("/api/v1/reports", report.to_json(), self.credential).status_code == 202
        self.reports.append(at)

    def wait(self, seconds: int) -> None:
        """Let time go by, and do what is due."""
        until = self.bench.clock() + timedelta(seconds=seconds)
        while self.bench.clock() <= until:
            with self.bench.parts.store.write() as connection:
                job = claim_job(connection, self.bench.clock(), until + timedelta(days=1))
                if job is not None:
                    assert job.key == str(OPEN)
                    finish_job(connection, job.ident)
                    self.looks.append(self.bench.clock())
            self.bench.clock.at += timedelta(seconds=max(1, seconds // 200))


@pytest.fixture
def flapping(tmp_path: Path) -> Iterator[Flapping]:
    with make_bench(tmp_path / "data") as bench:
        with bench.parts.store.write() as connection:
            for key in (OPEN, OVER):
                at = bench.clock()
                save_pull(connection, PullRecord(key, "t", "alice", "a" * 40, "main", is_settled=key == OVER))
                add_plan(connection, PlanRecord(0, key, "production", "1" * 64, "2" * 64, "a" * 40, "b" * 40, b"{}", at))
            watch_repositories(connection, ["acme/infra"])
        yield Flapping(bench, tmp_path)


@pytest.mark.parametrize("case", read_cases(__file__, "flapping"), ids=lambda case: case["name"])
def test_a_host_that_flaps_has_its_plans_looked_at_a_bounded_number_of_times(case: dict[str, Any], flapping: Flapping) -> None:
    for _ in range(case["times"]):
        flapping.report()
        flapping.wait(case["every"] - 1)
    assert len(flapping.looks) <= case["most"]
    flapping.wait(case["late"])
    assert len(flapping.looks) <= case["most"] + 1
    assert flapping.looks[-1] > flapping.reports[-1]
    count = len(flapping.looks)
    flapping.wait(case["rest"])
    assert len(flapping.looks) == count
    flapping.report()
    flapping.wait(case["soon"])
    assert len(flapping.looks) == count + 1
