"""Attacks of a host: enrolled, with its own credential, it tries to hold up the service, fill its store or speak for others."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from gitops.model.address import Address, parse_address
from gitops.model.limits import DEFAULTS
from gitops.model.observation import Observation
from gitops.model.report import Outcome, Report
from tests.support.attacks import read_cases
from tests.support.cli import call
from tests.support.service import Service, make_service

AT = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
RESOURCES = 25_000


@dataclass(frozen=True)
class Speaker:
    """An enrolled host."""

    service: Service
    name: str
    credential: str

    def send(self, body: bytes) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.credential}", "content-type": "application/json"}
        return httpx.post(f"{self.service.url}/api/v1/reports", content=body, headers=headers, timeout=120)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = make_service(tmp_path_factory.mktemp("attacked") / "service")
    made.start()
    try:
        yield made
    finally:
        assert made.stop() == 0


def enrol(service: Service, name: str) -> Speaker:
    token = call("token", name, "--data", service.folder / "data").out.strip()
    body = {"schema": "gitops/enrolment/v1", "token": token, "environment": "production"}
    answer = httpx.post(f"{service.url}/api/v1/hosts/{name}/enroll", json=body)
    return Speaker(service, name, answer.json()["credential"])


def make_report(host: str, run: str, *, resources: int = 1, told: str = "") -> bytes:
    states: dict[Address, Any] = {
        parse_address(f"file:/srv/{number}"): {"type": "file", "mode": "0644", "uid": 0, "gid": 0, "size": 3, "digest": "a" * 64}
        for number in range(resources)
    }
    changes = (Outcome(parse_address("file:/srv/0"), "update", "changed", told),)
    observation = Observation(host, AT, {}, states)
    report = Report(run, host, "changed", AT, AT, changes=changes, environment="production", observation=observation)
    return json.dumps(report.to_json()).encode()


def make_body(case: dict[str, Any]) -> bytes:
    inner = case["unit"] * case["times"]
    if case.get("text"):
        return f'"{inner}"'.encode()
    if case.get("object"):
        return ("{" + inner + '"z":1}').encode()
    return ("[" + inner + "1]").encode()


@pytest.mark.parametrize("case", read_cases(__file__, "reports"), ids=lambda case: case["name"])
def test_what_costs_too_much_is_refused_before_it_is_paid_for(service: Service, case: dict[str, Any]) -> None:
    speaker = enrol(service, "web-1")
    answer = speaker.send(make_body(case))
    assert (answer.status_code, case["says"] in answer.text) == (case["status"], True), answer.text
    assert speaker.send(make_report("web-1", f"after {case['name']}")).status_code == 202


def test_large_reports_of_many_hosts_hold_nobody_up(service: Service) -> None:
    speakers = [enrol(service, f"db-{number}") for number in range(6)]
    bodies = [make_report(speaker.name, "large", resources=RESOURCES) for speaker in speakers]
    assert len(bodies[0]) > 3 * 1024 * 1024
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda speaker=speaker, body=body: answers.append(speaker.send(body).status_code))
        for speaker, body in zip(speakers, bodies, strict=True)
    ]
    began, longest, asked = time.monotonic(), 0.0, 0
    for thread in threads:
        thread.start()
    with httpx.Client() as client:
        while any(thread.is_alive() for thread in threads):
            sent = time.monotonic()
            assert client.get(f"{service.url}/healthz", timeout=60).status_code == 200
            longest, asked = max(longest, time.monotonic() - sent), asked + 1
    elapsed = time.monotonic() - began
    assert answers == [202] * len(speakers)
    # Parsed in the event loop, one report alone would hold it for a sixth of the whole, and six in a row for nearly all of it.
    assert asked > 6
    assert longest < elapsed / 3


def test_a_host_is_heard_once_at_a_time(service: Service) -> None:
    speaker, other = enrol(service, "slow-1"), enrol(service, "slow-2")
    body = make_report("slow-1", "slow")
    host, _, port = service.url.removeprefix("http://").partition(":")
    head = (
        f"POST /api/v1/reports HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {speaker.credential}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=20) as slow:
        slow.sendall(head.encode() + body[:1])
        deadline = time.monotonic() + 20
        while (answer := speaker.send(make_report("slow-1", "second"))).status_code != 429:
            assert time.monotonic() < deadline
        assert "another report of this host" in answer.text
        assert other.send(make_report("slow-2", "meanwhile")).status_code == 202
        slow.sendall(body[1:])
        assert b" 202 " in slow.recv(100)
    assert speaker.send(make_report("slow-1", "third")).status_code == 202


def test_a_host_loses_its_own_oldest_runs_and_nobody_elses(service: Service) -> None:
    honest, greedy = enrol(service, "honest-1"), enrol(service, "greedy-1")
    assert honest.send(make_report("honest-1", "kept")).status_code == 202
    told = "x" * (DEFAULTS.report_bytes // 2)
    sent = 2 * DEFAULTS.host_day_bytes // len(told)
    for number in range(sent):
        assert greedy.send(make_report("greedy-1", f"run-{number:03d}", told=told)).status_code == 202
    left = [item["run"] for item in service.items("runs") if item["host"] == "greedy-1"]
    assert 0 < len(left) * len(told) <= DEFAULTS.host_day_bytes
    assert sorted(left) == [f"run-{number:03d}" for number in range(sent - len(left), sent)]
    assert [item["run"] for item in service.items("runs") if item["host"] == "honest-1"] == ["kept"]
