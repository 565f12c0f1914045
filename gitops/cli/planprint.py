"""Print the plan of one machine, for people and for programs."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from gitops.cli.output import print_json, wants_colour
from gitops.model.codec import Json, digest_bytes, encode_canonical
from gitops.model.fleetplan import ChangeGroup, FleetPlan, PlanSubject
from gitops.model.plan import HostPlan
from gitops.render.text import render_host_plan


def _summarize(plan: HostPlan) -> dict[str, Json]:
    """Give the keys that a fleet plan has too, so that one program reads both."""
    group = ChangeGroup((plan.host,), plan.changes, plan.unmanaged)
    groups = (group,) if plan.changes or plan.unmanaged else ()
    whole = FleetPlan(PlanSubject("", ""), groups, unchanged=plan.unchanged, hosts=1)
    counts: dict[str, Json] = {**whole.summary()}
    digest = digest_bytes(encode_canonical(plan.to_json()))
    return {"groups": [item.to_json() for item in groups], "summary": counts, "content_digest": digest}


def print_host_plan(plan: HostPlan, format_name: str) -> None:
    """Print one machine's plan."""
    if format_name == "json":
        print_json({**plan.to_json(), **_summarize(plan)})
    else:
        click.echo(render_host_plan(plan, now=datetime.now(UTC), colour=wants_colour()), nl=False)
