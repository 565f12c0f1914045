"""Intake: reports on their way in. No host can hold up the service or the others, whatever it sends.

Bounds come before spending: one report of a host at a time, few large bodies in memory at once, the number of values counted in the raw
bytes before anything is made of them, and few parsed at once, in threads: the event loop only reads.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request

from gitops.errors import MalformedError
from gitops.model.codec import decode_json
from gitops.model.limits import DEFAULTS
from gitops.model.report import Report
from webhooks.api.body import RefusedError, need_json_type, read_body

PARSED_AT_ONCE, HELD_AT_ONCE = 2, 16
# What begins or parts values in JSON. Inside of texts they count as well: a bound, not a measure.
MARKS = (b",", b"[", b"{", b":")


class Intake:
    """Who is being heard now, and how many at once."""

    def __init__(self) -> None:
        self._heard: set[str] = set()
        self._parsed = CapacityLimiter(PARSED_AT_ONCE)
        self._held = CapacityLimiter(HELD_AT_ONCE)

    async def read(self, request: Request, speaker: str) -> Report:
        """Give a host's report; RefusedError 429 while another one of it is being read, 413 and 422 for what is none.

        `speaker` is who sends it, known before the body is read.
        """
        with self._hear(speaker):
            async with self._held:
                body = await read_body(request, DEFAULTS.report_bytes)
                need_json_type(request)
                return await to_thread.run_sync(parse_report, body, limiter=self._parsed)

    @contextmanager
    def _hear(self, speaker: str) -> Generator[None]:
        if speaker in self._heard:
            raise RefusedError(429, "A429", "another report of this host is being read", "send one after the other")
        self._heard.add(speaker)
        try:
            yield
        finally:
            self._heard.discard(speaker)


def parse_report(body: bytes) -> Report:
    """Read a report; RefusedError 413 when it has too many values, 422 when it is none."""
    marks = sum(body.count(mark) for mark in MARKS)
    if marks > DEFAULTS.report_values:
        raise RefusedError(413, "A413", f"the report has about {marks} values, at most {DEFAULTS.report_values} are taken")
    try:
        return Report.from_json(decode_json(body))
    except MalformedError as error:
        raise RefusedError(422, error.code, error.message, error.hint) from error
