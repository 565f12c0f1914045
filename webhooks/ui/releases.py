"""The page of releases: what was signed, from which commit, approved by whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from gitops.render.words import describe_age
from webhooks.records import PullKey, ReleaseRecord
from webhooks.ui.desk import ReleaseDesk
from webhooks.ui.paging import read_page
from webhooks.ui.pullview import LOCAL
from webhooks.ui.queries import (
    count_released,
    list_environments,
    list_released,
    list_stuck,
    name_approvers,
    name_merged_pulls,
    read_latest_serials,
)
from webhooks.ui.visitor import admit, show

SHOWN = 30
STUCK_TONES: Mapping[str, str] = {"held": "warn", "failed": "bad", "waiting": "calm"}


def show_releases(desk: ReleaseDesk, request: Request) -> Response:
    """Answer `GET /releases`."""
    visitor = admit(desk.gate, request)
    with desk.store.read() as connection:
        environments = list_environments(connection)
        asked = request.query_params.get("environment", "")
        environment = asked if asked in environments else ""
        page = read_page(request.query_params, count_released(connection, environment), keep=("environment",), size=SHOWN)
        found = list_released(connection, environment, limit=page.size, offset=page.start)
        approvers = [name_approvers(connection, item.repository, item.environment, item.serial) for item in found]
        latest = read_latest_serials(connection)
        stuck = list_stuck(connection)
        merged = name_merged_pulls(connection, [item.source for item in found])
    found = [replace(item, pull=item.pull or merged.get((item.repository, item.source), "")) for item in found]
    rows = [_view_row(item, names, latest, desk) for item, names in zip(found, approvers, strict=True)]
    tabs = [("All", "/releases", not environment)]
    tabs += [(name, f"?environment={name}", name == environment) for name in environments]
    values = {
        "title": "Releases",
        "section": "Releases",
        "stuck": [{**vars(item), "tone": STUCK_TONES[item.state]} for item in stuck],
        "rows": rows,
        "page": page,
        "tabs": tabs if len(environments) > 1 else (),
    }
    return show(desk.gate, visitor, "releases.html", values)


def _view_row(
    item: ReleaseRecord, approvers: Sequence[str], latest: Mapping[tuple[str, str], int], desk: ReleaseDesk
) -> Mapping[str, object]:
    is_local = item.repository == LOCAL
    return {
        **vars(item),
        "repository": "" if is_local else item.repository,
        "pull": (f"pr/{item.pull}" if is_local else f"#{item.pull}") if item.pull else "",
        "pull_href": PullKey(item.repository, item.pull).path,
        "approvers": approvers,
        "is_latest": item.serial == latest.get((item.repository, item.environment)),
        "key": desk.key_of(item),
        "age": f"{describe_age(item.at, desk.now())} ago",
    }
