"""Log in and out: the two forms, and what follows them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from webhooks.auth.gate import Gate, Refused, begin_session, end_session, keep_session, log_in
from webhooks.ui.visitor import Visitor, greet, own_address, read_form, send_to, show


async def show_login(gate: Gate, request: Request) -> Response:
    """Answer `GET /login`; who is logged in already goes on."""
    visitor = greet(gate, request)
    wanted = own_address(request.query_params.get("next", "/"))
    if visitor.user is not None:
        return send_to(wanted)
    return _form(gate, visitor, wanted)


async def do_login(gate: Gate, request: Request) -> Response:
    """Answer `POST /login`: a new session under a new id, or the form again."""
    visitor = greet(gate, request)
    try:
        form = await read_form(gate, request, visitor)
    except Refused as refused:
        return _form(
            gate,
            visitor,
            "/",
            error=f"{refused.message}; {refused.hint}" if refused.hint else refused.message,
            status=refused.status,
        )
    wanted, name = own_address(form.get("next", "/")), form.get("name", "").strip().lower()
    try:
        user = await log_in(gate, request, name, form.get("password", ""))
    except Refused as refused:
        error = f"{refused.message}; {refused.hint}" if refused.hint else refused.message
        return _form(gate, visitor, wanted, name=name, error=error, status=refused.status)
    response = send_to(wanted)
    keep_session(gate, response, begin_session(gate, user))
    return response


async def do_logout(gate: Gate, request: Request) -> Response:
    """Answer `POST /logout`: the session is over, also where its cookie was copied to."""
    visitor = greet(gate, request)
    await read_form(gate, request, visitor)
    response = send_to("/login" if visitor.has_users else "/")
    keep_session(gate, response, end_session(gate, visitor.session))
    return response


def _form(gate: Gate, visitor: Visitor, wanted: str, *, name: str = "", error: str = "", status: int = 200) -> Response:
    if error:
        error = error[0].upper() + error[1:] + "."
    values = {"title": "Log in", "section": "Log in", "next": wanted, "name": name[:64], "error": error}
    return show(gate, visitor, "login.html", values, status=status)
