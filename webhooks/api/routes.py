"""The API's routes, bound to the services; what runs in the event loop only reads bodies, what touches the store runs in threads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gitops.model.codec import format_time
from webhooks.api.admin import admit_admin, admit_reader
from webhooks.api.body import answer_json
from webhooks.api.hosts import TOKEN_BYTES, VALID, enroll, issue_token, take_report
from webhooks.api.lists import LISTS, give_list, give_plan, give_run
from webhooks.api.openapi import describe_api
from webhooks.auth.gate import Gate
from webhooks.hooks.github import take_github
from webhooks.metrics import CONTENT_TYPE
from webhooks.services import Services
from webhooks.store.hosts import count_hosts
from webhooks.store.pulls import count_pulls
from webhooks.store.work import count_jobs

Endpoint = Callable[[Request], Awaitable[Response]]


def make_api(services: Services, gate: Gate) -> list[BaseRoute]:
    """Give the routes of webhooks, health, metrics and `/api/v1`."""
    reading = _Reading(services, gate)
    found: list[BaseRoute] = [
        Route("/webhooks/github", _bind(services, take_github), methods=["POST"]),
        Route("/healthz", _live, methods=["GET"]),
        Route("/readyz", _bind(services, _ready), methods=["GET"]),
        Route("/metrics", _bind(services, _metrics), methods=["GET"]),
        Route("/openapi.json", _describe, methods=["GET"]),
        Route("/api/v1/hosts/{host}/enroll", _bind(services, enroll), methods=["POST"]),
        Route("/api/v1/hosts/{host}/token", _bind(services, _give_token), methods=["POST"]),
        Route("/api/v1/reports", _bind(services, take_report), methods=["POST"]),
        Route("/api/v1/plans/{ident:int}", reading.of(give_plan), methods=["GET"]),
        Route("/api/v1/runs/{host}/{run}", reading.of(give_run), methods=["GET"]),
    ]
    found.extend(Route(f"/api/v1/{name}", reading.of_list(name), methods=["GET"]) for name in LISTS)
    return found


class _Reading:
    """Makes endpoints for those who may read."""

    def __init__(self, services: Services, gate: Gate) -> None:
        self._services = services
        self._gate = gate

    def of(self, give: Callable[[Services, Request], Response]) -> Endpoint:
        async def answer(request: Request) -> Response:
            admit_reader(self._gate, self._services.settings.admin_token, request)
            return await run_in_threadpool(give, self._services, request)

        return answer

    def of_list(self, name: str) -> Endpoint:
        return self.of(lambda services, request: give_list(services, request, name))


def _bind(services: Services, answer: Callable[[Services, Request], Awaitable[Response]]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return await answer(services, request)

    return endpoint


async def _live(_request: Request) -> Response:
    return answer_json({"status": "alive"})


async def _ready(services: Services, _request: Request) -> Response:
    jobs = await run_in_threadpool(_count_jobs, services)
    return answer_json({"status": "ready", "jobs": dict(jobs)})


async def _metrics(services: Services, _request: Request) -> Response:
    return Response(await run_in_threadpool(_render_metrics, services), media_type=CONTENT_TYPE)


async def _describe(_request: Request) -> Response:
    return answer_json(describe_api())


async def _give_token(services: Services, request: Request) -> Response:
    admit_admin(services.settings.admin_token, request)
    host, now = str(request.path_params["host"]), services.now()
    token = await run_in_threadpool(issue_token, services.store, host, fresh=services.fresh(TOKEN_BYTES), now=now)
    found = {"schema": "gitops/token/v1", "host": host, "token": token, "expires": format_time(now + VALID)}
    return answer_json(found, 201)


def _count_jobs(services: Services) -> dict[str, int]:
    with services.store.read() as connection:
        return count_jobs(connection)


def _render_metrics(services: Services) -> bytes:
    with services.store.read() as connection:
        jobs, hosts = count_jobs(connection), count_hosts(connection)
        pulls = count_pulls(connection, state="open")
    return services.metrics.render(jobs, hosts=hosts, pulls=pulls)
