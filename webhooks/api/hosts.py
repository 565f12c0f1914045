"""Hosts' side of the API: a one-time token becomes a credential, and reports come in with it. Secrets are stored as hashes only.

A token is random, for one host of one repository, for one hour, once. A credential is 256 random bits; whoever has it speaks for that
host and no other: hosts of one name in other repositories or environments are others.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from gitops.errors import MalformedError, UsageError
from gitops.model.codec import decode_json, digest_bytes, encode_canonical
from gitops.model.fields import Fields
from gitops.model.observation import Observation
from gitops.model.report import Report
from webhooks.api.body import RefusedError, answer_json, need_json_type, read_body
from webhooks.api.intake import Intake
from webhooks.jobs.works import touch_pull
from webhooks.metrics import Metrics
from webhooks.records import HostKey, HostRecord, RunRecord, TokenRecord
from webhooks.store.budget import ask_look, trim_runs
from webhooks.store.hosts import add_token, find_host, find_host_by_credential, find_token, save_host, spend_token
from webhooks.store.plans import list_plans
from webhooks.store.pulls import find_pull
from webhooks.store.repositories import list_watched
from webhooks.store.runs import add_run
from webhooks.store.store import Store
from webhooks.store.work import add_job

NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")
ENROLMENT, CREDENTIAL = "gitops/enrolment/v1", "gitops/credential/v1"
TOKEN_BYTES, SMALL = 32, 64 * 1024
VALID = timedelta(hours=1)
SKEW = timedelta(hours=1)
MOST_PLANS = 1000
BEARER = "Bearer "


@dataclass(frozen=True)
class HostPorts:
    """What the hosts' side works with; `fresh` gives random bytes."""

    store: Store
    metrics: Metrics
    now: Callable[[], datetime]
    fresh: Callable[[int], bytes]
    intake: Intake


@dataclass(frozen=True)
class Place:
    """Where a host belongs."""

    repository: str = ""
    environment: str = ""


def is_host_name(name: str) -> bool:
    """Say whether a name is one that DESIGN §3 allows: it can be no path."""
    return NAME.fullmatch(name) is not None and ".." not in name


def issue_token(store: Store, host: str, *, fresh: bytes, now: datetime, place: Place | None = None) -> str:
    """Make a one-time token from random bytes; only its hash is kept. Raise UsageError for what is no host name.

    An empty repository is the one that is watched, when it is the only one; with an empty environment, the host says which it is in.
    """
    place = place or Place()
    for name, noun in ((host, "a host"), *(((place.environment, "an environment"),) if place.environment else ())):
        if not is_host_name(name):
            raise UsageError(f"{name[:80]!r} is no name of {noun}", code="U076", hint="small letters, digits, `-` and `.`")
    token = _encode(fresh)
    with store.write() as connection:
        repository = _choose_repository(list_watched(connection), place.repository)
        add_token(connection, TokenRecord(host, _hash(token), now + VALID, None, repository, place.environment))
    return token


def _choose_repository(watched: Sequence[str], wanted: str) -> str:
    if wanted in watched or (not wanted and not watched):
        return wanted
    if wanted:
        raise UsageError(f"{wanted[:100]} is not watched", code="U074", hint=f"watched: {', '.join(watched) or 'none'}")
    if len(watched) > 1:
        message = "this service watches several repositories: say which one the host belongs to"
        raise UsageError(message, code="U078", hint=f"--repository, one of: {', '.join(watched)}")
    return watched[0]


async def enroll(ports: HostPorts, request: Request) -> Response:
    """Answer `POST /api/v1/hosts/{host}/enroll`."""
    body = await read_body(request, SMALL)
    need_json_type(request)
    host = str(request.path_params["host"])
    if not is_host_name(host):
        raise RefusedError(422, "A422", "that is no name of a host")
    try:
        fields = Fields(decode_json(body), "enrolment")
        fields.schema(ENROLMENT)
        token, environment = fields.text("token"), fields.text("environment")
        fields.done()
    except MalformedError as error:
        raise RefusedError(422, error.code, error.message, error.hint) from error
    credential = await run_in_threadpool(_exchange, ports, host, token, environment)
    return answer_json({"schema": CREDENTIAL, "host": host, "credential": credential}, 201)


async def take_report(ports: HostPorts, request: Request) -> Response:
    """Answer `POST /api/v1/reports`: who speaks is known before the body is read."""
    host = await run_in_threadpool(_find_speaker, ports.store, request.headers.get("authorization", ""))
    report = await ports.intake.read(request, str(host.key))
    if report.host != host.name or (report.observation is not None and report.observation.host != host.name):
        raise RefusedError(403, "A403", f"this credential speaks for {host.name} alone")
    if report.environment != host.environment:
        raise RefusedError(403, "A403", f"this credential speaks for {host.name} in {host.environment} alone", "enrol it there")
    is_new = await run_in_threadpool(_keep, ports, host.key, report)
    ports.metrics.reports.labels(report.result if is_new else "repeated").inc()
    return answer_json({"accepted": report.run}, 202)


def _exchange(ports: HostPorts, host: str, token: str, environment: str) -> str:
    now, digest = ports.now(), _hash(token)
    credential = _encode(ports.fresh(TOKEN_BYTES))
    with ports.store.write() as connection:
        found = find_token(connection, digest)
        is_right = found is not None and hmac.compare_digest(found.host.encode(), host.encode())
        if not is_right or found is None or not now < found.expires or not spend_token(connection, digest, now):
            message = "the token is wrong, used or too old"
            raise RefusedError(401, "A401", message, f"make another with `gitops token {host}`")
        if environment != (found.environment or environment) or not is_host_name(environment):
            message = f"the token is for {host} in {found.environment or 'an environment'}, not in {environment[:80]!r}"
            raise RefusedError(401, "A401", message, f"make another with `gitops token {host} --env ENVIRONMENT`")
        key = HostKey(found.repository, environment, host)
        record = find_host(connection, key) or HostRecord(host, environment, now, repository=found.repository)
        save_host(connection, replace(record, enrolled=now, credential=_hash(credential)))
    return credential


def _find_speaker(store: Store, authorization: str) -> HostRecord:
    """Give the host of a credential; found by its hash, compared once more in constant time."""
    credential = authorization.removeprefix(BEARER) if authorization.startswith(BEARER) else ""
    digest = _hash(credential)
    with store.read() as connection:
        host = find_host_by_credential(connection, digest) if credential else None
    if host is None or not hmac.compare_digest(host.credential.encode(), digest.encode()):
        raise RefusedError(401, "A401", "this credential is not known", "enrol the host again")
    return host


def _keep(ports: HostPorts, key: HostKey, report: Report) -> bool:
    """Write a run once, and what it observed; plans are looked at again when that differs. False for a repeated report."""
    now = ports.now()
    run = RunRecord(
        repository=key.repository,
        environment=key.environment,
        host=key.name,
        run=report.run,
        result=report.result,
        serial=report.serial,
        started=report.started,
        finished=report.finished,
        received=now,
        document=encode_canonical(replace(report, observation=None).to_json()),
    )
    with ports.store.write() as connection:
        host = find_host(connection, key)
        if host is None or not add_run(connection, run):
            return False
        trim_runs(connection, key, now)
        is_newest = not host.run or host.seen is None or report.observation is None or _is_newer(report, host, now)
        fresh = report.observation if report.observation is not None and is_newest else host.observation
        serial = report.serial or host.serial
        seen = replace(host, seen=now, run=report.run, result=report.result, serial=serial, observation=fresh)
        if _differs(host.observation, fresh):
            seen = ask_look(seen, now)
            _ask_plans(connection, key, seen.asked or now)
        save_host(connection, seen)
    return True


def _ask_plans(connection: Connection, key: HostKey, at: datetime) -> None:
    """Have the current plans of an environment looked at again, where anything can still become of them."""
    plans = list_plans(connection, is_current=True, limit=MOST_PLANS)
    mine = {plan.pull for plan in plans if (plan.pull.repository, plan.environment) == (key.repository, key.environment)}
    for pull in sorted(mine, key=str):
        known = find_pull(connection, pull)
        if known is None or not known.is_settled:
            add_job(connection, touch_pull(pull, reason="observed"), at)


def _is_newer(report: Report, host: HostRecord, now: datetime) -> bool:
    """Say whether a report's observation is not older than the one that is known: spools are sent late, and in order.

    One from the future (a clock was wrong, or somebody wants it to stand for good) is replaced by any.
    """
    if host.observation is None or report.observation is None or host.observation.at > now + SKEW:
        return True
    return report.observation.at >= host.observation.at


def _differs(before: Observation | None, after: Observation | None) -> bool:
    if before is None or after is None:
        return before is not after
    return (before.states, before.facts, before.serial) != (after.states, after.facts, after.serial)


def _hash(secret: str) -> str:
    return digest_bytes(secret.encode("utf-8", "replace"))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
