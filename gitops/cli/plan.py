"""`gitops plan`: what would change, on the fleet against what was last observed, or on this machine as it is now."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from gitops.cli.output import format_option, print_json, wants_colour
from gitops.cli.project import (
    Opened,
    cache_folder,
    environment_variables,
    find_host,
    one_environment,
    open_project,
    read_observations,
    root_option,
    root_text,
    select_hosts,
    state_folder,
)
from gitops.errors import UsageError
from gitops.model.address import Address, parse_address
from gitops.model.graph import Graphs
from gitops.model.observation import Observation
from gitops.model.plan import FleetPlan, HostPlan, PlanSubject
from gitops.pipeline.local import LocalRun, plan_here
from gitops.plan.fleet import FleetInputs, plan_fleet
from gitops.providers.registry import PROVIDERS
from gitops.render.text import render_fleet_plan, render_host_plan

CHANGES, REFUSED = 2, 4


@click.command()
@click.option("--rev", default="", help="A revision instead of the work tree.")
@click.option("--base", default="", help="Compare with this revision instead of the environment's source branch.")
@click.option("--env", "environment", default="", help="The environment; the only one by default.")
@click.option("--host", "hosts", multiple=True, metavar="SEL", help="Host name, glob or label=value; may be repeated.")
@click.option("--only", multiple=True, metavar="ADDRESS", help="Only this resource and what it needs.")
@click.option("--observations", type=click.Path(path_type=Path), help="What was observed (a file).")
@click.option("--out", type=click.Path(path_type=Path), help="Write the plan into this file.")
@click.option("--local", "is_local", is_flag=True, help="Observe this machine now.")
@click.option("--live", "is_live", is_flag=True, help="Observe the hosts now, over their connection.")
@click.option("--guards", is_flag=True, help="With --local: run `unless` and `onlyif`.")
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
    observations: Path | None,
    out: Path | None,
    is_local: bool,
    is_live: bool,
    guards: bool,
    root: Path | None,
    state: Path | None,
    format_name: str,
) -> int:
    """Show what would change. Exit 0: nothing, 2: changes, 4: an item is refused."""
    if is_live:
        raise UsageError("`connection: ssh` is not there yet", code="U060", hint="use --local on the machine, or an agent")
    addresses = tuple(parse_address(item) for item in only)
    opened = open_project(directory, rev)
    if is_local:
        run = LocalRun(root_text(root), state_folder(state), cache_folder(), environment_variables())
        return _plan_local(opened, hosts, addresses, run=run, guards=guards, format_name=format_name)
    seen = read_observations(observations) if observations is not None else {}
    plan = _plan_fleet(directory, opened, base, environment, (hosts, addresses, seen))
    if out is not None:
        if out.exists():
            raise UsageError(f"{out} exists", code="U043", hint="name a new file")
        out.write_bytes(plan.to_bytes())
    _print_fleet(plan, format_name, out)
    return CHANGES if plan.has_changes else 0


def _plan_fleet(
    directory: Path,
    opened: Opened,
    base: str,
    environment: str,
    what: tuple[tuple[str, ...], tuple[Address, ...], dict[str, Observation]],
) -> FleetPlan:
    hosts, only, seen = what
    graphs = one_environment(opened.built, environment)
    released: Graphs | None = None
    if base:
        released = open_project(directory, base).built.compiled.graphs.get(graphs.environment)
    selected = select_hosts(opened.built.config.hosts, hosts) if hosts else None
    subject = PlanSubject(opened.built.config.project.name, graphs.environment, base=base, head=opened.snapshot.commit)
    inputs = FleetInputs(graphs, released, seen, only_hosts=selected, only=only)
    return plan_fleet(subject, inputs, providers=PROVIDERS)


def _print_fleet(plan: FleetPlan, format_name: str, out: Path | None) -> None:
    if format_name == "json":
        print_json({**plan.to_json(), "content_digest": plan.content_digest})
        return
    next_command = f"gitops apply {out}" if out is not None else "gitops plan --out PLAN_FILE"
    click.echo(render_fleet_plan(plan, now=datetime.now(UTC), colour=wants_colour(), next_command=next_command), nl=False)


def _plan_local(
    opened: Opened, hosts: tuple[str, ...], only: tuple[Address, ...], *, run: LocalRun, guards: bool, format_name: str
) -> int:
    if len(hosts) != 1:
        raise UsageError(
            "--local needs exactly one --host NAME", code="U061", hint="the name that this machine has in the config"
        )
    _, graphs = find_host(opened.built, hosts[0])
    with tempfile.TemporaryDirectory(prefix="gitops-blobs-") as blobs:
        plan = plan_here(hosts[0], graphs, run, blobs=Path(blobs), only=only, guards=guards)
    print_host_plan(plan, format_name)
    if plan.is_refused:
        return REFUSED
    return CHANGES if plan.changes else 0


def print_host_plan(plan: HostPlan, format_name: str) -> None:
    """Print one machine's plan."""
    if format_name == "json":
        group = {"hosts": [plan.host], "changes": [change.to_json() for change in plan.changes]}
        print_json({**plan.to_json(), "groups": [group] if plan.changes else []})
    else:
        click.echo(render_host_plan(plan, now=datetime.now(UTC), colour=wants_colour()), nl=False)
