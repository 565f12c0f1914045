"""Lists of what the store holds, page by page: `{"schema", "items", "total", "limit", "offset"}`. Never a credential or a token's hash.

`GET /api/v1/plans/{id}` and `/runs/{host}/{run}` give whole documents; lists give what a table shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from gitops.model.codec import Json, decode_json, format_time
from webhooks.api.body import RefusedError, answer_json
from webhooks.records import ApprovalRecord, HostRecord, PlanRecord, PullRecord, ReleaseRecord, RunRecord
from webhooks.store.approvals import count_approvals, list_approvals
from webhooks.store.hosts import count_hosts, list_hosts
from webhooks.store.plans import count_plans, find_plan, list_plans
from webhooks.store.pulls import count_pulls, list_pulls
from webhooks.store.releases import count_releases, list_releases
from webhooks.store.runs import count_runs, find_runs_named, list_runs
from webhooks.store.store import Store

DEFAULT, MOST, DIGITS = 100, 500, 9


@dataclass(frozen=True)
class Window:
    """Which part of a list is asked for, and the narrowing words of the query."""

    limit: int
    offset: int
    query: QueryParams


Lister = Callable[[Connection, Window], tuple[Sequence[Json], int]]


def give_list(store: Store, request: Request, name: str) -> Response:
    """Answer `GET /api/v1/<name>`."""
    window = Window(_number(request, "limit", DEFAULT, MOST), _number(request, "offset", 0, 10**DIGITS), request.query_params)
    with store.read() as connection:
        items, total = LISTS[name](connection, window)
    found: dict[str, Json] = {"schema": f"gitops/{name}/v1", "items": list(items)}
    return answer_json({**found, "total": total, "limit": window.limit, "offset": window.offset})


def give_plan(store: Store, request: Request) -> Response:
    """Answer `GET /api/v1/plans/{ident}`: the plan's document with its content digest."""
    with store.read() as connection:
        found = find_plan(connection, int(request.path_params["ident"]))
    if found is None:
        raise RefusedError(404, "A404", "there is no such plan")
    return answer_json({**plan_row(found), "plan": decode_json(found.document)})


def give_run(store: Store, request: Request) -> Response:
    """Answer `GET /api/v1/runs/{host}/{run}`: the report."""
    query, host, run = request.query_params, str(request.path_params["host"]), str(request.path_params["run"])
    with store.read() as connection:
        found = find_runs_named(connection, host, run, query.get("repository", ""), query.get("environment", ""))
    if len(found) != 1:
        message = "hosts of several repositories or environments have a run of this name" if found else "there is no such run"
        raise RefusedError(404, "A404", message, "?repository=…&environment=… says which" if found else "")
    return answer_json(decode_json(found[0].document))


def plan_row(item: PlanRecord) -> dict[str, Json]:
    """Give a plan as a row."""
    return {
        "id": item.ident,
        "repository": item.pull.repository,
        "pull": item.pull.name,
        "environment": item.environment,
        "change_digest": item.change_digest,
        "content_digest": item.content_digest,
        "head": item.head,
        "target": item.target,
        "made": format_time(item.made),
        "published": _time(item.published),
        "current": item.is_current,
        "required": item.required,
        "approvers": list(item.approvers),
    }


def pull_row(item: PullRecord) -> dict[str, Json]:
    """Give a pull request as a row."""
    return {
        "repository": item.key.repository,
        "pull": item.key.name,
        "title": item.title,
        "author": item.author,
        "contributors": list(item.contributors),
        "head": item.head,
        "branch": item.branch,
        "target": item.target,
        "state": item.state,
        "planning": item.planning,
        "diagnostics": [diagnostic.to_json() for diagnostic in item.diagnostics],
        "conflicts": list(item.conflicts),
        "merged": item.merged,
        "settled": item.is_settled,
        "note": item.note,
        "comment": item.comment,
        "url": item.url,
        "updated": _time(item.updated),
    }


def approval_row(item: ApprovalRecord) -> dict[str, Json]:
    """Give an approval as a row."""
    return {
        "id": item.ident,
        "repository": item.pull.repository,
        "pull": item.pull.name,
        "environment": item.environment,
        "reference": item.reference,
        "approver": item.login,
        "change_digest": item.change_digest,
        "given": format_time(item.given),
        "state": item.state,
        "reason": item.reason,
        "serial": item.serial,
    }


def release_row(item: ReleaseRecord) -> dict[str, Json]:
    """Give a release as a row."""
    return {**vars(item), "at": format_time(item.at)}


def host_row(item: HostRecord) -> dict[str, Json]:
    """Give a host as a row; its credential stays out."""
    return {
        "host": item.name,
        "repository": item.repository,
        "environment": item.environment,
        "enrolled": format_time(item.enrolled),
        "seen": _time(item.seen),
        "run": item.run,
        "result": item.result,
        "serial": item.serial,
        "observed": None if item.observation is None else format_time(item.observation.at),
        "facts": {} if item.observation is None else dict(item.observation.facts),
    }


def run_row(item: RunRecord) -> dict[str, Json]:
    """Give a run as a row."""
    return {
        "host": item.host,
        "run": item.run,
        "repository": item.repository,
        "environment": item.environment,
        "result": item.result,
        "serial": item.serial,
        "started": format_time(item.started),
        "finished": format_time(item.finished),
        "received": format_time(item.received),
    }


def _list_plans(connection: Connection, window: Window) -> tuple[Sequence[Json], int]:
    is_current = window.query.get("current") == "true"
    found = list_plans(connection, is_current=is_current, limit=window.limit, offset=window.offset)
    return [plan_row(item) for item in found], count_plans(connection, is_current=is_current)


def _list_pulls(connection: Connection, window: Window) -> tuple[Sequence[Json], int]:
    state, repository = window.query.get("state", ""), window.query.get("repository", "")
    found = list_pulls(connection, state=state, repository=repository, limit=window.limit, offset=window.offset)
    return [pull_row(item) for item in found], count_pulls(connection, state=state, repository=repository)


def _list_approvals(connection: Connection, window: Window) -> tuple[Sequence[Json], int]:
    found = list_approvals(connection, limit=window.limit, offset=window.offset)
    return [approval_row(item) for item in found], count_approvals(connection)


def _list_releases(connection: Connection, window: Window) -> tuple[Sequence[Json], int]:
    environment = window.query.get("environment", "")
    found = list_releases(connection, environment=environment, limit=window.limit, offset=window.offset)
    return [release_row(item) for item in found], count_releases(connection, environment=environment)


def _list_hosts(connection: Connection, window: Window) -> tuple[Sequence[Json], int]:
    environment, repository = window.query.get("environment", ""), window.query.get("repository", "")
    found = list_hosts(connection, repository=repository, environment=environment, limit=window.limit, offset=window.offset)
    return [host_row(item) for item in found], count_hosts(connection, repository=repository, environment=environment)


def _list_runs(connection: Connection, window: Window) -> tuple[Sequence[Json], int]:
    host = window.query.get("host", "")
    found = list_runs(connection, host=host, limit=window.limit, offset=window.offset)
    return [run_row(item) for item in found], count_runs(connection, host=host)


LISTS: dict[str, Lister] = {
    "plans": _list_plans,
    "pulls": _list_pulls,
    "approvals": _list_approvals,
    "releases": _list_releases,
    "hosts": _list_hosts,
    "reports": _list_runs,
    "runs": _list_runs,
}


def _number(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > DIGITS or int(text) > most:
        raise RefusedError(422, "A422", f"`{name}`: expected a whole number up to {most}, got {text[:20]!r}")
    return int(text)


def _time(moment: datetime | None) -> Json:
    return None if moment is None else format_time(moment)
