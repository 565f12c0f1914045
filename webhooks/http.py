"""The one door to HTTP servers: bounded in time and bytes, tried again where that is safe, never following redirects.

Takes a base URL and headers once; gives Answers with decoded JSON. A server that cannot be reached or fails is RemoteError (R200), one
that asks to come back later is LaterError. Statuses below 500 are given back: what they mean is the caller's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

import httpx

from gitops import __version__
from gitops.errors import MalformedError, RemoteError
from gitops.model.codec import decode_foreign
from gitops.model.limits import DEFAULTS
from webhooks.errors import LaterError

SAFE = ("GET", "PUT", "PATCH")
ATTEMPTS = 3
FIRST_PAUSE = 0.5
LONGEST_WAIT = 3600.0
FORBIDDEN, NOT_FOUND, TOO_MANY, SERVER_ERROR = 403, 404, 429, 500
MOVED = (301, 302, 307, 308)
SHOWN = 200
PAGES = 100


@dataclass(frozen=True)
class Answer:
    """A status below 500, the decoded body (None when empty or not JSON), and the address of the next page."""

    status: int
    body: Any = None
    next: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def is_good(self) -> bool:
        """Say whether the status is any 2xx (FACTS §5)."""
        return 200 <= self.status < 300  # noqa: PLR2004  the range of RFC 9110


class JsonClient:
    """A client of one server."""

    def __init__(
        self,
        base: str,
        headers: Mapping[str, str],
        *,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._base = base.rstrip("/")
        self._sleep = sleep
        self._now = now
        self._client = httpx.Client(
            headers={"User-Agent": f"trueup/{__version__}", "Accept": "application/json", **headers},
            timeout=DEFAULTS.http_seconds,
            follow_redirects=False,
            transport=transport,
            trust_env=False,
        )

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def ask(self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None) -> Answer:
        """Send a request and give the answer; a GET, PUT or PATCH is tried again when the server fails."""
        url = path if path.startswith(self._base + "/") else self._base + path
        attempts = ATTEMPTS if method in SAFE else 1
        for attempt in range(1, attempts + 1):
            try:
                return self._ask_once(method, url, query, body)
            except LaterError:
                raise
            except RemoteError:
                if attempt == attempts:
                    raise
                self._sleep(FIRST_PAUSE * 2 ** (attempt - 1))
        raise RemoteError(f"no answer to {method} {path}", code="R200")

    def ask_pages(self, path: str, query: Mapping[str, str] | None = None) -> list[Any] | None:
        """Give all items of a paged list; None when it is not offered (404).

        Follows the Link headers, on this server only. A server that sends none is asked for the next number while pages are full: what
        stands on a later page may take back what stands on this one.
        """
        found: list[Any] = []
        query, size, number = query or {}, int((query or {}).get("per_page", "0")), 1
        answer = self.ask("GET", path, query=query)
        for _ in range(PAGES):
            if answer.status == NOT_FOUND:
                return None
            rows = _rows_of(answer, path)
            found.extend(rows)
            if answer.next:
                number = 0
                answer = self.ask("GET", self._need_own(answer.next, path))
            elif number and size and len(rows) >= size:
                number += 1
                answer = self.ask("GET", path, query={**query, "page": str(number)})
            else:
                return found
        raise RemoteError(f"{path} has more than {PAGES} pages", code="R203")

    def _need_own(self, url: str, path: str) -> str:
        if urlsplit(url)[:2] != urlsplit(self._base)[:2]:
            raise RemoteError(f"{path}: the next page is on another server", code="R203")
        return url

    def _ask_once(self, method: str, url: str, query: Mapping[str, str] | None, body: Any) -> Answer:
        data = bytearray()
        try:
            with self._client.stream(method, url, params=query, json=body) as got:
                for chunk in got.iter_bytes():
                    data += chunk
                    if len(data) > DEFAULTS.http_bytes:
                        raise RemoteError(f"the answer to {method} {_path(url)} is too long", code="R203")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RemoteError(
                f"{method} {_path(url)}: {type(error).__name__}: {str(error)[:SHOWN]}",
                code="R200",
                hint="is the forge's address right, and reachable?",
            ) from error
        self._refuse_later(got, method, url)
        if got.status_code >= SERVER_ERROR:
            raise RemoteError(f"{method} {_path(url)}: the forge answered {got.status_code}", code="R200")
        return Answer(got.status_code, _decode(bytes(data)), _next_of(got, url), dict(got.headers))

    def _refuse_later(self, got: httpx.Response, method: str, url: str) -> None:
        """Raise LaterError for a rate limit: 429, or 403 with what GitHub sends then; also 503 that names a time."""
        headers = got.headers
        is_limit = got.status_code == FORBIDDEN and ("retry-after" in headers or headers.get("x-ratelimit-remaining") == "0")
        if got.status_code == TOO_MANY or is_limit or (got.status_code >= SERVER_ERROR and "retry-after" in headers):
            message = f"{method} {_path(url)}: the forge asks to come back later ({got.status_code})"
            raise LaterError(message, min(LONGEST_WAIT, self._wait_of(headers)))

    def _wait_of(self, headers: httpx.Headers) -> float:
        after = headers.get("retry-after", "")
        if after.isascii() and after.isdigit():
            return float(after)
        reset = headers.get("x-ratelimit-reset", "")
        return max(1.0, float(reset) - self._now()) if reset.isascii() and reset.isdigit() else 60.0


def _rows_of(answer: Answer, path: str) -> list[Any]:
    body: Any = answer.body
    if not answer.is_good or not isinstance(body, list):
        raise refuse(answer, path)
    return cast("list[Any]", body)


def refuse(answer: Answer, what: str) -> RemoteError:
    """Make the error for an answer that is not what was asked for."""
    body: Any = answer.body
    said = str(cast("dict[str, Any]", body).get("message", ""))[:SHOWN] if isinstance(body, dict) else ""
    hint = "check the token and its rights" if answer.status in (401, 403, 404) else ""
    if answer.status in MOVED:
        hint = "it has another name or address now: put that into the settings"
    return RemoteError(f"{what}: the forge answered {answer.status} {said}".rstrip(), code="R201", hint=hint)


def _decode(data: bytes) -> Any:
    if not data:
        return None
    try:
        return decode_foreign(data)
    except MalformedError:
        return None


def _next_of(got: httpx.Response, url: str) -> str:
    found = got.links.get("next", {}).get("url", "")
    return urljoin(url, found) if found else ""


def _path(url: str) -> str:
    return urlsplit(url).path
