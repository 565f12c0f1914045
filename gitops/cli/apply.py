"""`gitops apply`: plan, show, ask, make it so. On this machine (`--local`); over SSH it is the next step of the project."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from gitops.cli.output import format_option, print_json, print_message
from gitops.cli.plan import print_host_plan
from gitops.cli.project import (
    cache_folder,
    environment_variables,
    find_host,
    open_project,
    prune_option,
    root_option,
    root_text,
    state_folder,
)
from gitops.config.config import HostDocument
from gitops.errors import UsageError
from gitops.model.address import parse_address
from gitops.model.fields import Fields
from gitops.model.limits import DEFAULTS
from gitops.model.plan import HostPlan
from gitops.model.report import Outcome, Report
from gitops.model.wire import Event
from gitops.pipeline.local import LocalRun, apply_here, plan_here
from gitops.render.escape import escape_terminal
from gitops.transport.local import Tell

CHANGES, HELD, FAILED, REVERTED = 2, 3, 4, 5
lock_option = click.option(
    "--lock-timeout",
    type=click.IntRange(0, 86400),
    default=DEFAULTS.lock_seconds,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another run on this machine.",
)


@click.command()
@click.argument("plan_file", required=False, type=click.Path(path_type=Path))
@click.option("--host", "hosts", multiple=True, metavar="SEL", help="The host.")
@click.option("--local", "is_local", is_flag=True, help="This machine is that host.")
@click.option("--only", multiple=True, metavar="ADDRESS", help="Only this resource and what it needs.")
@prune_option
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Show the plan and stop; exits as `plan` does.")
@click.option("--rev", default="", help="A revision instead of the work tree.")
@lock_option
@root_option
@format_option
@click.pass_obj
def command(
    directory: Path,
    plan_file: Path | None,
    hosts: tuple[str, ...],
    is_local: bool,
    only: tuple[str, ...],
    prune: tuple[str, ...],
    is_confirmed: bool,
    is_dry: bool,
    rev: str,
    lock_timeout: int,
    root: Path | None,
    state: Path | None,
    format_name: str,
) -> int:
    """Plan, show, ask and apply. Exit 0: done, 2: changes (dry run), 3: held, 4: something failed, 5: and was put back."""
    if plan_file is not None:
        raise UsageError(
            "applying a plan file is not there yet", code="U060", hint="use `--local --host NAME`: it plans again anyway"
        )
    if len(hosts) != 1:
        raise UsageError("--local needs exactly one --host NAME", code="U061")
    addresses, pruned = (tuple(parse_address(item) for item in items) for items in (only, prune))
    opened = open_project(directory, rev)
    host, graphs = find_host(opened.built, hosts[0])
    if not is_local:
        raise refuse_remote(host)
    run = LocalRun(root_text(root), state_folder(state), cache_folder(), environment_variables(), pruned)
    with tempfile.TemporaryDirectory(prefix="gitops-blobs-") as folder:
        plan = plan_here(hosts[0], graphs, run, blobs=Path(folder), only=addresses)
        if format_name == "text" or is_dry:
            print_host_plan(plan, format_name)
        if is_dry:
            return FAILED if plan.is_refused else CHANGES if plan.changes else 0
        if plan.changes and not is_confirmed:
            confirm("Apply this?")
        report = apply_here(
            hosts[0],
            graphs,
            run,
            blobs=Path(folder),
            approved=plan.scope,
            only=addresses,
            tell=_teller(format_name),
            lock_timeout=lock_timeout,
        )
    _print_report(plan, report, format_name)
    return {"held": HELD, "failed": FAILED, "reverted": REVERTED}.get(report.result, 0)


def refuse_remote(host: HostDocument) -> UsageError:
    """Say why a host cannot be reached from here, and what to do instead."""
    ways = {
        "ssh": "is reached by SSH (`connection: ssh`), and pushing over SSH is not there yet",
        "agent": "is converged by its own agent (`connection: agent`)",
    }
    way = ways.get(host.connection, "is this machine (`connection: local`)")
    hint = f"on the machine itself: `gitops apply --local --host {host.name}`"
    return UsageError(f"{host.name} {way}", code="U060", hint=hint)


def confirm(question: str) -> None:
    """Ask on the terminal; a no ends the verb, nothing changed (exit 1), and no terminal is an error that names --yes."""
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on", code="U062", hint="use --yes")
    if not click.confirm(question):
        raise UsageError("nothing was changed: you said no", code="U065")


def tell_waiting(event: Event) -> None:
    """Say that another run has the lock, and which."""
    if event.event == "waiting":
        print_message(
            f"waiting for another run on this machine ({escape_terminal(Fields(event.body, 'waiting').text('holder'))})"
        )


def _teller(format_name: str) -> Tell:
    def tell(event: Event) -> None:
        tell_waiting(event)
        if event.event == "step" and format_name == "text":
            outcome = Outcome.from_json(event.body)
            message = f": {escape_terminal(outcome.message)}" if outcome.message else ""
            print_message(f"  {outcome.result:<8} {escape_terminal(outcome.address)}{message}")

    return tell


def _print_report(plan: HostPlan, report: Report, format_name: str) -> None:
    if format_name == "json":
        print_json({"schema": "gitops/applied/v1", "plan": plan.to_json(), "reports": [report.to_json()]})
        return
    words = {
        "converged": "Nothing had to be done.",
        "changed": "Done.",
        "held": f"Held: {report.reason}",
        "failed": f"Something failed. {report.reason}".rstrip(),
        "reverted": f"Something failed: {report.reason}.",
    }
    end = f" Run {report.run}." if report.changes else ""
    print_message(escape_terminal(words[report.result] + end))
