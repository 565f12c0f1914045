"""Visitor: one request's session, user and what every page shows of them. The one place where pages ask the gate.

Takes a Gate and a request; gives a Visitor, or Refused. Reading needs a user once the settings name any; without users the pages are
read-only and answer only the user who runs the service, on this machine (`webhooks.auth.peer`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from webhooks.auth.gate import Gate, Refused, check_form, find_session, keep_session, token_of
from webhooks.auth.peer import why_not_own
from webhooks.auth.session import Session
from webhooks.auth.users import User
from webhooks.ui.pages import HEADERS, render_page

FORM_BYTES = 64 * 1024
FORM_FIELDS = 20


@dataclass(frozen=True)
class Visitor:
    """Who looks at a page; `user` is None for somebody who has not logged in."""

    session: Session
    user: User | None
    token: str
    has_users: bool

    @property
    def name(self) -> str:
        """The user's name, or an empty text."""
        return "" if self.user is None else self.user.name


class LoginNeededError(Exception):
    """Send the browser to the login page, and back afterwards."""

    def __init__(self, next_address: str) -> None:
        super().__init__(next_address)
        self.address = "/login?" + urlencode({"next": next_address})


def greet(gate: Gate, request: Request) -> Visitor:
    """Give the visitor of any page, logged in or not."""
    session = find_session(gate, request)
    return Visitor(session, gate.users.find(session.user), token_of(gate, session), bool(gate.users.by_name))


def admit(gate: Gate, request: Request) -> Visitor:
    """Give a visitor who may read; raise LoginNeededError or Refused (403)."""
    visitor = greet(gate, request)
    if visitor.user is None and visitor.has_users:
        is_reading = request.method in ("GET", "HEAD")
        raise LoginNeededError(here(request) if is_reading else "/")
    reason = "" if visitor.user is not None else why_not_own(request, gate.address, gate.find_owner)
    if reason:
        message = f"without users these pages are only for the one who runs the service, on this machine: {reason}"
        raise Refused(403, "A403", message, "name users in the settings file")
    return visitor


async def read_form(gate: Gate, request: Request, visitor: Visitor) -> Mapping[str, str]:
    """Read a small form that this visitor's own page sent; raise Refused (403, 413, 415)."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise Refused(415, "A415", "expected a form")
    size = request.headers.get("content-length", "")
    if not size.isdigit() or int(size) > FORM_BYTES:
        raise Refused(413, "A413", f"a form has at most {FORM_BYTES} bytes and says how many")
    async with request.form(max_files=0, max_fields=FORM_FIELDS) as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
    check_form(gate, request, visitor.session, fields.get("token", ""))
    return fields


def show(gate: Gate, visitor: Visitor, template: str, values: Mapping[str, object], *, status: int = 200) -> Response:
    """Give a page with what all pages show; `values` has `title` and `section`, and may have `refresh` (seconds)."""
    common = {"user": visitor.name, "token": visitor.token, "has_users": visitor.has_users, "refresh": 0}
    response = render_page(template, {**common, **values}, status=status)
    keep_session(gate, response, visitor.session)
    return response


def show_message(gate: Gate, visitor: Visitor, refused: Refused, *, back: str = "/", back_text: str = "Back") -> Response:
    """Give a page that says why not and what to do."""
    heading = {404: "Not found", 403: "Not allowed", 409: "Not now", 429: "Too many attempts"}.get(refused.status, "Not done")
    values = {
        "title": heading,
        "section": "",
        "heading": heading,
        "text": refused.message,
        "hint": refused.hint,
        "back": back,
        "back_text": back_text,
    }
    return show(gate, visitor, "message.html", values, status=refused.status)


def send_to(address: str) -> Response:
    """Redirect to a page of ours after a form (303)."""
    return RedirectResponse(address, status_code=303, headers=dict(HEADERS))


def here(request: Request) -> str:
    """Give the address of a request without its host."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def own_address(text: str) -> str:
    """Give an address if it is one of ours, else `/`: no other host, no scheme, no trick with slashes."""
    parts = urlsplit(text)
    is_ours = text.startswith("/") and not text.startswith("//") and "\\" not in text and not parts.netloc and not parts.scheme
    return text if is_ours and text.isprintable() else "/"
