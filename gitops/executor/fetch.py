"""Bring one content from the network into a file, resuming what was begun, and believe it only when it has its digest.

Only http and https, redirects too; from https never back to http. What was received stays beside its place when the connection breaks, so
that the next try, or the next run, goes on there: a wrong beginning is found by the digest and begun anew. Proxies are those of the
environment of whoever runs the executor. The time is bounded as a whole by who calls (`gitops.executor.bounded`): a server that gives a
byte a second, of its headers even, would outlive any look at the clock between reads. Imported only by a run that fetches something.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from http.client import HTTPException
from typing import IO, Any, Mapping, Optional
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener, getproxies_environment

from gitops.errors import HostError
from gitops.executor.durable import write_all
from gitops.executor.tree import hash_parts
from gitops.model.limits import DEFAULTS

CHUNK = 1 << 18
ATTEMPTS = 5
PAUSE = 0.2
FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
HEADERS = {"User-Agent": "trueup", "Accept-Encoding": "identity"}
TOO_MANY, FIRST_OF_SERVERS, PARTIAL, NOT_THAT_RANGE = 429, 500, 206, 416


@dataclass(frozen=True)
class Wanted:
    """What to fetch: where it is, the SHA-256 that it must have, and how many seconds that may take in all."""

    url: str
    digest: str
    seconds: float


class _Redirects(HTTPRedirectHandler):
    def redirect_request(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str) -> Optional[Request]:
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in ("http", "https") or (old == "https" and new != "https"):
            raise HostError(f"{req.full_url} redirects to {new or 'nowhere'}, which is not followed", code="E320")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(wanted: Wanted, path: str, limit: int = DEFAULTS.download_bytes) -> int:
    """Fetch into `path` by way of `path.part`; give the size. Raise HostError when it cannot be had, or is something else."""
    part = f"{path}.part"
    if not (_size_of(part) and _digest_of(part) == wanted.digest):
        _complete(wanted, part, limit)
    os.rename(part, path)
    return _size_of(path)


def _complete(wanted: Wanted, part: str, limit: int) -> None:
    deadline, trouble = time.monotonic() + wanted.seconds, ""
    for attempt in range(ATTEMPTS):
        pause = PAUSE * 2**attempt if attempt else 0.0
        if attempt and time.monotonic() + pause > deadline:
            break
        time.sleep(pause)
        trouble = _try_once(wanted, part, deadline, limit)
        if not trouble:
            return
    raise HostError(f"{wanted.url} cannot be fetched: {trouble}", code="E322")


def _try_once(wanted: Wanted, part: str, deadline: float, limit: int) -> str:
    """Go on with what is there; give why another try may help, empty when all is there. Raise HostError when none would."""
    begun = _size_of(part)
    try:
        _receive(wanted, part, deadline, limit)
    except HTTPError as error:
        trouble = f"the server answers {error.code} {error.reason}"
        if error.code == NOT_THAT_RANGE and begun:
            os.unlink(part)
        elif error.code < FIRST_OF_SERVERS and error.code != TOO_MANY:
            raise HostError(f"{wanted.url} cannot be fetched: {trouble}", code="E322") from error
        return trouble
    except (URLError, HTTPException, OSError) as error:
        return str(getattr(error, "reason", "") or error) or type(error).__name__
    found = _digest_of(part)
    if found == wanted.digest:
        return ""
    os.unlink(part)
    if not begun:
        message = f"what {wanted.url} gives has the SHA-256 {found}, not {wanted.digest}"
        raise HostError(message, code="E321", hint="if the new one is what you want, approve its digest")
    return "what had been received before belongs to something else"


def _receive(wanted: Wanted, part: str, deadline: float, limit: int) -> None:
    """Make one request, for the rest of what is there, and write what comes."""
    begun = _size_of(part)
    headers = {**HEADERS, **({"Range": f"bytes={begun}-"} if begun else {})}
    left = deadline - time.monotonic()
    request = Request(wanted.url, headers=headers)  # noqa: S310  the kinds that fetch take http and https only
    opener = build_opener(
        _Redirects, ProxyHandler(getproxies_environment())
    )  # where a system keeps proxies elsewhere it cannot be asked here
    with opener.open(request, timeout=max(0.1, min(left, DEFAULTS.http_seconds))) as response:
        start = begun if _goes_on(response.status, response.headers, begun) else 0
        length = response.headers.get("Content-Length")
        expected = start + int(length) if length is not None and length.isdigit() else None
        descriptor = os.open(part, FLAGS, 0o600)
        try:
            os.ftruncate(descriptor, start)
            os.lseek(descriptor, start, os.SEEK_SET)
            size = start
            while True:
                if size > limit or (expected is not None and expected > limit):
                    raise HostError(f"{wanted.url} is larger than {limit} bytes", code="E323")
                if time.monotonic() > deadline:
                    raise HostError(f"{wanted.url} took longer than {wanted.seconds:.0f} s; the next run goes on", code="E324")
                data = response.read1(CHUNK)
                if not data:
                    break
                write_all(descriptor, data)
                size += len(data)
        finally:
            os.close(descriptor)
    if expected is not None and size != expected:
        raise HTTPException(f"the connection ended after {size} of {expected} bytes")


def _goes_on(status: int, headers: Mapping[str, str], begun: int) -> bool:
    return status == PARTIAL and (headers.get("Content-Range") or "").startswith(f"bytes {begun}-")


def _size_of(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0


def _digest_of(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return hash_parts(descriptor)
    finally:
        os.close(descriptor)
