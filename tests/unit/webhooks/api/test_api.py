"""The API: a token becomes a credential once, a credential speaks for one host, a report is kept once, lists need a reader."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from openapi_core import OpenAPI
from starlette.applications import Starlette

from gitops.errors import HeldError, MalformedError, RemoteError, TrueupError, TrustError, UsageError
from gitops.model.address import parse_address
from gitops.model.limits import DEFAULTS
from gitops.model.observation import Observation
from gitops.model.report import Report
from tests.support.people import NOW, make_gate, make_user, make_users
from tests.support.rows import ADMIN, Bench, make_bench
from webhooks.api.body import RefusedError
from webhooks.api.hosts import is_host_name, issue_token
from webhooks.api.lists import LISTS
from webhooks.api.openapi import describe_api
from webhooks.auth.session import open_session, seal_session
from webhooks.guard import Guard, answer_bug, answer_refused, answer_trouble
from webhooks.parts import make_api_routes
from webhooks.records import ApprovalRecord, HostKey, HostRecord, PlanRecord, PullKey, PullRecord, ReleaseRecord
from webhooks.store.approvals import add_approval
from webhooks.store.hosts import find_host, save_host
from webhooks.store.plans import add_plan
from webhooks.store.pulls import save_pull
from webhooks.store.releases import save_release
from webhooks.store.repositories import watch_repositories
from webhooks.store.work import list_jobs

KEY = PullKey("acme/infra", "7")
WEB = HostKey("acme/infra", "production", "web-1")
MOTD = parse_address("file:/etc/motd")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with make_bench(tmp_path) as made:
        with made.parts.store.write() as connection:
            watch_repositories(connection, ["acme/infra"])
        yield made


def ask(bench: Bench, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
    alice = make_user("alice")
    gate = make_gate(bench.parts.settings.data_dir, make_users(alice), clock=bench.clock)
    app = Starlette(routes=make_api_routes(bench.parts, gate), exception_handlers={RefusedError: answer_refused})
    headers = {"content-type": "application/json", **options.get("headers", {})}
    if options.get("admin"):
        headers["authorization"] = f"Bearer {ADMIN}"
    cookies = {}
    if options.get("user"):
        cookies[gate.cookie] = seal_session(open_session("s1", alice, bench.clock()), gate.secret)
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()

    async def run() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(Guard(app)), base_url="http://x", cookies=cookies) as client:
            return await client.request(method, path, content=content, headers=headers)

    return asyncio.run(run())


def enroll(bench: Bench, host: str = "web-1", token: str = "", environment: str = "production") -> httpx.Response:
    body = {"schema": "gitops/enrolment/v1", "token": token, "environment": environment}
    return ask(bench, "POST", f"/api/v1/hosts/{host}/enroll", body)


def make_credential(bench: Bench, host: str = "web-1") -> str:
    token = issue_token(bench.parts.store, host, fresh=bench.parts.fresh(32), now=bench.clock())
    answer = enroll(bench, host, token)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["credential"])


def make_report(host: str = "web-1", run: str = "r1", **changes: Any) -> Report:
    at = bench_time(changes.pop("minutes", 0))
    seen = Observation(host, at, {"init": "systemd"}, {MOTD: {"exists": True, "digest": changes.pop("digest", "a" * 64)}})
    return replace(Report(run, host, "changed", at, at, environment="production", serial=3, observation=seen), **changes)


def bench_time(minutes: int) -> Any:
    return NOW + timedelta(minutes=minutes)


def send(bench: Bench, credential: str, report: Any) -> httpx.Response:
    body = report.to_json() if isinstance(report, Report) else report
    return ask(bench, "POST", "/api/v1/reports", body, headers={"authorization": f"Bearer {credential}"})


def test_a_token_enrols_one_host_once(bench: Bench) -> None:
    token = issue_token(bench.parts.store, "web-1", fresh=bytes(32), now=bench.clock())
    assert enroll(bench, "web-2", token).status_code == 401
    first = enroll(bench, "web-1", token)
    assert (first.status_code, first.json()["host"], first.json()["schema"]) == (201, "web-1", "gitops/credential/v1")
    assert enroll(bench, "web-1", token).status_code == 401
    with bench.parts.store.read() as connection:
        host = find_host(connection, WEB)
    assert host is not None
    assert (host.environment, first.json()["credential"] in host.credential) == ("production", False)


def test_a_token_is_worth_nothing_after_an_hour(bench: Bench) -> None:
    token = issue_token(bench.parts.store, "web-1", fresh=bytes(32), now=bench.clock())
    bench.clock.at += timedelta(hours=1)
    assert enroll(bench, "web-1", token).status_code == 401


def test_enrolling_again_ends_the_old_credential(bench: Bench) -> None:
    old, new = make_credential(bench), make_credential(bench)
    assert send(bench, old, make_report()).status_code == 401
    assert send(bench, new, make_report()).status_code == 202


@pytest.mark.parametrize("name", ["..", "a/b", "..%2f..%2fetc", "A", "", "a..b", "-a", "a" * 64, "a\nb", "é"])
def test_a_host_name_is_never_a_path(bench: Bench, name: str) -> None:
    assert not is_host_name(name)
    with pytest.raises(UsageError):
        issue_token(bench.parts.store, name, fresh=bytes(32), now=bench.clock())
    answer = ask(bench, "POST", f"/api/v1/hosts/{quote(name, safe='')}/enroll", {})
    assert answer.status_code in (404, 405, 422)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        {"schema": "gitops/enrolment/v2", "token": "x", "environment": "e"},
        {"schema": "gitops/enrolment/v1", "token": "x"},
        {"schema": "gitops/enrolment/v1", "token": "x", "environment": "e", "more": 1},
        {"schema": "gitops/enrolment/v1", "token": 7, "environment": "e"},
    ],
)
def test_a_malformed_enrolment_is_refused(bench: Bench, body: Any) -> None:
    assert ask(bench, "POST", "/api/v1/hosts/web-1/enroll", body).status_code == 422


def test_a_report_is_kept_once_and_plans_are_looked_at_again(bench: Bench) -> None:
    credential = make_credential(bench)
    plan = PlanRecord(0, KEY, "production", "1" * 64, "2" * 64, "a" * 40, "b" * 40, b"{}", NOW)
    with bench.parts.store.write() as connection:
        add_plan(connection, plan)
        add_plan(connection, replace(plan, pull=PullKey("acme/infra", "8"), environment="staging"))
    assert send(bench, credential, make_report()).json() == {"accepted": "r1"}
    assert send(bench, credential, make_report(result="failed")).status_code == 202
    with bench.parts.store.read() as connection:
        host, jobs = find_host(connection, WEB), list_jobs(connection)
    assert host is not None
    assert (host.result, host.serial, host.run) == ("changed", 3, "r1")
    assert [(job.key, job.payload["again"], job.run_at > NOW) for job in jobs] == [("acme/infra#7", "observed", True)]
    run = ask(bench, "GET", "/api/v1/runs/web-1/r1", admin=True).json()
    assert (run["result"], "observation" in run) == ("changed", False)


def test_the_same_states_again_ask_for_nothing(bench: Bench) -> None:
    credential = make_credential(bench)
    with bench.parts.store.write() as connection:
        add_plan(connection, PlanRecord(0, KEY, "production", "1" * 64, "2" * 64, "a" * 40, "b" * 40, b"{}", NOW))
    wanted = [("r1", "a", 1), ("r2", "a", 1), ("r3", "b", 2)]
    for number, (run, digest, _) in enumerate(wanted):
        send(bench, credential, make_report(run=run, digest=digest * 64, minutes=number))
    with bench.parts.store.read() as connection:
        assert len(list_jobs(connection)) == 1
        host = find_host(connection, WEB)
    assert host is not None
    assert host.observation is not None
    assert host.observation.states[MOTD]["digest"] == "b" * 64


def test_an_observation_that_comes_late_does_not_replace_a_newer_one(bench: Bench) -> None:
    credential = make_credential(bench)
    send(bench, credential, make_report(run="new", digest="b" * 64, minutes=9))
    send(bench, credential, make_report(run="old", digest="a" * 64, minutes=1))
    send(bench, credential, make_report(run="bare", observation=None))
    with bench.parts.store.read() as connection:
        host = find_host(connection, WEB)
    assert host is not None
    assert host.observation is not None
    assert host.observation.states[MOTD]["digest"] == "b" * 64


def test_an_observation_from_the_future_does_not_stand_for_good(bench: Bench) -> None:
    credential = make_credential(bench)
    send(bench, credential, make_report(run="forged", digest="a" * 64, minutes=60 * 24 * 365))
    send(bench, credential, make_report(run="honest", digest="b" * 64, minutes=1))
    with bench.parts.store.read() as connection:
        host = find_host(connection, WEB)
    assert host is not None
    assert host.observation is not None
    assert host.observation.states[MOTD]["digest"] == "b" * 64


def test_a_credential_speaks_for_its_host_alone(bench: Bench) -> None:
    credential = make_credential(bench)
    assert send(bench, credential, make_report("web-2")).status_code == 403
    other = Observation("web-2", NOW)
    assert send(bench, credential, make_report(observation=other)).status_code == 403
    for wrong in ("", "x", credential[:-1], credential + "x"):
        assert send(bench, wrong, make_report()).status_code == 401
    answer = ask(bench, "POST", "/api/v1/reports", make_report().to_json(), headers={"authorization": f"Basic {credential}"})
    assert answer.status_code == 401
    assert send(bench, ADMIN, make_report()).status_code == 401


def test_a_report_that_is_too_large_or_no_report_is_refused(bench: Bench) -> None:
    credential = make_credential(bench)
    assert send(bench, credential, {"schema": "gitops/report/v1"}).status_code == 422
    assert send(bench, credential, {**make_report().to_json(), "odd": 1}).status_code == 422
    headers = {"authorization": f"Bearer {credential}", "content-length": str(DEFAULTS.report_bytes + 1)}
    assert ask(bench, "POST", "/api/v1/reports", b"{}", headers=headers).status_code == 413
    headers = {"authorization": f"Bearer {credential}", "content-type": "text/plain"}
    assert ask(bench, "POST", "/api/v1/reports", b"{}", headers=headers).status_code == 415


def fill(bench: Bench) -> None:
    with bench.parts.store.write() as connection:
        save_pull(connection, PullRecord(KEY, "t", "alice", "a" * 40, "main", updated=NOW))
        plan = PlanRecord(0, KEY, "production", "1" * 64, "2" * 64, "a" * 40, "b" * 40, b'{"x":1}', NOW, published=NOW)
        add_plan(connection, plan)
        add_approval(connection, ApprovalRecord(0, KEY, "production", "comment:1", "bob", "1" * 64, NOW, "refused", "no"))
        save_release(connection, ReleaseRecord("acme/infra", "production", "c" * 40, "held", NOW, reason="why"))
        save_host(connection, HostRecord("web-9", "production", NOW, "9" * 64, observation=Observation("web-9", NOW)))


@pytest.mark.parametrize("name", sorted(LISTS))
def test_lists_need_a_reader_and_are_pages(bench: Bench, name: str) -> None:
    fill(bench)
    send(bench, make_credential(bench), make_report())
    path = f"/api/v1/{name}"
    assert ask(bench, "GET", path).status_code == 401
    assert ask(bench, "GET", path, headers={"authorization": "Bearer wrong"}).status_code == 401
    found = ask(bench, "GET", path, user=True).json()
    assert found["schema"] == f"gitops/{name}/v1"
    assert found["total"] == len(found["items"]) > 0
    assert "credential" not in json.dumps(found)
    assert ask(bench, "GET", f"{path}?limit=1&offset=9", admin=True).json()["items"] == []
    for wrong in ("limit=501", "limit=-1", "offset=x", "limit=٣"):
        assert ask(bench, "GET", f"{path}?{wrong}", admin=True).status_code == 422


def test_lists_are_narrowed(bench: Bench) -> None:
    fill(bench)
    for query, total in (
        ("plans?current=true", 1),
        ("pulls?state=merged", 0),
        ("pulls?repository=acme/infra", 1),
        ("releases?environment=staging", 0),
        ("hosts?environment=production", 1),
        ("runs?host=web-9", 0),
    ):
        assert ask(bench, "GET", f"/api/v1/{query}", admin=True).json()["total"] == total


def test_one_plan_whole(bench: Bench) -> None:
    fill(bench)
    assert ask(bench, "GET", "/api/v1/plans/1", admin=True).json()["plan"] == {"x": 1}
    assert ask(bench, "GET", "/api/v1/plans/99", admin=True).status_code == 404
    assert ask(bench, "GET", "/api/v1/runs/web-1/none", admin=True).status_code == 404
    assert ask(bench, "GET", "/api/v1/plans/1").status_code == 401


def test_only_the_administrator_makes_tokens(bench: Bench) -> None:
    assert ask(bench, "POST", "/api/v1/hosts/web-1/token").status_code == 401
    assert ask(bench, "POST", "/api/v1/hosts/web-1/token", user=True).status_code == 401
    made = ask(bench, "POST", "/api/v1/hosts/web-1/token", admin=True)
    assert made.status_code == 201
    assert enroll(bench, "web-1", made.json()["token"]).status_code == 201


def test_without_an_administrators_token_nobody_is_one(tmp_path: Path) -> None:
    with make_bench(tmp_path, admin_token="") as bench:
        assert ask(bench, "GET", "/api/v1/pulls", headers={"authorization": "Bearer "}).status_code == 401


def test_health_and_metrics_say_no_secret(bench: Bench) -> None:
    fill(bench)
    credential = make_credential(bench)
    assert ask(bench, "GET", "/healthz").json() == {"status": "alive"}
    assert ask(bench, "GET", "/readyz").json()["status"] == "ready"
    text = ask(bench, "GET", "/metrics").text
    assert "trueup_hosts 2.0" in text
    assert "trueup_pulls_open 1.0" in text
    assert credential not in text


def test_the_description_is_valid_openapi_and_names_every_route(bench: Bench) -> None:
    OpenAPI.from_dict(describe_api())  # checks it against the specification
    paths = set(ask(bench, "GET", "/openapi.json").json()["paths"])
    gate = make_gate(bench.parts.settings.data_dir, make_users())
    routes = {getattr(route, "path", "").replace("{ident:int}", "{id}") for route in make_api_routes(bench.parts, gate)}
    assert routes - {"/openapi.json"} == paths


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (HeldError("x"), 409),
        (RemoteError("x"), 502),
        (MalformedError("x"), 422),
        (TrustError("x"), 500),
    ],
)
def test_errors_of_the_tree_become_statuses(error: TrueupError, status: int) -> None:
    answer = asyncio.run(answer_trouble(None, error))  # type: ignore[arg-type]
    assert (answer.status_code, json.loads(bytes(answer.body))["error"]["message"]) == (status, "x")


def test_a_bug_says_nothing_of_itself() -> None:
    answer = asyncio.run(answer_bug(None, RuntimeError("secret inside")))  # type: ignore[arg-type]
    assert answer.status_code == 500
    assert b"secret" not in bytes(answer.body)


def test_handlers_pass_on_what_is_not_theirs() -> None:
    for handler in (answer_refused, answer_trouble):
        with pytest.raises(RuntimeError):
            asyncio.run(handler(None, RuntimeError()))  # type: ignore[arg-type]
