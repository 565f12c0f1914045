"""`gitops rollback RUN`: show what would be undone and what cannot be, ask, undo. Here, or on hosts that are reached over SSH."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import click

from gitops.cli.ask import confirm, no_terminal, tell_waiting
from gitops.cli.folders import cache_folder, lock_option, remote_root_text, root_option, ssh_options, state_folder
from gitops.cli.output import format_option, print_json, print_message
from gitops.cli.project import open_project
from gitops.cli.undo import print_items, undo_over_ssh
from gitops.cli.wanted import Wanted
from gitops.errors import UsageError
from gitops.model.codec import Json
from gitops.model.report import Report
from gitops.model.wire import Request
from gitops.pipeline.local import read_report
from gitops.pipeline.undo import LAST, read_undo
from gitops.render.escape import escape_terminal
from gitops.transport.local import run_local

CHANGES, FAILED = 2, 4
QUESTION = "Undo this?"


@click.command()
@click.argument("run")
@click.option("--host", "hosts", multiple=True, metavar="SEL", help="On these hosts, over SSH; RUN may then be `last`.")
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Show what would be undone and stop.")
@click.option(
    "--max-failures", default="0", show_default=True, metavar="N|N%", help="How many hosts may fail before no other begins."
)
@lock_option
@ssh_options
@root_option
@format_option
@click.pass_obj
def command(
    directory: Path, run: str, hosts: tuple[str, ...], root: Path | None, state: Path | None, lock_timeout: int, **options: Any
) -> int:
    """Undo a run, on the root that it was for. Exit 0: undone, 2: something to undo (dry run), 3: another run, 4: something stays."""
    if hosts:
        where = (remote_root_text(root), remote_root_text(state))
        wanted = Wanted(hosts, root=where[0], state=where[1], lock_timeout=lock_timeout, **options)
        if not (wanted.is_confirmed or wanted.is_dry or sys.stdin.isatty()):
            raise no_terminal()
        return undo_over_ssh(open_project(directory, ""), wanted, run, confirm=QUESTION)
    if run == LAST:
        raise UsageError("`last` goes with --host", code="U097", hint="`gitops runs list` shows the runs of this machine")
    folder = str(state_folder(state))
    request = Request("rollback", "", run=run, state=folder, dry_run=True, lock_timeout=lock_timeout)
    return _undo_here(
        request, is_confirmed=bool(options["is_confirmed"]), is_dry=bool(options["is_dry"]), name=options["format_name"]
    )


def _undo_here(request: Request, *, is_confirmed: bool, is_dry: bool, name: str) -> int:
    asked = run_local(request, cache=cache_folder())
    body = cast("Json", asked.body("runs"))
    if is_dry and name == "json":
        print_json({"schema": "gitops/undo/v1", **_table(body)})
        return asked.status
    items = read_undo(body)
    if name == "text":
        print_items(items)
    if is_dry or not items:
        return CHANGES if items else 0
    if not is_confirmed:
        confirm(QUESTION)
    report = read_report(run_local(replace(request, dry_run=False), cache=cache_folder(), tell=tell_waiting))
    _print(report, name)
    return FAILED if report.result == "failed" else 0


def _table(body: Json) -> dict[str, Json]:
    return dict(body) if isinstance(body, dict) else {}


def _print(report: Report, format_name: str) -> None:
    if format_name == "json":
        print_json(report.to_json())
        return
    for outcome in report.changes:
        print_message(f"  {outcome.result:<8} {escape_terminal(outcome.address)}  {escape_terminal(outcome.message)}".rstrip())
    stays = sum(item.is_left for item in report.changes)
    if stays:
        things = "1 thing stays as that run left it" if stays == 1 else f"{stays} things stay as that run left them"
        print_message(f"Not all of it could be undone: {things}; above is why. Run {report.run} is what was done.")
        return
    print_message(f"Undone. Run {report.run} can be undone in its turn.")
