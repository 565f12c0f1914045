"""Pages of hosts: the list with its filters, one host with its runs and resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gitops.model.report import Report
from gitops.render.words import describe_age
from webhooks.auth.gate import Refused
from webhooks.records import HostKey, HostRecord
from webhooks.store.columns import unpack_time
from webhooks.store.hosts import find_hosts_named
from webhooks.store.runs import find_run, list_runs_of
from webhooks.ui.desk import HostDesk
from webhooks.ui.paging import read_page
from webhooks.ui.queries import (
    NEVER,
    RESULTS,
    count_drifted,
    count_host_results,
    count_matching_hosts,
    name_matching_hosts,
    read_latest_serials,
)
from webhooks.ui.reportview import tone_of, view_resources, view_run
from webhooks.ui.visitor import admit, show

RUNS = 10
MOST_TEXT = 100


def show_hosts(desk: HostDesk, request: Request) -> Response:
    """Answer `GET /hosts`."""
    visitor = admit(desk.gate, request)
    text = request.query_params.get("q", "").strip()[:MOST_TEXT]
    result = request.query_params.get("state", "")
    result = result if result in (*RESULTS, NEVER) else ""
    with desk.store.read() as connection:
        counts = count_host_results(connection)
        page = read_page(request.query_params, count_matching_hosts(connection, text, result), keep=("q", "state"))
        found = name_matching_hosts(connection, text, result, limit=page.size, offset=page.start)
        drifted = count_drifted(connection, [(_key_of(row), row.run) for row in found if row.run])
        latest = read_latest_serials(connection)
    values = {
        "title": "Hosts",
        "section": "Hosts",
        "rows": [_view_row(row, drifted, latest, desk) for row in found],
        "page": page,
        "q": text,
        "state": result,
        "states": (*RESULTS, NEVER),
        "counts": [(name, counts[name], tone_of(name)) for name in (*RESULTS, NEVER) if name in counts],
        "base": desk.public_url or str(request.base_url).rstrip("/"),
    }
    return show(desk.gate, visitor, "hosts.html", values)


def show_host(desk: HostDesk, request: Request) -> Response:
    """Answer `GET /hosts/{name}`."""
    visitor = admit(desk.gate, request)
    name, query = str(request.path_params["name"]), request.query_params
    with desk.store.read() as connection:
        found = find_hosts_named(connection, name, query.get("repository", ""), query.get("environment", ""))
        if len(found) > 1:
            raise Refused(404, "A404", f"several hosts are named {name[:80]}", "choose one in the list of hosts")
        if not found:
            raise Refused(404, "A404", f"there is no host {name[:80]}", "hosts are here once they are enrolled")
        host = found[0]
        runs = list_runs_of(connection, host.key, RUNS)
        last = find_run(connection, host.key, host.run)
        latest = read_latest_serials(connection)
    report = None if last is None else last.report
    drifted = () if report is None else report.drifted
    now, observation = desk.now(), host.observation
    resources = () if observation is None else view_resources(observation, frozenset(drifted))
    page = read_page(request.query_params, len(resources))
    values = {
        "title": host.name,
        "section": "Hosts",
        "host": _head(host, len(drifted), latest, desk),
        "reason": "" if report is None else report.reason,
        "drifted": drifted,
        "runs": [view_run(run.report, now, run.repository) for run in runs],
        "resources": resources[page.start : page.end],
        "page": page,
        "observed": "" if observation is None else f"{describe_age(observation.at, now)} ago",
        "facts": () if observation is None else sorted(observation.facts.items()),
        "agent": _agent_of(report),
    }
    return show(desk.gate, visitor, "host.html", values)


def _key_of(row: Any) -> HostKey:
    return HostKey(row.repository, row.environment, row.name)


def _view_row(
    row: Any, drifted: Mapping[HostKey, int], latest: Mapping[tuple[str, str], int], desk: HostDesk
) -> Mapping[str, object]:
    seen = unpack_time(row.seen)
    return {
        "name": row.name,
        "result": row.result or NEVER,
        "tone": tone_of(row.result),
        "repository": row.repository,
        "environment": row.environment,
        "serial": row.serial,
        "latest": latest.get((row.repository, row.environment), 0),
        "drifted": drifted.get(_key_of(row), 0),
        "seen": "never" if seen is None else f"{describe_age(seen, desk.now())} ago",
    }


def _head(host: HostRecord, drifted: int, latest: Mapping[tuple[str, str], int], desk: HostDesk) -> Mapping[str, object]:
    return {
        "name": host.name,
        "result": host.result or NEVER,
        "tone": tone_of(host.result),
        "repository": host.repository,
        "environment": host.environment,
        "serial": host.serial,
        "latest": latest.get((host.repository, host.environment), 0),
        "drifted": drifted,
        "seen": "never" if host.seen is None else f"{describe_age(host.seen, desk.now())} ago",
    }


def _agent_of(report: Report | None) -> str:
    return "" if report is None else report.agent
