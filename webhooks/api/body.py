"""Bodies and answers of the API: read within a bound, answered as JSON with an error object of one form."""

from __future__ import annotations

import asyncio
import json

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gitops.errors import TrueupError
from gitops.model.codec import Json

TYPE = "application/json"
BODY_SECONDS = 30.0
TOO_LARGE, TOO_SLOW, BAD = 413, 408, 400


class RefusedError(Exception):
    """Answer with this status and error object."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.hint = status, code, message, hint


async def read_body(request: Request, most: int, seconds: float = BODY_SECONDS) -> bytes:
    """Give the whole body; RefusedError 413 as soon as it is known to be longer than `most`, 408 when it comes too slowly."""
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > most:
        raise RefusedError(TOO_LARGE, "A413", f"the body has {int(length)} bytes, at most {most} are taken")
    try:
        async with asyncio.timeout(seconds):
            return await _read(request, most)
    except TimeoutError:
        raise RefusedError(TOO_SLOW, "A408", f"the body did not come within {seconds:g} s") from None
    except ClientDisconnect:
        raise RefusedError(BAD, "A400", "the body ended early") from None


def need_json_type(request: Request) -> None:
    """Refuse (415) a body that does not say it is JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != TYPE:
        raise RefusedError(415, "A415", f"expected {TYPE}, got {kind[:80] or 'no content type'}")


def answer_json(value: Json, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Give a JSON answer."""
    return Response(json.dumps(value, ensure_ascii=False), status, headers, TYPE)


def answer_error(error: RefusedError | TrueupError, status: int = 0) -> Response:
    """Give `{"error": {code, message, hint}}`."""
    found = error.status if isinstance(error, RefusedError) else status
    headers = {"www-authenticate": "Bearer"} if found == 401 else {}  # noqa: PLR2004  RFC 9110 wants it there
    return answer_json({"error": {"code": error.code, "message": error.message, "hint": error.hint}}, found, headers)


async def _read(request: Request, most: int) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise RefusedError(TOO_LARGE, "A413", f"the body is longer than {most} bytes")
    return bytes(data)
