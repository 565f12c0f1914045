"""Pages of runs: the list by result, and one report."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gitops.model.codec import decode_json, format_time
from gitops.model.report import Report
from webhooks.auth.gate import Refused
from webhooks.store.runs import find_run
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
        documents = list_runs_with(connection, result, limit=page.size, offset=page.start)
    now = desk.now()
    values = {
        "title": "Runs",
        "section": "Runs",
        "rows": [view_run(Report.from_json(decode_json(document)), now) for document in documents],
        "page": page,
        "result": result,
        "tabs": [((name or "all").capitalize(), f"?result={name}", name == result) for name in TABS],
    }
    return show(desk.gate, visitor, "runs.html", values)


def show_run(desk: Desk, request: Request) -> Response:
    """Answer `GET /runs/{host}/{run}`."""
    visitor = admit(desk.gate, request)
    host, run = str(request.path_params["host"]), str(request.path_params["run"])
    with desk.store.read() as connection:
        found = find_run(connection, host, run)
    if found is None:
        raise Refused(404, "A404", f"there is no run {run[:80]} of {host[:80]}")
    report = found.report
    outcomes, more = view_outcomes(report)
    values = {
        "title": f"Run {report.run}",
        "section": "Runs",
        "run": view_run(report, desk.now()),
        "report": report,
        "outcomes": outcomes,
        "more": more,
        "started": format_time(report.started),
        "took": describe_span(report),
    }
    return show(desk.gate, visitor, "run.html", values)
