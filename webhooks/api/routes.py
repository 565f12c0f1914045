"""The API's routes, each bound to the ports that it uses.

What runs in the event loop only reads bodies, what touches the store runs in threads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gitops.model.codec import format_time
from webhooks.api.admin import admit_admin, admit_reader
from webhooks.api.body import answer_json
from webhooks.api.hosts import TOKEN_BYTES, VALID, HostPorts, Place, enroll, issue_token, take_report
from webhooks.api.lists import LISTS, give_list, give_plan, give_run
from webhooks.api.openapi import describe_api
from webhooks.auth.gate import Gate
from webhooks.hooks.github import GithubDoor, take_github
from webhooks.metrics import CONTENT_TYPE, Metrics
from webhooks.store.hosts import count_hosts
from webhooks.store.pulls import count_pulls
from webhooks.store.store import Store
from webhooks.store.work import count_jobs

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class ApiPorts:
    """What readers and the administrator are answered from."""

    store: Store
    metrics: Metrics
    gate: Gate
    admin_token: str = field(repr=False)


def make_api(ports: ApiPorts, github: GithubDoor, hosts: HostPorts) -> list[BaseRoute]:
    """Give the routes of webhooks, health, metrics and `/api/v1`."""
    reading = _Reading(ports)
    found: list[BaseRoute] = [
        Route("/webhooks/github", partial(take_github, github), methods=["POST"]),
        Route("/healthz", _live, methods=["GET"]),
        Route("/readyz", partial(_ready, ports), methods=["GET"]),
        Route("/metrics", partial(_metrics, ports), methods=["GET"]),
        Route("/openapi.json", _describe, methods=["GET"]),
        Route("/api/v1/hosts/{host}/enroll", partial(enroll, hosts), methods=["POST"]),
        Route("/api/v1/hosts/{host}/token", partial(_give_token, ports, hosts), methods=["POST"]),
        Route("/api/v1/reports", partial(take_report, hosts), methods=["POST"]),
        Route("/api/v1/plans/{ident:int}", reading.of(give_plan), methods=["GET"]),
        Route("/api/v1/runs/{host}/{run}", reading.of(give_run), methods=["GET"]),
    ]
    found.extend(Route(f"/api/v1/{name}", reading.of_list(name), methods=["GET"]) for name in LISTS)
    return found


class _Reading:
    """Makes endpoints for those who may read."""

    def __init__(self, ports: ApiPorts) -> None:
        self._ports = ports

    def of(self, give: Callable[[Store, Request], Response]) -> Endpoint:
        async def answer(request: Request) -> Response:
            admit_reader(self._ports.gate, self._ports.admin_token, request)
            return await run_in_threadpool(give, self._ports.store, request)

        return answer

    def of_list(self, name: str) -> Endpoint:
        return self.of(lambda store, request: give_list(store, request, name))


async def _live(_request: Request) -> Response:
    return answer_json({"status": "alive"})


async def _ready(ports: ApiPorts, _request: Request) -> Response:
    jobs = await run_in_threadpool(_count_jobs, ports.store)
    return answer_json({"status": "ready", "jobs": dict(jobs)})


async def _metrics(ports: ApiPorts, _request: Request) -> Response:
    return Response(await run_in_threadpool(_render_metrics, ports), media_type=CONTENT_TYPE)


async def _describe(_request: Request) -> Response:
    return answer_json(describe_api())


async def _give_token(ports: ApiPorts, hosts: HostPorts, request: Request) -> Response:
    admit_admin(ports.admin_token, request)
    host, now = str(request.path_params["host"]), hosts.now()
    asked = request.query_params
    place = Place(asked.get("repository", ""), asked.get("environment", ""))
    token = await run_in_threadpool(issue_token, ports.store, host, fresh=hosts.fresh(TOKEN_BYTES), now=now, place=place)
    found = {"schema": "gitops/token/v1", "host": host, "token": token, "expires": format_time(now + VALID)}
    return answer_json(found, 201)


def _count_jobs(store: Store) -> dict[str, int]:
    with store.read() as connection:
        return count_jobs(connection)


def _render_metrics(ports: ApiPorts) -> bytes:
    with ports.store.read() as connection:
        jobs, hosts = count_jobs(connection), count_hosts(connection)
        pulls = count_pulls(connection, state="open")
    return ports.metrics.render(jobs, hosts=hosts, pulls=pulls)
