"""Reports: made when no executor ran, and sent to the service from the spool, in order, with the credential.

The service is a reader, never a master: whatever it answers, converging goes on. Answers are bounded, certificates are checked,
redirects are not followed (they could carry the credential away).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import httpx

from agent.documents import read_credential
from agent.spool import Spool
from gitops import __version__
from gitops.errors import MalformedError, RemoteError, UsageError
from gitops.executor.state import make_run_id
from gitops.model.codec import Json, decode_json, encode_canonical
from gitops.model.fields import Fields
from gitops.model.limits import DEFAULTS
from gitops.model.report import Report

ACCEPTED, CREATED = 202, 201
DENIED = (401, 403)
NEVER = (400, 413, 422)
UNKNOWN = 404
EXCHANGE_SCHEMA = "gitops/enrolment/v1"
SHOWN = 200


@dataclass(frozen=True)
class Service:
    """Where reports go, and the credential that was issued at enrolment."""

    url: str
    credential: str = ""


@dataclass(frozen=True)
class Delivery:
    """What became of the spool: how many were sent, and why the rest stays, if it does."""

    sent: int = 0
    trouble: str = ""


def make_report(host: str, result: str, reason: str, now: datetime, *, environment: str = "") -> Report:
    """Give the report of a cycle in which nothing was run on the machine."""
    run = make_run_id(now.timestamp())
    return Report(run, host, result, now, now, environment=environment, reason=reason, agent=__version__)


def send_spooled(spool: Spool, service: Service, client: httpx.Client) -> Delivery:
    """Send what is spooled, oldest first; stop at the first that is not taken, and keep it."""
    sent = 0
    for name in spool.list_names():
        status, message = _post(client, f"{service.url}/api/v1/reports", spool.read(name), service.credential)
        if status == ACCEPTED:
            spool.remove(name)
            sent += 1
        elif status in NEVER:
            spool.refuse(name)
        elif status in DENIED:
            trouble = f"the service does not take this host's credential ({status}): {message}; reports are kept"
            return Delivery(sent, trouble)
        else:
            return Delivery(sent, f"the service cannot be reached: {message}; reports are kept")
    return Delivery(sent)


def exchange_token(client: httpx.Client, service: str, *, host: str, environment: str, token: str) -> str:
    """Give the credential of this host for a one-time token; refused is UsageError (exit 1), no answer is RemoteError (exit 7)."""
    body = encode_canonical({"schema": EXCHANGE_SCHEMA, "token": token, "environment": environment})
    status, text = _post(client, f"{service}/api/v1/hosts/{host}/enroll", body, "")
    if status in (*DENIED, *NEVER, UNKNOWN):
        message = f"the service refused to enrol {host} ({status}): {text}"
        raise UsageError(message, code="U082", hint="a token works once and for an hour: make another with `gitops token HOST`")
    if status != CREATED:
        raise RemoteError(f"the service cannot enrol {host} now: {text}", code="R120", hint="nothing was written; try again")
    try:
        named, credential = read_credential(decode_json(text))
    except MalformedError as error:
        raise RemoteError(f"the service answered what is no credential: {error.message}", code="R121") from error
    if named != host:
        raise RemoteError(f"the service answered with the credential of another host, {named[:80]!r}", code="R121")
    return credential


def open_client() -> httpx.Client:
    """Open the client for the service."""
    return httpx.Client(
        timeout=DEFAULTS.http_seconds, follow_redirects=False, headers={"User-Agent": f"trueup-agent/{__version__}"}
    )


def _post(client: httpx.Client, url: str, body: bytes, credential: str) -> tuple[int, str]:
    """Give the status and the text (of an answer that went well), or what went wrong; status 0 when there was no answer."""
    headers = {"Content-Type": "application/json"}
    if credential:
        headers["Authorization"] = f"Bearer {credential}"
    data = b""
    try:
        with client.stream("POST", url, content=body, headers=headers) as answer:
            for chunk in answer.iter_bytes():
                data += chunk
                if len(data) > DEFAULTS.manifest_bytes:
                    return 0, "its answer is too long"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return 0, (str(error) or type(error).__name__)[:SHOWN]
    if answer.status_code in (ACCEPTED, CREATED):
        return answer.status_code, data.decode("utf-8", "replace")
    return answer.status_code, _read_error(data, answer.status_code)


def _read_error(data: bytes, status: int) -> str:
    try:
        value: Json = decode_json(data)
        found = Fields(Fields(value, "answer").raw("error"), "error").text("message")
    except MalformedError:
        return f"status {status}"
    return found[:SHOWN]
