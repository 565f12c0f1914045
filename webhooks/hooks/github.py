"""The door for GitHub's webhooks, in DESIGN §7's order; nothing of a delivery is looked at before its signature.

(1) size → 413, without reading it all; (2) content type → 415; (3) HMAC-SHA-256 over the raw body, in constant time → 401; (4) JSON → 400;
(5) known event and watched repository, else 202 and dropped; (6) taken once per delivery id; (7) durable rows; (8) 202.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from gitops.errors import MalformedError
from gitops.model.codec import decode_foreign
from gitops.model.limits import DEFAULTS
from webhooks.api.body import RefusedError, answer_json, need_json_type, read_body
from webhooks.hooks.hints import read_hints
from webhooks.hooks.inbox import Inbox
from webhooks.metrics import Metrics

IDENT = re.compile(r"[A-Za-z0-9-]{1,100}")
SIGNATURE = "sha256="
ACCEPTED = 202


@dataclass(frozen=True)
class GithubDoor:
    """What the door works with: the webhook's secret, the watched repositories, where deliveries go."""

    secret: str = field(repr=False)
    repositories: Collection[str]
    inbox: Inbox
    metrics: Metrics


async def take_github(door: GithubDoor, request: Request) -> Response:
    """Answer `POST /webhooks/github`."""
    body = await read_body(request, DEFAULTS.webhook_bytes)
    need_json_type(request)
    # Up to 25 MB: nobody waits for its digest or its parsing.
    payload = await run_in_threadpool(_open, door.secret, request.headers.get("x-hub-signature-256", ""), body)
    event, ident = request.headers.get("x-github-event", ""), request.headers.get("x-github-delivery", "")
    if event == "ping":
        return answer_json({"pong": True})
    if not IDENT.fullmatch(ident):
        raise RefusedError(400, "A400", "X-GitHub-Delivery is missing or odd")
    works = read_hints(event, payload, door.repositories, ident)
    outcome = "dropped" if not works else await run_in_threadpool(door.inbox.take, "github", event, ident, works)
    door.metrics.deliveries.labels("github", outcome).inc()
    return answer_json({"delivery": ident, "outcome": outcome}, ACCEPTED)


def check_signature(secret: str, given: str, body: bytes) -> None:
    """Refuse (401) a body that is not signed with the secret; without a secret nothing is."""
    expected = hmac.new(secret.encode("utf-8"), body, hashlib.sha256).hexdigest()
    is_right = hmac.compare_digest(given.encode("utf-8", "replace"), f"{SIGNATURE}{expected}".encode("ascii"))
    if not secret or not is_right:
        raise RefusedError(401, "A401", "the signature is not right", "is the webhook's secret that of the settings?")


def _open(secret: str, signature: str, body: bytes) -> object:
    check_signature(secret, signature, body)
    return _decode(body)


def _decode(body: bytes) -> object:
    try:
        return decode_foreign(body)
    except MalformedError:
        raise RefusedError(400, "A400", "the body is not JSON") from None
