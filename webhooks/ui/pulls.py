"""Pages of pull requests: the list, one with its plan, and what its two buttons do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from gitops.errors import HeldError
from gitops.model.codec import is_digest
from gitops.render.words import count_words
from webhooks.auth.gate import Refused
from webhooks.records import PullKey, PullRecord, ReleaseRecord
from webhooks.store.approvals import list_approvals_of
from webhooks.store.plans import list_current_plans, list_plans_of
from webhooks.store.pulls import count_pulls, find_pull, list_pulls
from webhooks.store.remarks import list_remarks, list_statuses
from webhooks.ui.desk import PullDesk
from webhooks.ui.paging import read_page
from webhooks.ui.pullview import (
    LOCAL,
    PlanPart,
    PullHead,
    Standing,
    head_pull,
    stand,
    view_activity,
    view_checks,
    view_merge,
    view_notes,
    view_part,
)
from webhooks.ui.queries import STUCK, list_releases_from
from webhooks.ui.visitor import Visitor, admit, read_form, send_to, show

SHOWN = 30
GROUPS = 100
TABS = (("Open", "open"), ("Merged", "merged"), ("Closed", "closed"), ("All", ""))
EMPTY = {
    "open": "No open pull request",
    "merged": "Nothing was merged yet",
    "closed": "None was closed",
    "": "No pull request yet",
}
MESSAGES: Mapping[str, tuple[str, str]] = {
    "approved": ("Your approval counts.", "good"),
    "asked": ("Your approval is being checked; load the page again in a moment.", "calm"),
    "taken-back": ("Your approval is taken back.", "good"),
    "merged": ("Merged. The release is being made.", "good"),
}
PLANNING_SECONDS = 2


def show_pulls(desk: PullDesk, request: Request) -> Response:
    """Answer `GET /pulls`."""
    visitor = admit(desk.gate, request)
    state = request.query_params.get("state", "open")
    state = state if any(state == known for _, known in TABS) else ""
    with desk.store.read() as connection:
        page = read_page(request.query_params, count_pulls(connection, state=state), keep=("state",), size=SHOWN)
        pulls = list_pulls(connection, state=state, limit=page.size, offset=page.start)
        rows = [_view_row(pull, _standings(connection, pull), desk) for pull in pulls]
    refused: Mapping[str, str] = {} if desk.reviews is None else desk.reviews.list_refused()
    values = {
        "title": "Pull requests",
        "section": "Pulls",
        "tabs": [(name, f"?state={known}", known == state) for name, known in TABS],
        "rows": rows,
        "page": page,
        "empty": EMPTY[state],
        "push": desk.clone,
        "refused": refused,
    }
    return show(desk.gate, visitor, "pulls.html", values)


def show_pull(desk: PullDesk, request: Request) -> Response:
    """Answer `GET /pulls/{repository}/{name}`."""
    visitor = admit(desk.gate, request)
    return _render_pull(desk, request, visitor, *MESSAGES.get(request.query_params.get("done", ""), ("", "")))


async def approve_pull(desk: PullDesk, request: Request) -> Response:
    """Answer `POST …/approve`: a remark of this user that approves exactly the change digest of the form."""
    visitor = admit(desk.gate, request)
    form = await read_form(desk.gate, request, visitor)
    key, digest = _key_of(desk, request), form.get("change_digest", "")
    if desk.reviews is None or visitor.user is None or not is_digest(digest):
        raise Refused(403, "A403", "this needs a user, a pull request here and a whole change digest")
    try:
        done = await run_in_threadpool(desk.reviews.approve, key, visitor.user, digest)
    except HeldError as held:
        return await run_in_threadpool(_render_pull, desk, request, visitor, _sentence(held), "bad")
    return send_to(f"{key.path}?done={done}")


async def take_back_pull(desk: PullDesk, request: Request) -> Response:
    """Answer `POST …/unapprove`: take back every yes of this user."""
    visitor = admit(desk.gate, request)
    await read_form(desk.gate, request, visitor)
    key = _key_of(desk, request)
    if desk.reviews is None or visitor.user is None:
        raise Refused(403, "A403", "this needs a user and a pull request here")
    try:
        done = await run_in_threadpool(desk.reviews.take_back, key, visitor.user)
    except HeldError as held:
        return await run_in_threadpool(_render_pull, desk, request, visitor, _sentence(held), "bad")
    return send_to(f"{key.path}?done={done}")


async def merge_pull(desk: PullDesk, request: Request) -> Response:
    """Answer `POST …/merge`: merge what the user saw and enough people approved."""
    visitor = admit(desk.gate, request)
    form = await read_form(desk.gate, request, visitor)
    key = _key_of(desk, request)
    if desk.reviews is None or visitor.user is None:
        raise Refused(403, "A403", "this needs a user and a pull request here")
    try:
        await run_in_threadpool(desk.reviews.merge, key, visitor.user, form.get("head", ""))
    except HeldError as held:
        return await run_in_threadpool(_render_pull, desk, request, visitor, _sentence(held), "bad")
    return send_to(f"{key.path}?done=merged")


def _render_pull(desk: PullDesk, request: Request, visitor: Visitor, message: str, tone: str) -> Response:
    key, now = _key_of(desk, request), desk.now()
    with desk.store.read() as connection:
        pull = find_pull(connection, key)
        if pull is None:
            raise Refused(404, "A404", f"there is no pull request {key.name[:80]}", "it may have another name")
        standings = _standings(connection, pull)
        approvals = list_approvals_of(connection, key)
        plans, remarks = list_plans_of(connection, key), list_remarks(connection, key)
        statuses = list_statuses(connection, key.repository, pull.head)
        releases = list_releases_from(connection, key.repository, pull.merged) if pull.merged else ()
    parts = [_part(pull, standing, visitor, desk, request) for standing in standings]
    head = head_pull(pull, standings, now)
    is_moving = head.state == "planning" or _is_being_released(
        pull, releases, is_asked=request.query_params.get("done") == "merged"
    )
    values = {
        "title": f"{head.title} ({head.name})",
        "section": "Pulls",
        "refresh": PLANNING_SECONDS if is_moving and request.method == "GET" else 0,
        "pull": head,
        "message": message,
        "message_tone": tone,
        "notes": view_notes(pull, releases, standings),
        "diagnostics": pull.diagnostics,
        "diagnostics_heading": _count_mistakes(pull),
        "parts": parts,
        "open_diffs": sum(len(part.plan.groups) for part in parts) <= GROUPS // 10,
        "is_local": key.repository == LOCAL and desk.reviews is not None,
        "merge": view_merge(pull, standings, visitor.user),
        "checks": view_checks(statuses),
        "activity": view_activity(pull, plans, approvals, remarks, now),
    }
    return show(desk.gate, visitor, "pull.html", values, status=409 if tone == "bad" else 200)


def _is_being_released(pull: PullRecord, releases: Sequence[ReleaseRecord], *, is_asked: bool) -> bool:
    """Say whether what was merged (or, when somebody just asked for it, will be in a moment) is on its way to a release."""
    is_stuck = any(item.state in STUCK for item in releases)
    return not pull.is_settled and not is_stuck and (pull.state == "merged" or (pull.state == "open" and is_asked))


def _part(pull: PullRecord, standing: Standing, visitor: Visitor, desk: PullDesk, request: Request) -> PlanPart:
    groups = len(standing.plan.plan.groups)
    page = read_page(request.query_params, groups, size=GROUPS) if groups > GROUPS else None
    return view_part(pull, standing, visitor.user, desk.now(), page)


def _standings(connection: Connection, pull: PullRecord) -> list[Standing]:
    plans = list_current_plans(connection, pull.key)
    if not plans:
        return []
    approvals = list_approvals_of(connection, pull.key)
    return [stand(plan, approvals, is_merged=pull.state == "merged") for plan in plans]


def _view_row(pull: PullRecord, standings: list[Standing], desk: PullDesk) -> Mapping[str, object]:
    head: PullHead = head_pull(pull, standings, desk.now())
    counted = [item for item in standings if item.brief.has_changes and item.plan.required]
    return {
        **vars(head),
        "plans": [{"environment": item.plan.environment, "risk": item.brief.risk} for item in standings],
        "approvals": ", ".join(f"{len(item.given)} of {item.plan.required}" for item in counted),
    }


def _key_of(desk: PullDesk, request: Request) -> PullKey:
    """Read the path: what follows `local/` is a branch's name with its slashes, elsewhere the last part is the number."""
    repository, name = str(request.path_params["repository"]), str(request.path_params["name"])
    if desk.reviews is not None and repository.startswith(f"{LOCAL}/"):
        return PullKey(LOCAL, f"{repository.removeprefix(f'{LOCAL}/')}/{name}")
    return PullKey(repository, name)


def _count_mistakes(pull: PullRecord) -> str:
    errors = sum(1 for item in pull.diagnostics if item.severity == "error")
    return count_words(errors, "mistake") + " in the config" if errors else count_words(len(pull.diagnostics), "warning")


def _sentence(held: HeldError) -> str:
    text = f"{held.message}; {held.hint}" if held.hint else held.message
    return text[0].upper() + text[1:] + "."
