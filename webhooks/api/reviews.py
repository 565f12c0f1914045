"""The API of the `local` forge for programs: what the pages' buttons do, with HTTP Basic authorization of a user of the settings.

`POST /api/v1/pulls/{name}/approve` `{"change_digest": "<64 hex>"}` → 200 `{"result": "approved"}` or 202 `{"result": "asked"}`;
`POST /api/v1/pulls/{name}/unapprove` `{}` → 200 `{"result": "taken-back"}` or 202 `{"result": "asked"}`;
`POST /api/v1/pulls/{name}/merge` `{"head": "<commit>"}` → 200 `{"commit": …}`; `POST /api/v1/pulls/refresh` `{}` → 202. What may not be
done now is 409 with the reason. Errors are `{"error": {"code", "message", "hint"}}`. Cookies do not count here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gitops.errors import HeldError, MalformedError
from gitops.model.codec import decode_json, is_digest
from gitops.model.fields import Fields
from webhooks.auth.gate import Gate, Refused, authenticate
from webhooks.auth.users import User
from webhooks.forges.local.forge import NAME as LOCAL
from webhooks.records import PullKey
from webhooks.reviews import Reviews

BODY_BYTES = 64 * 1024
ASKED = "asked"
Doer = Callable[[Reviews, User, Request], Awaitable[Response]]


def make_local_api(gate: Gate, reviews: Reviews | None) -> list[BaseRoute]:
    """Give the routes; without a `local` forge they answer 404."""
    return [
        Route("/api/v1/pulls/refresh", _bind(gate, reviews, _refresh), methods=["POST"]),
        Route("/api/v1/pulls/{name:path}/approve", _bind(gate, reviews, _approve), methods=["POST"]),
        Route("/api/v1/pulls/{name:path}/unapprove", _bind(gate, reviews, _take_back), methods=["POST"]),
        Route("/api/v1/pulls/{name:path}/merge", _bind(gate, reviews, _merge), methods=["POST"]),
    ]


async def _approve(reviews: Reviews, user: User, request: Request) -> Response:
    fields = await _read_body(request)
    digest = fields.text("change_digest")
    fields.done()
    if not is_digest(digest):
        raise Refused(422, "A422", "`change_digest` is all 64 hex digits", "short digests are for reading only")
    done = await run_in_threadpool(reviews.approve, _key_of(request), user, digest)
    return JSONResponse({"result": done}, status_code=202 if done == ASKED else 200)


async def _take_back(reviews: Reviews, user: User, request: Request) -> Response:
    (await _read_body(request)).done()
    done = await run_in_threadpool(reviews.take_back, _key_of(request), user)
    return JSONResponse({"result": done}, status_code=202 if done == ASKED else 200)


async def _merge(reviews: Reviews, user: User, request: Request) -> Response:
    fields = await _read_body(request)
    head = fields.text("head")
    fields.done()
    commit = await run_in_threadpool(reviews.merge, _key_of(request), user, head)
    return JSONResponse({"result": "merged", "commit": commit})


async def _refresh(reviews: Reviews, _user: User, _request: Request) -> Response:
    await run_in_threadpool(reviews.refresh)
    return JSONResponse({"result": "looked"}, status_code=202)


def _bind(gate: Gate, reviews: Reviews | None, act: Doer) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            if reviews is None:
                raise Refused(404, "A404", "there is no `local` forge here", "start the service with --repo PATH")
            return await act(reviews, await authenticate(gate, request), request)
        except Refused as refused:
            return _error(refused.status, refused.code, refused.message, refused.hint)
        except HeldError as held:
            return _error(409, held.code, held.message, held.hint)
        except MalformedError as malformed:
            return _error(422, malformed.code, malformed.message, malformed.hint)

    return answer


async def _read_body(request: Request) -> Fields:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > BODY_BYTES:
            raise Refused(413, "A413", f"a body has at most {BODY_BYTES} bytes")
    return Fields(decode_json(bytes(data)), "body")


def _key_of(request: Request) -> PullKey:
    return PullKey(LOCAL, str(request.path_params["name"]))


def _error(status: int, code: str, message: str, hint: str) -> Response:
    headers = {"www-authenticate": 'Basic realm="trueup", charset="UTF-8"'} if status == 401 else {}  # noqa: PLR2004  RFC 9110 asks for it
    return JSONResponse({"error": {"code": code, "message": message, "hint": hint}}, status_code=status, headers=headers)
