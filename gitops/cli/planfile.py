"""The plan file that `apply PLAN_FILE` takes: what `plan --out` wrote, read as what was agreed to and nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from gitops.cli.output import read_file
from gitops.errors import HeldError, MalformedError, UsageError
from gitops.model.codec import Json, decode_canonical, digest_bytes, encode_canonical
from gitops.model.fields import Fields
from gitops.model.fleetplan import FleetPlan
from gitops.model.limits import DEFAULTS
from gitops.model.plan import HOST_PLAN_SCHEMA, HostPlan
from gitops.model.scope import Scope
from gitops.model.scopetree import digest_change
from gitops.plan.covers import find_excess

SHOWN = 10
PLAN_FILE_SCHEMA = "gitops/plan-file/v1"


def read_plan_file(path: Path, project: str) -> Scope:
    """Give what a plan file covers; raise UsageError when it is no plan, or one of another project."""
    try:
        value = decode_canonical(read_file(path, DEFAULTS.event_bytes))
        if isinstance(value, dict) and value.get("schema") == HOST_PLAN_SCHEMA:
            alone = HostPlan.from_json(value)
            return Scope({alone.host: alone.scope})
        return _read_fleet(path, Fields(value, "plan file"), project)
    except MalformedError as error:
        hint = "`gitops plan --out FILE` writes one"
        raise UsageError(f"{path} is not a plan: {error.message}", code="U063", hint=hint) from error


def check_covered(approved: Scope | None, actual: Scope) -> None:
    """Raise HeldError for what would be done now and is not in the plan file; None covers everything, since it is shown and asked."""
    if approved is None:
        return
    excess = find_excess((approved,), actual).hosts
    if not excess:
        return
    found = [
        f"{host}: {address}{verb}"
        for host, scope in sorted(excess.items())
        for address, verb in sorted(
            {(address, f" ({verb})") for address, verb, _ in scope.effects} or {(item[0], "") for item in scope.intents}
        )
    ]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    raise HeldError(
        f"more than the plan file covers: {', '.join(found[:SHOWN])}{more}; nothing was changed",
        code="H010",
        hint="look at a new plan: `gitops plan --live --out FILE`",
    )


def write_plan_file(plan: FleetPlan) -> bytes:
    """Give the document of a fleet plan with the parts that it names."""
    parts: list[Json] = [decode_canonical(data) for _, data in sorted(plan.to_parts().items())]
    return encode_canonical({"schema": PLAN_FILE_SCHEMA, "plan": plan.to_json(), "parts": parts})


def _read_fleet(path: Path, fields: Fields, project: str) -> Scope:
    fields.schema(PLAN_FILE_SCHEMA)
    parts = {digest_bytes(data): data for data in map(encode_canonical, fields.items("parts"))}
    plan = FleetPlan.from_json(fields.raw("plan"), partial(_find_part, parts))
    fields.done()
    subject = plan.subject
    if subject.repository != project:
        raise UsageError(f"{path} is a plan of the project `{subject.repository[:80]}`, this is `{project}`", code="U063")
    digest = digest_change(plan.scope, repository=project, environment=subject.environment, pull=subject.pull)
    if digest != plan.change_digest:
        raise UsageError(f"{path} was edited: its change digest is not that of what it covers", code="U063")
    # Read now, so that a part that is missing is found before anything is done.
    return Scope(dict(plan.scope.hosts))


def _find_part(parts: Mapping[str, bytes], digest: str) -> bytes:
    if digest not in parts:
        raise MalformedError(f"the part {digest[:12]} is not there", code="M014")
    return parts[digest]
