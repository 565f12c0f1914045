"""Around every request: safe headers on every answer, errors as JSON, one line in the log that holds no secret.

An error of ours becomes its status; a bug becomes 500 without details, which are in the log. Paths are logged, query strings, headers and
bodies are not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gitops.errors import ConfigError, HeldError, RemoteError, TrueupError
from gitops.render.escape import escape_terminal
from webhooks.api.body import RefusedError, answer_error, answer_json

LOG = logging.getLogger("trueup.http")
HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
QUIET = ("/healthz", "/readyz", "/metrics", "/static/")
SHOWN = 200


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with all of the above."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_safely)
        path = str(scope["path"])
        if not path.startswith(QUIET):
            spent = (time.monotonic() - began) * 1000
            LOG.info("%s %s %d %.0fms", scope["method"], escape_terminal(path[:SHOWN]), status, spent)


async def answer_refused(_request: Request, error: Exception) -> Response:
    """Answer what was refused on purpose."""
    if not isinstance(error, RefusedError):
        raise error
    return answer_error(error)


async def answer_trouble(_request: Request, error: Exception) -> Response:
    """Answer an error of the tree with the status that says who must act."""
    if not isinstance(error, TrueupError):
        raise error
    statuses: tuple[tuple[type[TrueupError], int], ...] = ((HeldError, 409), (RemoteError, 502), (ConfigError, 422))
    status = next((status for kind, status in statuses if isinstance(error, kind)), 500)
    return answer_error(error, status)


async def answer_bug(_request: Request, error: Exception) -> Response:
    """Answer a bug: nothing of it leaves the log."""
    LOG.error("a request failed", exc_info=error)
    return answer_json({"error": {"code": "B000", "message": "a bug in this program; its log says more", "hint": ""}}, 500)
