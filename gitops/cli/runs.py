"""`gitops runs list|show`: the history of runs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click

from gitops.cli.folders import cache_folder, remote_root_text, root_option, root_text, ssh_options, state_folder
from gitops.cli.output import format_option, print_json
from gitops.cli.project import open_project
from gitops.cli.undo import list_over_ssh
from gitops.cli.wanted import Wanted
from gitops.model.codec import Json
from gitops.model.fields import Fields
from gitops.model.report import Report
from gitops.model.wire import Request
from gitops.pipeline.undo import read_runs
from gitops.render.escape import escape_terminal
from gitops.transport.local import run_local


@click.group()
def command() -> None:
    """Show the history of runs on this machine."""


@command.command("list")
@click.option("--host", "hosts", multiple=True, metavar="SEL", help="Of these hosts, over SSH.")
@ssh_options
@root_option
@format_option
@click.pass_obj
def list_runs(
    directory: Path, hosts: tuple[str, ...], root: Path | None, state: Path | None, format_name: str, **options: Any
) -> int:
    """List the runs, oldest first: of this machine, or of hosts."""
    if hosts:
        where = (remote_root_text(root), remote_root_text(state))
        wanted = Wanted(hosts, format_name, root=where[0], state=where[1], **options)
        return list_over_ssh(open_project(directory, ""), wanted)
    request = Request("runs", "", state=str(state_folder(state)), root=root_text(root))
    body = cast("Json", run_local(request, cache=cache_folder()).body("runs"))
    if format_name == "json":
        print_json(body)
        return 0
    for row in read_runs(body):
        click.echo(f"{row.run}  {escape_terminal(row.host)}  {row.result}")
    return 0


@command.command("show")
@click.argument("run")
@root_option
@format_option
def show_run(run: str, root: Path | None, state: Path | None, format_name: str) -> int:
    """Show one run's report."""
    request = Request("runs", "", run=run, state=str(state_folder(state)), root=root_text(root))
    body = cast("Json", run_local(request, cache=cache_folder()).body("runs"))
    report = Report.from_json(Fields(body, "runs").raw("report"))
    if format_name == "json":
        print_json(report.to_json())
        return 0
    click.echo(f"{report.run}  {escape_terminal(report.host)}  {report.result}  {escape_terminal(report.reason)}")
    for outcome in report.changes:
        message = f": {escape_terminal(outcome.message)}" if outcome.message else ""
        click.echo(f"  {outcome.result:<8} {outcome.action:<8} {escape_terminal(outcome.address)}{message}")
    return 0
