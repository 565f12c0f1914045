"""Pages of runs: the list by result, and one report."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gitops.model.codec import decode_json, format_time
from gitops.model.report import Report
from webhooks.auth.gate import Refused
from webhooks.store.runs import find_runs_named
from webhooks.ui.desk import Desk
from webhooks.ui.paging import read_page
from webhooks.ui.queries import RESULTS, count_runs_with, list_runs_with
from webhooks.ui.reportview import describe_span, view_outcomes, view_run
from webhooks.ui.visitor import admit, show

SHOWN = 50
TABS = ("", "changed", "held", "failed")


def show_runs(desk: Desk, request: Request) -> Response:
    """Answer `GET /runs`."""
    visitor = admit(desk.gate, request)
    result = request.query_params.get("result", "")
    result = result if result in RESULTS else ""
    with desk.store.read() as connection:
        page = read_page(request.query_params, count_runs_with(connection, result), keep=("result",), size=SHOWN)
        found = list_runs_with(connection, result, limit=page.size, offset=page.start)
    now = desk.now()
    values = {
        "title": "Runs",
        "section": "Runs",
        "rows": [view_run(Report.from_json(decode_json(document)), now, repository) for repository, document in found],
        "page": page,
        "result": result,
        "tabs": [((name or "all").capitalize(), f"?result={name}", name == result) for name in TABS],
    }
    return show(desk.gate, visitor, "runs.html", values)


def show_run(desk: Desk, request: Request) -> Response:
    """Answer `GET /runs/{host}/{run}`."""
    visitor = admit(desk.gate, request)
    host, run = str(request.path_params["host"]), str(request.path_params["run"])
    query = request.query_params
    with desk.store.read() as connection:
        runs = find_runs_named(connection, host, run, query.get("repository", ""), query.get("environment", ""))
    if len(runs) > 1:
        raise Refused(
            404, "A404", f"several hosts are named {host[:80]} and have a run {run[:80]}", "find it in the list of runs"
        )
    if not runs:
        raise Refused(404, "A404", f"there is no run {run[:80]} of {host[:80]}")
    report = runs[0].report
    outcomes, more = view_outcomes(report)
    values = {
        "title": f"Run {report.run}",
        "section": "Runs",
        "run": view_run(report, desk.now(), runs[0].repository),
        "report": report,
        "outcomes": outcomes,
        "more": more,
        "started": format_time(report.started),
        "took": describe_span(report),
    }
    return show(desk.gate, visitor, "run.html", values)
