"""The door to HTTP servers: tried again where that is safe, patient when asked to be, bounded, never led elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

import webhooks.http
from gitops.errors import RemoteError
from gitops.model.limits import Limits
from webhooks.errors import LaterError
from webhooks.http import ATTEMPTS, JsonClient, refuse

Reply = Callable[[httpx.Request], httpx.Response]
BASE = "https://api.example.org/v3"


def make_client(reply: Reply, slept: list[float] | None = None) -> JsonClient:
    sleep = (slept if slept is not None else []).append
    return JsonClient(BASE, {"Authorization": "Bearer t"}, sleep=sleep, now=lambda: 1000.0, transport=httpx.MockTransport(reply))


def test_an_answer_is_given_with_its_json() -> None:
    seen: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json={"a": 1})

    found = make_client(reply).ask("POST", "/x", query={"q": "1"}, body={"b": 2})
    assert (found.status, found.body, found.is_good) == (201, {"a": 1}, True)
    assert str(seen[0].url) == f"{BASE}/x?q=1"
    assert json.loads(seen[0].content) == {"b": 2}
    assert seen[0].headers["authorization"] == "Bearer t"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 100_000])
def test_what_is_no_json_is_no_body(body: bytes) -> None:
    assert make_client(lambda _request: httpx.Response(404, content=body)).ask("GET", "/x").body is None


@pytest.mark.parametrize("method", ["GET", "PATCH", "POST"])
def test_a_failing_server_is_asked_again_unless_that_could_do_it_twice(method: str) -> None:
    calls, slept = list[int](), list[float]()

    def reply(_request: httpx.Request) -> httpx.Response:
        calls.append(1)
        return httpx.Response(502)

    with pytest.raises(RemoteError, match="answered 502"):
        make_client(reply, slept).ask(method, "/x")
    assert len(calls) == (1 if method == "POST" else ATTEMPTS)
    assert slept == sorted(slept)


def test_what_works_the_second_time_is_enough() -> None:
    answers = iter([httpx.Response(500), httpx.Response(200, json=[])])
    assert make_client(lambda _request: next(answers)).ask("GET", "/x").body == []


def test_no_network_is_a_remote_error_without_the_token() -> None:
    def reply(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(RemoteError) as error:
        make_client(reply).ask("GET", "/x")
    assert "Bearer" not in str(error.value)


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"retry-after": "7"}, 7),
        (429, {}, 60),
        (403, {"retry-after": "30"}, 30),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1090"}, 90),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "10"}, 1),
        (503, {"retry-after": "5"}, 5),
        (429, {"retry-after": "999999"}, 3600),
    ],
)
def test_a_rate_limit_says_when_to_come_back_and_is_not_argued_with(status: int, headers: dict[str, str], seconds: float) -> None:
    calls: list[int] = []

    def reply(_request: httpx.Request) -> httpx.Response:
        calls.append(1)
        return httpx.Response(status, headers=headers)

    with pytest.raises(LaterError) as later:
        make_client(reply).ask("GET", "/x")
    assert (later.value.seconds, len(calls)) == (seconds, 1)


def test_a_plain_refusal_is_no_rate_limit() -> None:
    assert make_client(lambda _request: httpx.Response(403, json={"message": "no"})).ask("GET", "/x").status == 403


def test_redirects_are_not_followed() -> None:
    seen: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.host)
        return httpx.Response(302, headers={"location": "https://evil.example/"})

    assert make_client(reply).ask("GET", "/x").status == 302
    assert seen == ["api.example.org"]


def test_pages_are_followed_on_this_server_only() -> None:
    def reply(request: httpx.Request) -> httpx.Response:
        page = int(request.url.params.get("page", "1"))
        headers = {"link": f'<{BASE}/x?page={page + 1}>; rel="next"'} if page < 3 else {}
        return httpx.Response(200, json=[page], headers=headers)

    assert make_client(reply).ask_pages("/x", {"per_page": "1"}) == [1, 2, 3]
    elsewhere = httpx.Response(200, json=[1], headers={"link": '<https://evil.example/x?page=2>; rel="next"'})
    with pytest.raises(RemoteError, match="another server"):
        make_client(lambda _request: elsewhere).ask_pages("/x")


def test_full_pages_of_a_server_that_names_no_next_one_are_not_the_end() -> None:
    def reply(request: httpx.Request) -> httpx.Response:
        page = int(request.url.params.get("page", "1"))
        return httpx.Response(200, json={1: [1, 2], 2: [3, 4], 3: [5]}.get(page, []))

    assert make_client(reply).ask_pages("/x", {"per_page": "2"}) == [1, 2, 3, 4, 5]


def test_pages_that_never_end_are_given_up() -> None:
    reply = httpx.Response(200, json=[1], headers={"link": f'<{BASE}/x>; rel="next"'})
    with pytest.raises(RemoteError, match="more than"):
        make_client(lambda _request: httpx.Response(200, json=[1], headers=reply.headers)).ask_pages("/x")


def test_a_list_that_is_not_offered_is_none_and_one_that_is_no_list_an_error() -> None:
    assert make_client(lambda _request: httpx.Response(404)).ask_pages("/x") is None
    with pytest.raises(RemoteError, match="401 Bad credentials"):
        make_client(lambda _request: httpx.Response(401, json={"message": "Bad credentials"})).ask_pages("/x")
    with pytest.raises(RemoteError):
        make_client(lambda _request: httpx.Response(200, json={})).ask_pages("/x")


def test_an_endless_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks.http, "DEFAULTS", Limits(http_bytes=1000))
    with pytest.raises(RemoteError, match="too long"):
        make_client(lambda _request: httpx.Response(200, content=b"x" * 2000)).ask("GET", "/x")


def test_a_refusal_names_what_the_forge_said_and_what_to_check() -> None:
    answer = make_client(lambda _request: httpx.Response(404, json={"message": "Not Found"})).ask("GET", "/x")
    error = refuse(answer, "pull 7")
    assert (error.message, error.hint) == ("pull 7: the forge answered 404 Not Found", "check the token and its rights")
    answer = make_client(lambda _request: httpx.Response(422)).ask("GET", "/x")
    assert refuse(answer, "x").hint == ""
