"""Who may read the lists: the administrator's token, or somebody logged in to the pages. Compared in constant time."""

from __future__ import annotations

import hmac

from starlette.requests import Request

from webhooks.api.body import RefusedError
from webhooks.auth.gate import Gate, find_session

BEARER = "Bearer "


def admit_reader(gate: Gate, admin_token: str, request: Request) -> None:
    """Let an administrator or a logged-in user pass; RefusedError 401 otherwise."""
    if is_admin(admin_token, request) or find_session(gate, request).user:
        return
    raise RefusedError(401, "A401", "this needs a login or the administrator's token", "Authorization: Bearer GITOPS_ADMIN_TOKEN")


def admit_admin(admin_token: str, request: Request) -> None:
    """Let the administrator pass; RefusedError 401 otherwise. Without a token in the settings there is none."""
    if not is_admin(admin_token, request):
        raise RefusedError(401, "A401", "this needs the administrator's token", "Authorization: Bearer GITOPS_ADMIN_TOKEN")


def is_admin(admin_token: str, request: Request) -> bool:
    """Say whether a request bears the administrator's token."""
    given = request.headers.get("authorization", "")
    is_right = hmac.compare_digest(given.encode("utf-8", "replace"), f"{BEARER}{admin_token}".encode())
    return is_right and bool(admin_token)
