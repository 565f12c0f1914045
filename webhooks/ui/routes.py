"""Routes of the pages, bound to one desk, and how they refuse: a page that says why, or the login form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from webhooks.auth.gate import Gate, Refused
from webhooks.ui.desk import Desk, HostDesk, PullDesk, ReleaseDesk
from webhooks.ui.hosts import show_host, show_hosts
from webhooks.ui.login import do_login, do_logout, show_login
from webhooks.ui.pages import HEADERS, give_asset
from webhooks.ui.pulls import approve_pull, merge_pull, show_pull, show_pulls, take_back_pull
from webhooks.ui.releases import show_releases
from webhooks.ui.runs import show_run, show_runs
from webhooks.ui.variants import show_variants
from webhooks.ui.visitor import LoginNeededError, greet, send_to, show_message

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Pages:
    """The desk of each group of pages."""

    pulls: PullDesk
    hosts: HostDesk
    releases: ReleaseDesk
    runs: Desk


def make_pages(pages: Pages) -> list[BaseRoute]:
    """Give the routes of all pages and assets."""
    desk, gate = pages.pulls, pages.pulls.gate
    pull = "/pulls/{repository:path}/{name}"
    return [
        Route("/", _redirect, methods=["GET"]),
        Route("/static/{name}", give_asset, methods=["GET"]),
        Route("/login", _do(gate, partial(show_login, gate)), methods=["GET"]),
        Route("/login", _do(gate, partial(do_login, gate)), methods=["POST"]),
        Route("/logout", _do(gate, partial(do_logout, gate)), methods=["POST"]),
        Route("/pulls", _read(gate, partial(show_pulls, desk)), methods=["GET"]),
        Route(pull + "/approve", _do(gate, partial(approve_pull, desk)), methods=["POST"]),
        Route(pull + "/unapprove", _do(gate, partial(take_back_pull, desk)), methods=["POST"]),
        Route(pull + "/merge", _do(gate, partial(merge_pull, desk)), methods=["POST"]),
        Route(pull, _read(gate, partial(show_pull, desk)), methods=["GET"]),
        Route("/plans/{plan}/variants/{index}", _read(gate, partial(show_variants, desk)), methods=["GET"]),
        Route("/hosts", _read(gate, partial(show_hosts, pages.hosts)), methods=["GET"]),
        Route("/hosts/{name}", _read(gate, partial(show_host, pages.hosts)), methods=["GET"]),
        Route("/releases", _read(gate, partial(show_releases, pages.releases)), methods=["GET"]),
        Route("/runs", _read(gate, partial(show_runs, pages.runs)), methods=["GET"]),
        Route("/runs/{host}/{run}", _read(gate, partial(show_run, pages.runs)), methods=["GET"]),
    ]


async def _redirect(_request: Request) -> Response:
    return RedirectResponse("/pulls", status_code=302, headers=dict(HEADERS))


def _read(gate: Gate, page: Callable[[Request], Response]) -> Endpoint:
    async def answer(request: Request) -> Response:
        try:
            return await run_in_threadpool(page, request)
        except (Refused, LoginNeededError) as refused:
            return _refuse(gate, request, refused)

    return answer


def _do(gate: Gate, page: Endpoint) -> Endpoint:
    async def answer(request: Request) -> Response:
        try:
            return await page(request)
        except (Refused, LoginNeededError) as refused:
            return _refuse(gate, request, refused)

    return answer


def _refuse(gate: Gate, request: Request, refused: Refused | LoginNeededError) -> Response:
    if isinstance(refused, LoginNeededError):
        return send_to(refused.address)
    return show_message(gate, greet(gate, request), refused, back="/pulls", back_text="To the pull requests")
