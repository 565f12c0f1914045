"""`gitops apply`: plan, show, ask, make it so. On this machine (`--local`), or on hosts that are reached over SSH."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from gitops.cli.output import format_option, print_json, print_message
from gitops.cli.plan import print_host_plan
from gitops.cli.planfile import check_covered, read_plan_file
from gitops.cli.project import (
    Opened,
    cache_folder,
    environment_variables,
    find_host,
    open_project,
    prune_option,
    remote_root_text,
    root_option,
    root_text,
    ssh_options,
    state_folder,
)
from gitops.cli.push import Wanted, apply_over_ssh
from gitops.errors import UsageError
from gitops.model.address import parse_address
from gitops.model.fields import Fields
from gitops.model.limits import DEFAULTS
from gitops.model.plan import HostPlan
from gitops.model.report import Outcome, Report
from gitops.model.scope import Scope
from gitops.model.wire import Event
from gitops.pipeline.local import LocalRun, apply_here, plan_here
from gitops.render.escape import escape_terminal
from gitops.transport.local import Tell

CHANGES, HELD, FAILED, REVERTED = 2, 3, 4, 5
QUESTION = "Apply this?"
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
@click.option("--host", "hosts", multiple=True, metavar="SEL", help="Host name, glob or label=value; may be repeated.")
@click.option("--local", "is_local", is_flag=True, help="This machine is that host.")
@click.option("--only", multiple=True, metavar="ADDRESS", help="Only this resource and what it needs.")
@prune_option
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Show the plan and stop; exits as `plan` does.")
@click.option("--rev", default="", help="A revision instead of the work tree.")
@click.option(
    "--max-failures", default="0", show_default=True, metavar="N|N%", help="How many hosts may fail before no other begins."
)
@lock_option
@ssh_options
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
    rev: str,
    root: Path | None,
    state: Path | None,
    **options: Any,
) -> int:
    """Plan, show, ask and apply. Exit 0: done, 2: changes (dry run), 3: held, 4: failed, 5: failed and put back, 7: not reached."""
    addresses, pruned = (tuple(parse_address(item) for item in items) for items in (only, prune))
    if is_local:
        if len(hosts) != 1:
            raise UsageError("--local needs exactly one --host NAME", code="U061")
        run = LocalRun(root_text(root), state_folder(state), cache_folder(), environment_variables(), pruned)
        opened = open_project(directory, rev)
        approved = _read_approved(plan_file, opened)
        return _apply_local(opened, Wanted(hosts, only=addresses, approved=approved, **options), run)
    if pruned:
        raise UsageError("--prune needs --local", code="U061")
    opened = open_project(directory, rev)
    approved = _read_approved(plan_file, opened)
    hosts = hosts or (tuple(sorted(approved.hosts)) if approved is not None else ())
    if not hosts:
        raise UsageError(
            "which hosts?", code="U061", hint="give --host SEL, or a plan file with changes; `--host '*'` is every host"
        )
    where = (remote_root_text(root), remote_root_text(state))
    wanted = Wanted(hosts, only=addresses, root=where[0], state=where[1], approved=approved, **options)
    if not (wanted.is_confirmed or wanted.is_dry or sys.stdin.isatty()):
        raise no_terminal()
    return apply_over_ssh(opened, wanted, confirm=QUESTION)


def _read_approved(plan_file: Path | None, opened: Opened) -> Scope | None:
    return None if plan_file is None else read_plan_file(plan_file, opened.built.config.project.name)


def _apply_local(opened: Opened, wanted: Wanted, run: LocalRun) -> int:
    name, format_name = wanted.hosts[0], wanted.format_name
    _, graphs = find_host(opened.built, name)
    with tempfile.TemporaryDirectory(prefix="gitops-blobs-") as folder:
        plan = plan_here(name, graphs, run, blobs=Path(folder), only=wanted.only)
        if format_name == "text" or wanted.is_dry:
            print_host_plan(plan, format_name)
        if wanted.is_dry:
            return FAILED if plan.is_refused else CHANGES if plan.changes else 0
        check_covered(wanted.approved, Scope({name: plan.scope}))
        if plan.changes and not wanted.is_confirmed:
            confirm(QUESTION)
        report = apply_here(
            name,
            graphs,
            run,
            blobs=Path(folder),
            approved=plan.scope,
            only=wanted.only,
            tell=_teller(format_name),
            lock_timeout=wanted.lock_timeout,
        )
    _print_report(plan, report, format_name)
    return {"held": HELD, "failed": FAILED, "reverted": REVERTED}.get(report.result, 0)


def confirm(question: str) -> None:
    """Ask on the terminal; a no ends the verb, nothing changed (exit 1), and no terminal is an error that names --yes."""
    if not sys.stdin.isatty():
        raise no_terminal()
    if not click.confirm(question):
        raise UsageError("nothing was changed: you said no", code="U065")


def tell_waiting(event: Event) -> None:
    """Say that another run has the lock, and which."""
    if event.event == "waiting":
        print_message(
            f"waiting for another run on this machine ({escape_terminal(Fields(event.body, 'waiting').text('holder'))})"
        )


def no_terminal() -> UsageError:
    """Say that nobody can be asked."""
    return UsageError("there is no terminal to ask on", code="U062", hint="use --yes")


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
