"""Routes of the pages, bound to one desk, and how they refuse: a page that says why, or the login form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from webhooks.auth.gate import Gate, Refused
from webhooks.ui.desk import Desk
from webhooks.ui.hosts import show_host, show_hosts
from webhooks.ui.login import do_login, do_logout, show_login
from webhooks.ui.pages import HEADERS, give_asset
from webhooks.ui.pulls import approve_pull, merge_pull, show_pull, show_pulls
from webhooks.ui.releases import show_releases
from webhooks.ui.runs import show_run, show_runs
from webhooks.ui.visitor import LoginNeededError, greet, send_to, show_message

Reader = Callable[[Desk, Request], Response]
Doer = Callable[[Desk, Request], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def make_pages(desk: Desk) -> list[BaseRoute]:
    """Give the routes of all pages and assets."""
    pull = "/pulls/{repository:path}/{name}"
    return [
        Route("/", _redirect, methods=["GET"]),
        Route("/static/{name}", give_asset, methods=["GET"]),
        Route("/login", _do(desk, _with_gate(show_login)), methods=["GET"]),
        Route("/login", _do(desk, _with_gate(do_login)), methods=["POST"]),
        Route("/logout", _do(desk, _with_gate(do_logout)), methods=["POST"]),
        Route("/pulls", _read(desk, show_pulls), methods=["GET"]),
        Route(pull + "/approve", _do(desk, approve_pull), methods=["POST"]),
        Route(pull + "/merge", _do(desk, merge_pull), methods=["POST"]),
        Route(pull, _read(desk, show_pull), methods=["GET"]),
        Route("/hosts", _read(desk, show_hosts), methods=["GET"]),
        Route("/hosts/{name}", _read(desk, show_host), methods=["GET"]),
        Route("/releases", _read(desk, show_releases), methods=["GET"]),
        Route("/runs", _read(desk, show_runs), methods=["GET"]),
        Route("/runs/{host}/{run}", _read(desk, show_run), methods=["GET"]),
    ]


async def _redirect(_request: Request) -> Response:
    return RedirectResponse("/pulls", status_code=302, headers=dict(HEADERS))


def _with_gate(page: Callable[[Gate, Request], Awaitable[Response]]) -> Doer:
    async def answer(desk: Desk, request: Request) -> Response:
        return await page(desk.gate, request)

    return answer


def _read(desk: Desk, page: Reader) -> Endpoint:
    async def answer(request: Request) -> Response:
        try:
            return await run_in_threadpool(page, desk, request)
        except (Refused, LoginNeededError) as refused:
            return _refuse(desk, request, refused)

    return answer


def _do(desk: Desk, page: Doer) -> Endpoint:
    async def answer(request: Request) -> Response:
        try:
            return await page(desk, request)
        except (Refused, LoginNeededError) as refused:
            return _refuse(desk, request, refused)

    return answer


def _refuse(desk: Desk, request: Request, refused: Refused | LoginNeededError) -> Response:
    if isinstance(refused, LoginNeededError):
        return send_to(refused.address)
    return show_message(desk.gate, greet(desk.gate, request), refused, back="/pulls", back_text="To the pull requests")
