"""The door for webhooks: nothing gets in unsigned, too large, in another form, or twice."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from gitops.model.limits import DEFAULTS
from tests.support.people import make_gate, make_users
from tests.support.rows import SECRET, Bench, make_bench
from webhooks.api.body import RefusedError, read_body
from webhooks.guard import Guard, answer_refused
from webhooks.parts import make_api_routes
from webhooks.store.work import fail_delivery, list_jobs

PAYLOADS: dict[str, Any] = json.loads((Path(__file__).parents[3] / "support/github/payloads.json").read_text(encoding="utf-8"))
OPENED = PAYLOADS["pull_request.opened"]
WATCHED = OPENED["repository"]["full_name"]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with make_bench(tmp_path, {WATCHED: None}) as made:  # type: ignore[dict-item]  the door asks only for names
        yield made


def post(bench: Bench, body: bytes, **headers: str) -> httpx.Response:
    """POST to the door as GitHub does; a header given as an empty text is left out."""
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    known = {
        "content-type": "application/json",
        "x-github-event": "pull_request",
        "x-github-delivery": "d-1",
        "x-hub-signature-256": f"sha256={signature}",
    }
    sent = {
        name: value
        for name, value in {**known, **{key.replace("_", "-"): text for key, text in headers.items()}}.items()
        if value
    }
    app = Starlette(
        routes=make_api_routes(bench.parts, make_gate(bench.parts.settings.data_dir, make_users())),
        exception_handlers={RefusedError: answer_refused},
    )

    async def run() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(Guard(app)), base_url="http://x") as client:
            return await client.post(
                "/webhooks/github", content=body, headers={name: text.encode() for name, text in sent.items()}
            )

    return asyncio.run(run())


def jobs(bench: Bench) -> list[tuple[str, str]]:
    with bench.parts.store.read() as connection:
        return [(job.kind, job.key) for job in list_jobs(connection)]


def test_a_signed_delivery_becomes_a_row_and_wakes_the_engine(bench: Bench) -> None:
    answer = post(bench, json.dumps(OPENED).encode())
    assert (answer.status_code, answer.json()["outcome"]) == (202, "taken")
    assert jobs(bench) == [("pull", f"{WATCHED}#{OPENED['number']}")]
    assert bench.woken.count == 1


@pytest.mark.parametrize("signature", ["sha256=" + "0" * 64, "sha1=abc", "sha256=", "nonsense", "é", ""])
def test_a_forged_signature_is_refused_before_anything_is_read(bench: Bench, signature: str) -> None:
    answer = post(bench, b"not even JSON", x_hub_signature_256=signature)
    assert answer.status_code == 401
    assert jobs(bench) == []


def test_without_a_secret_nothing_is_signed(tmp_path: Path) -> None:
    with make_bench(tmp_path, {WATCHED: None}, github_webhook_secret="") as bench:  # type: ignore[dict-item]
        body = json.dumps(OPENED).encode()
        signature = hmac.new(b"", body, hashlib.sha256).hexdigest()
        assert post(bench, body, x_hub_signature_256=f"sha256={signature}").status_code == 401


def test_a_changed_body_is_refused(bench: Bench) -> None:
    body = json.dumps(OPENED).encode()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert post(bench, body + b" ", x_hub_signature_256=f"sha256={signature}").status_code == 401


def test_another_content_type_is_refused(bench: Bench) -> None:
    assert post(bench, b"{}", content_type="application/x-www-form-urlencoded").status_code == 415
    assert post(bench, b"{}", content_type="").status_code == 415
    assert post(bench, json.dumps(OPENED).encode(), content_type="application/json; charset=utf-8").status_code == 202


def test_what_is_signed_and_no_json_is_refused(bench: Bench) -> None:
    assert post(bench, b"{").status_code == 400
    assert post(bench, b"[" * 100_000).status_code == 400


def test_a_body_that_says_it_is_too_large_is_not_read(bench: Bench) -> None:
    assert post(bench, b"{}", content_length=str(DEFAULTS.webhook_bytes + 1)).status_code == 413


def test_a_body_that_grows_too_large_is_not_kept() -> None:
    sent = 0

    async def receive() -> dict[str, Any]:
        nonlocal sent
        sent += 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    with pytest.raises(RefusedError) as refused:
        asyncio.run(read_body(Request({"type": "http", "headers": []}, receive), 5000))
    assert (refused.value.status, sent) == (413, 6)


def test_a_body_that_never_ends_is_given_up() -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"", "more_body": True}

    with pytest.raises(RefusedError) as refused:
        asyncio.run(read_body(Request({"type": "http", "headers": []}, receive), 5000, seconds=0.05))
    assert refused.value.status == 408


def test_a_body_that_breaks_off_is_refused() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    with pytest.raises(RefusedError) as refused:
        asyncio.run(read_body(Request({"type": "http", "headers": []}, receive), 5000))
    assert refused.value.status == 400


def test_a_replayed_delivery_changes_nothing(bench: Bench) -> None:
    body = json.dumps(OPENED).encode()
    assert post(bench, body).json()["outcome"] == "taken"
    assert post(bench, body).json()["outcome"] == "repeated"
    assert len(jobs(bench)) == 1
    assert bench.woken.count == 1


def test_a_delivery_that_failed_may_be_delivered_again(bench: Bench) -> None:
    body = json.dumps(OPENED).encode()
    post(bench, body)
    with bench.parts.store.write() as connection:
        fail_delivery(connection, "d-1")
    assert post(bench, body).json()["outcome"] == "taken"
    assert post(bench, body).json()["outcome"] == "repeated"


@pytest.mark.parametrize("ident", ["", "../x", "a" * 101, "a b"])
def test_an_odd_delivery_id_is_refused(bench: Bench, ident: str) -> None:
    assert post(bench, json.dumps(OPENED).encode(), x_github_delivery=ident).status_code == 400


def test_ping_is_answered_and_what_is_unknown_is_dropped(bench: Bench) -> None:
    assert post(bench, json.dumps(PAYLOADS["ping"]).encode(), x_github_event="ping").status_code == 200
    other = {**OPENED, "repository": {**OPENED["repository"], "full_name": "somebody/else"}}
    for body, event in ((OPENED, "star"), (other, "pull_request"), ([], "pull_request"), ({"repository": 7}, "push")):
        answer = post(bench, json.dumps(body).encode(), x_github_event=event)
        assert (answer.status_code, answer.json()["outcome"]) == (202, "dropped")
    assert jobs(bench) == []


@pytest.mark.parametrize("event", sorted(PAYLOADS))
def test_real_payloads_of_every_event_are_understood(tmp_path: Path, event: str) -> None:
    payload = PAYLOADS[event]
    watched = payload["repository"]["full_name"]
    if event.startswith("issue_comment"):
        payload = {**payload, "issue": {**payload["issue"], "pull_request": {"url": "x"}}}
    with make_bench(tmp_path, {watched: None}) as bench:  # type: ignore[dict-item]
        answer = post(bench, json.dumps(payload).encode(), x_github_event=event.partition(".")[0])
        assert answer.status_code == (200 if event == "ping" else 202)
        kinds = {kind for kind, _ in jobs(bench)}
    is_tag = str(payload.get("ref", "")).startswith("refs/tags/")
    wanted = set() if event == "ping" or is_tag else {"repository", "release"} if event == "push" else {"pull"}
    assert kinds == wanted


@pytest.mark.parametrize("spelling", [str.upper, str.lower, str.swapcase])
def test_the_spelling_of_a_watched_repository_is_that_of_the_settings(bench: Bench, spelling: Callable[[str], str]) -> None:
    told = {**OPENED, "repository": {**OPENED["repository"], "full_name": spelling(WATCHED)}}
    assert post(bench, json.dumps(told).encode()).json()["outcome"] == "taken"
    assert jobs(bench) == [("pull", f"{WATCHED}#{OPENED['number']}")]
    pushed = {"ref": "refs/heads/main", "repository": {"full_name": spelling(WATCHED)}}
    answer = post(bench, json.dumps(pushed).encode(), x_github_event="push", x_github_delivery="d-2")
    assert answer.json()["outcome"] == "taken"
    assert all(WATCHED in key for _, key in jobs(bench))


def test_a_comment_on_an_issue_and_an_odd_number_are_dropped(bench: Bench) -> None:
    issue = {"action": "created", "issue": {"number": 3}, "repository": {"full_name": WATCHED}}
    assert post(bench, json.dumps(issue).encode(), x_github_event="issue_comment").json()["outcome"] == "dropped"
    for number in (True, -1, "7", None):
        odd = {"action": "opened", "pull_request": {"number": number}, "repository": {"full_name": WATCHED}}
        assert post(bench, json.dumps(odd).encode()).json()["outcome"] == "dropped"


def test_every_answer_has_safe_headers(bench: Bench) -> None:
    answer = post(bench, b"{}", x_hub_signature_256="sha256=0")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["www-authenticate"] == "Bearer"
