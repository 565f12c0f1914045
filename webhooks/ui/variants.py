"""The page of one change that differs from host to host: its variants, a stretch of them at a time, or that of one host.

Reads the plan, the index and the chunks that the stretch stands in, never the whole.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gitops.model.codec import is_digest
from gitops.model.fleetplan import FleetPlan
from gitops.model.plan import Change
from gitops.model.variants import VariantIndex, read_index, read_variants
from gitops.render.words import name_hosts
from webhooks.auth.gate import Refused
from webhooks.records import PlanRecord
from webhooks.store.plans import find_plan
from webhooks.ui.desk import PullDesk
from webhooks.ui.paging import read_page
from webhooks.ui.planview import view_change
from webhooks.ui.visitor import admit, show

SHOWN = 20
LONGEST = 10  # digits of a plan's number


def show_variants(desk: PullDesk, request: Request) -> Response:
    """Answer `GET /plans/{plan}/variants/{index}`; `host` asks for that host's."""
    visitor = admit(desk.gate, request)
    record, change = _find(desk, str(request.path_params["plan"]), str(request.path_params["index"]))
    index = read_index(str(request.path_params["index"]), record.read)
    host = request.query_params.get("host", "").strip()
    place = index.find_place(host) if host else None
    page = read_page(request.query_params, 1 if host else len(index.hosts), size=SHOWN)
    places = range(page.start, page.end)
    if host:
        places = range(0) if place is None else range(place, place + 1)
    values = {
        "title": f"{change.address} in {record.environment}",
        "section": "Pulls",
        "pull": record.pull,
        "environment": record.environment,
        "change": view_change(change),
        "count": len(index.hosts),
        "host": host,
        "rows": _view(index, change, record, places),
        "page": page,
    }
    return show(desk.gate, visitor, "variants.html", values)


def _find(desk: PullDesk, plan: str, index: str) -> tuple[PlanRecord, Change]:
    is_number = plan.isascii() and plan.isdigit() and len(plan) <= LONGEST
    if is_number and is_digest(index):
        with desk.store.read() as connection:
            record = find_plan(connection, int(plan))
        change = None if record is None else _find_change(record.plan, index)
        if record is not None and change is not None:
            return record, change
    raise Refused(404, "A404", "there is no such change", "the plan may have been made again: look at the pull request")


def _find_change(plan: FleetPlan, index: str) -> Change | None:
    groups = (*plan.groups, *plan.silent, *plan.reported)
    changes = (change for group in groups for change in group.changes)
    return next((change for change in changes if change.differs is not None and change.differs.index == index), None)


def _view(index: VariantIndex, change: Change, record: PlanRecord, places: range) -> list[dict[str, object]]:
    return [
        {"title": name_hosts(item.hosts), "hosts": item.hosts, "change": view_change(item.apply_to(change))}
        for item in read_variants(index, places, record.read)
    ]
