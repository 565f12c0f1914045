"""`gitops plan`: what would change, on the fleet against what was last observed, or on this machine as it is now."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gitops.cli.baseline import find_baseline
from gitops.cli.folders import (
    cache_folder,
    environment_variables,
    prune_option,
    remote_root_text,
    root_option,
    root_text,
    ssh_options,
    state_folder,
)
from gitops.cli.output import format_option, print_json, print_message, wants_colour, write_new
from gitops.cli.planfile import write_plan_file
from gitops.cli.planprint import print_host_plan
from gitops.cli.progress import describe_end
from gitops.cli.project import Opened, find_host, one_environment, open_project, read_observations, select_hosts
from gitops.cli.push import open_push, plan_hosts, print_plan
from gitops.cli.wanted import Wanted
from gitops.errors import UsageError
from gitops.model.address import Address, parse_address
from gitops.model.codec import Json, encode_canonical
from gitops.model.fleetplan import ChangeGroup, FleetPlan, PlanSubject
from gitops.model.observation import Observation
from gitops.pipeline.local import LocalRun, plan_here
from gitops.pipeline.rerouted import plan_rerouting
from gitops.plan.fleet import FleetInputs, plan_fleet
from gitops.plan.fold import open_address
from gitops.providers.registry import PROVIDERS
from gitops.render.escape import escape_terminal
from gitops.render.text import render_fleet_plan, render_groups

CHANGES, REFUSED = 2, 4
ADDRESS_SCHEMA = "gitops/plan-address/v1"


@dataclass(frozen=True)
class _Asked:
    """What was asked for on the command line, beyond the project itself."""

    hosts: tuple[str, ...]
    only: tuple[Address, ...]
    out: Path | None
    format_name: str
    address: Address | None = None


@click.command()
@click.option("--rev", default="", help="A revision instead of the work tree.")
@click.option("--base", default="", help="Compare with this revision instead of the release branch.")
@click.option("--env", "environment", default="", help="The environment; the only one by default.")
@click.option("--host", "hosts", multiple=True, metavar="SEL", help="Host name, glob or label=value; may be repeated.")
@click.option("--only", multiple=True, metavar="ADDRESS", help="Only this resource and what it needs.")
@click.option("--address", default="", metavar="ADDRESS", help="Show this resource alone, as it is on each of the hosts.")
@click.option("--observations", type=click.Path(path_type=Path), help="What was observed (a file).")
@click.option("--out", type=click.Path(path_type=Path), help="Write the plan into this new file.")
@click.option("--local", "is_local", is_flag=True, help="Observe this machine now.")
@click.option("--live", "is_live", is_flag=True, help="Observe the hosts now, over their connection.")
@prune_option
@click.option("--guards", is_flag=True, help="With --local or --live: run `unless`, `onlyif` and the project's own programs.")
@ssh_options
@root_option
@format_option
@click.pass_obj
def command(
    directory: Path,
    rev: str,
    base: str,
    environment: str,
    hosts: tuple[str, ...],
    only: tuple[str, ...],
    address: str,
    observations: Path | None,
    out: Path | None,
    is_local: bool,
    is_live: bool,
    prune: tuple[str, ...],
    guards: bool,
    root: Path | None,
    state: Path | None,
    format_name: str,
    **reach: Any,
) -> int:
    """Show what would change. Exit 0: nothing, 2: changes, 4: an item is refused, 7: a host was not reached (--local, --live)."""
    shown = parse_address(address) if address else None
    asked = _Asked(hosts, tuple(parse_address(item) for item in only), out, format_name, shown)
    if shown is not None and (is_local or is_live):
        raise UsageError("--local and --live take --only, not --address", code="U061")
    if out is not None and out.exists():
        raise UsageError(f"{out} exists", code="U043", hint="name a new file")
    if (is_local or is_live) and (base or observations is not None):
        raise UsageError("--local and --live observe now: they take no --base or --observations", code="U061")
    if is_live:
        if prune:
            raise UsageError("--prune needs --local", code="U061")
        if is_local or environment or not hosts:
            raise UsageError("--live needs --host SEL, and neither --local nor --env", code="U061")
        where = (remote_root_text(root), remote_root_text(state))
        wanted = Wanted(hosts, format_name, asked.only, root=where[0], state=where[1], guards=guards, **reach)
        return _plan_live(open_project(directory, rev), wanted, out)
    if is_local:
        pruned = tuple(parse_address(item) for item in prune)
        run = LocalRun(root_text(root), state_folder(state), cache_folder(), environment_variables(), pruned)
        return _plan_local(open_project(directory, rev), asked, run=run, environment=environment, guards=guards)
    if guards or root is not None or state is not None:
        raise UsageError("--guards, --root and --state need --local or --live", code="U061")
    if prune:
        raise UsageError("--prune needs --local", code="U061")
    seen = read_observations(observations) if observations is not None else {}
    opened = open_project(directory, rev)
    return _plan_fleet(directory, opened, asked, base=base, environment=environment, seen=seen)


def _plan_fleet(
    directory: Path, opened: Opened, asked: _Asked, *, base: str, environment: str, seen: dict[str, Observation]
) -> int:
    graphs = one_environment(opened.built, environment)
    baseline = find_baseline(directory, opened, graphs.environment, revision=base)
    known = tuple(baseline.graphs.hosts) if baseline.graphs is not None else ()
    selected = select_hosts(opened.built.config.hosts, asked.hosts, leaving=known) if asked.hosts else None
    project = opened.built.config.project.name
    subject = PlanSubject(project, graphs.environment, base=baseline.commit, head=opened.snapshot.commit)
    inputs = FleetInputs(graphs, baseline.graphs, seen, only_hosts=selected, only=asked.only, serial=baseline.serial)
    if baseline.built is not None and graphs.environment in baseline.built.config.project.environments and not asked.only:
        routing = plan_rerouting(baseline.built, opened.built, graphs.environment, selected)
        inputs = replace(inputs, routing=routing)
    plan = plan_fleet(subject, inputs, providers=PROVIDERS)
    _write(asked.out, write_plan_file(plan))
    if asked.address is None:
        _print_fleet(plan, asked)
        return CHANGES if plan.has_changes else 0
    groups = open_address(plan, asked.address)
    _print_address(plan, asked.address, groups, asked.format_name)
    return CHANGES if groups else 0


def _print_address(plan: FleetPlan, address: Address, groups: tuple[ChangeGroup, ...], format_name: str) -> None:
    if format_name == "json":
        rows: list[Json] = [group.to_json() for group in groups]
        print_json({"schema": ADDRESS_SCHEMA, "address": address, "change_digest": plan.change_digest, "groups": rows})
    elif groups:
        click.echo(render_groups(groups, colour=wants_colour()), nl=False)
    else:
        click.echo(f"The plan changes no {escape_terminal(address)} on these hosts.")


def _print_fleet(plan: FleetPlan, asked: _Asked) -> None:
    if asked.format_name == "json":
        print_json({**plan.to_json(), "content_digest": plan.content_digest})
        return
    next_command = "open a pull request, or gitops release" if asked.out is not None else "gitops plan --out PLAN_FILE"
    click.echo(render_fleet_plan(plan, now=datetime.now(UTC), colour=wants_colour(), next_command=next_command), nl=False)


def _plan_local(opened: Opened, asked: _Asked, *, run: LocalRun, environment: str, guards: bool) -> int:
    if len(asked.hosts) != 1:
        raise UsageError(
            "--local needs exactly one --host NAME", code="U061", hint="the name that this machine has in the config"
        )
    host = asked.hosts[0]
    _, graphs = find_host(opened.built, host)
    if environment and graphs.environment != environment:
        raise UsageError(f"{host} is in the environment `{graphs.environment}`, not in `{environment}`", code="U022")
    with tempfile.TemporaryDirectory(prefix="gitops-blobs-") as blobs:
        plan = plan_here(host, graphs, run, blobs=Path(blobs), only=asked.only, guards=guards)
    _write(asked.out, encode_canonical(plan.to_json()))
    print_host_plan(plan, asked.format_name)
    if plan.is_refused:
        return REFUSED
    return CHANGES if plan.changes else 0


def _plan_live(opened: Opened, wanted: Wanted, out: Path | None) -> int:
    planned = plan_hosts(opened, open_push(opened, wanted), wanted)
    if planned.errors and out is not None:
        print_message(f"{out} was not written, since not every host could be planned.")
    elif out is not None:
        _write(out, write_plan_file(planned.fleet))
    print_plan(planned.fleet, wanted.format_name)
    for item in planned.errors if wanted.format_name == "json" else ():
        print_message(f"{item.host}  {describe_end(item)}")
    return planned.status


def _write(out: Path | None, data: bytes) -> None:
    if out is not None:
        write_new(out, data)
        print_message(f"The plan is in {out}.")
