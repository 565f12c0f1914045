"""The gate, through the real login forms: who gets in, who does not, and what a stolen or forged request is worth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.browser import Browser
from tests.support.people import PASSWORD, Clock, cheap_hash, make_gate, make_user, make_users
from webhooks.auth.gate import Gate, Refused, authenticate, check_form, find_session, token_of
from webhooks.auth.session import LIFETIME, open_session
from webhooks.auth.users import User
from webhooks.ui.login import do_login, do_logout, show_login
from webhooks.ui.visitor import LoginNeededError, admit, own_address


def make_app(gate: Gate) -> Starlette:
    async def whoami(request: Request) -> Response:
        return JSONResponse({"user": admit(gate, request).name, "session": find_session(gate, request).ident})

    async def api(request: Request) -> Response:
        return JSONResponse({"user": (await authenticate(gate, request)).name})

    async def refused(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return JSONResponse({"code": error.code, "message": error.message}, status_code=error.status)

    async def login_needed(_request: Request, error: Exception) -> Response:
        assert isinstance(error, LoginNeededError)
        return JSONResponse({"login": error.address}, status_code=401)

    return Starlette(
        routes=[
            Route("/login", as_route(gate, show_login), methods=["GET"]),
            Route("/login", as_route(gate, do_login), methods=["POST"]),
            Route("/logout", as_route(gate, do_logout), methods=["POST"]),
            Route("/whoami", whoami, methods=["GET"]),
            Route("/api", api, methods=["POST"]),
        ],
        exception_handlers={Refused: refused, LoginNeededError: login_needed},
    )


def as_route(gate: Gate, page: Callable[..., object]) -> Callable[[Request], object]:
    async def answer(request: Request) -> object:
        return await page(gate, request)  # type: ignore[misc]

    return answer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(tmp_path: Path, clock: Clock) -> Gate:
    return make_gate(tmp_path, make_users(make_user("alice", "sre"), make_user("bob")), clock=clock)


@pytest.fixture
def browser(gate: Gate) -> Browser:
    return Browser(make_app(gate))


def test_a_right_password_opens_a_session(browser: Browser) -> None:
    answer = browser.log_in("Alice ", PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert browser.get("/whoami").json()["user"] == "alice"
    assert browser.get("/login").status_code == 303


@pytest.mark.parametrize(("name", "password"), [("alice", "wrong"), ("nobody", PASSWORD), ("", ""), ("alice", "")])
def test_a_wrong_name_and_a_wrong_password_look_the_same(browser: Browser, name: str, password: str) -> None:
    answer = browser.log_in(name, password)
    assert answer.status_code == 401
    assert "Wrong name or password." in answer.text
    assert browser.get("/whoami").status_code == 401


def test_the_cookie_is_closed_to_scripts_and_other_sites(browser: Browser, tmp_path: Path) -> None:
    cookie = browser.log_in("alice", PASSWORD).headers["set-cookie"]
    assert cookie.startswith("trueup_session=")
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "Secure" not in cookie


def test_over_tls_the_cookie_never_travels_in_the_clear(tmp_path: Path) -> None:
    gate = make_gate(tmp_path, make_users(make_user("alice")), url="https://trueup.example.org")
    cookie = Browser(make_app(gate), base="https://trueup.example.org").get("/login").headers["set-cookie"]
    assert cookie.startswith("__Host-trueup=")
    assert "Secure" in cookie.split("; ")


def test_logging_in_changes_the_session_id(browser: Browser) -> None:
    browser.get("/login")
    planted = dict(browser.cookies)
    browser.submit("/login", {"name": "alice", "password": PASSWORD})
    assert browser.cookies != planted
    victim_was_given = Browser(browser._app)
    victim_was_given.cookies = planted
    assert victim_was_given.get("/whoami").status_code == 401


def test_a_session_ends_with_its_time(browser: Browser, clock: Clock) -> None:
    browser.log_in("alice", PASSWORD)
    clock.at += LIFETIME
    assert browser.get("/whoami").status_code == 401


def test_logging_out_ends_copies_of_the_cookie_too(browser: Browser) -> None:
    browser.log_in("alice", PASSWORD)
    stolen = dict(browser.cookies)
    assert browser.get("/whoami").status_code == 200
    gate_page = Browser(browser._app)
    gate_page.cookies = stolen
    answer = browser.post("/logout", {"token": "wrong"})
    assert answer.status_code == 403
    browser.post("/logout", {"token": logout_token(browser)})
    assert gate_page.get("/whoami").status_code == 401
    assert browser.get("/whoami").status_code == 401


def logout_token(browser: Browser) -> str:
    from tests.support.people import NOW, SECRET
    from webhooks.auth.session import make_token, unseal_session

    session = unseal_session(browser.cookies["trueup_session"], SECRET, NOW)
    assert session is not None
    return make_token(session, SECRET)


def test_a_changed_password_or_a_lost_account_ends_sessions(tmp_path: Path, clock: Clock) -> None:
    before = Browser(make_app(make_gate(tmp_path, make_users(make_user("alice")), clock=clock)))
    before.log_in("alice", PASSWORD)
    changed = User("alice", cheap_hash("another one"))
    for users in (make_users(changed), make_users(make_user("bob"))):
        after = Browser(make_app(make_gate(tmp_path, users, clock=clock)))
        after.cookies = dict(before.cookies)
        assert after.get("/whoami").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
    ],
)
def test_a_form_of_another_site_is_refused_even_with_a_token(browser: Browser, headers: dict[str, str]) -> None:
    browser.log_in("alice", PASSWORD)
    answer = browser.post("/logout", {"token": logout_token(browser)}, headers=headers)
    assert answer.status_code == 403
    assert browser.get("/whoami").status_code == 200


def test_a_form_without_the_session_of_its_token_is_refused(browser: Browser) -> None:
    other = Browser(browser._app)
    other.log_in("bob", PASSWORD)
    browser.log_in("alice", PASSWORD)
    for token in ("", "x", logout_token(other)):
        assert browser.post("/logout", {"token": token}).status_code == 403


def test_a_login_form_of_another_session_is_refused(browser: Browser) -> None:
    browser.get("/login")
    other = Browser(browser._app)
    other.page = browser.page
    assert other.submit("/login", {"name": "alice", "password": PASSWORD}).status_code == 403


def test_guessing_is_stopped_and_the_right_password_too(browser: Browser, clock: Clock) -> None:
    statuses = [browser.log_in("alice", f"guess {number}").status_code for number in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    assert browser.log_in("alice", PASSWORD).status_code == 429
    assert browser.log_in("bob", PASSWORD).status_code == 303


def test_a_form_is_small_and_a_form(browser: Browser) -> None:
    browser.get("/login")
    assert browser.post("/login", {"name": "x" * 70_000}).status_code == 413
    assert browser.send("POST", "/login", json={}).status_code == 415


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("/pulls/x?page=2", "/pulls/x?page=2"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/\nset-cookie: x", "/"),
        ("", "/"),
    ],
)
def test_after_login_only_our_own_pages_follow(wanted: str, given: str) -> None:
    assert own_address(wanted) == given


def test_a_program_names_its_user_by_basic_authorization(browser: Browser) -> None:
    assert browser.post_json("/api", {}, user=("alice", PASSWORD)).json() == {"user": "alice"}
    assert browser.post_json("/api", {}, user=("alice", "wrong")).status_code == 401
    assert browser.post_json("/api", {}).status_code == 401


@pytest.mark.parametrize("value", ["Basic", "Basic !!!", "Basic YWxpY2U=", "Basic /w==", "Bearer abc", ""])
def test_an_authorization_that_cannot_be_read_is_nobody(browser: Browser, value: str) -> None:
    assert browser.send("POST", "/api", json={}, headers={"authorization": value}).status_code == 401


def test_a_cookie_or_a_form_does_not_reach_the_api(browser: Browser) -> None:
    browser.log_in("alice", PASSWORD)
    assert browser.post_json("/api", {}).status_code == 401
    assert browser.send("POST", "/api", data={}, auth=("alice", PASSWORD)).status_code == 415


@pytest.mark.parametrize(
    ("base", "address", "status"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1", 200),
        ("http://localhost", "::1", 200),
        ("http://rebound.example", "127.0.0.1", 403),
        ("http://127.0.0.1:8080", "192.0.2.7", 403),
    ],
)
def test_without_users_pages_are_for_this_machine_only(tmp_path: Path, base: str, address: str, status: int) -> None:
    app = make_app(make_gate(tmp_path, make_users()))
    assert Browser(app, base=base, address=address).get("/whoami").status_code == status


def test_reading_needs_a_login_and_comes_back_to_the_page(browser: Browser) -> None:
    assert browser.get("/whoami?page=2").json() == {"login": "/login?next=%2Fwhoami%3Fpage%3D2"}


@pytest.mark.parametrize(
    ("origin", "is_ours"),
    [
        ("https://trueup.example.org", True),
        ("http://127.0.0.1:8080", True),
        ("https://evil.example.org", False),
        ("https://trueup.example.org.evil.example.org", False),
    ],
)
def test_a_form_may_come_from_the_public_name_too(tmp_path: Path, origin: str, is_ours: bool) -> None:
    """A proxy that passes another name on must not keep people out, nor let other sites in."""
    gate = make_gate(tmp_path, make_users(make_user("alice")), url="https://trueup.example.org")
    request = Request({"type": "http", "headers": [(b"host", b"127.0.0.1:8080"), (b"origin", origin.encode())]})
    session = open_session("s1", None, gate.now())
    if is_ours:
        check_form(gate, request, session, token_of(gate, session))
        return
    with pytest.raises(Refused, match="another site"):
        check_form(gate, request, session, token_of(gate, session))
