"""`gitops rollback RUN`: show what would be undone and what cannot be, ask, undo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import click

from gitops.cli.ask import confirm, tell_waiting
from gitops.cli.folders import cache_folder, lock_option, root_option, state_folder
from gitops.cli.output import format_option, print_json, print_message
from gitops.model.codec import Json
from gitops.model.fields import Fields
from gitops.model.report import Report
from gitops.model.wire import Request
from gitops.pipeline.local import read_report
from gitops.render.escape import escape_terminal
from gitops.transport.local import run_local

CHANGES, FAILED = 2, 4


@click.command()
@click.argument("run")
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Show what would be undone and stop.")
@lock_option
@root_option
@format_option
def command(
    run: str,
    is_confirmed: bool,
    is_dry: bool,
    lock_timeout: int,
    root: Path | None,  # noqa: ARG001  taken so that it does no harm: the run's own record knows its root
    state: Path | None,
    format_name: str,
) -> int:
    """Undo a run, on the root that it was for. Exit 0: undone, 2: something to undo (dry run), 3: another run, 4: something stays."""
    folder = str(state_folder(state))
    request = Request("rollback", "", run=run, state=folder, dry_run=True, lock_timeout=lock_timeout)
    asked = run_local(request, cache=cache_folder())
    body = cast("Json", asked.body("runs"))
    if is_dry and format_name == "json":
        print_json({"schema": "gitops/undo/v1", **_table(body)})
        return asked.status
    count = _show(body, format_name)
    if is_dry or not count:
        return CHANGES if count else 0
    if not is_confirmed:
        confirm("Undo this?")
    report = read_report(run_local(replace(request, dry_run=False), cache=cache_folder(), tell=tell_waiting))
    _print(report, format_name)
    return FAILED if report.result == "failed" else 0


def _show(body: Json, format_name: str) -> int:
    rows = Fields(body, "undo").items("undo")
    if format_name == "text":
        for row in rows:
            item = Fields(row, "undo")
            what, why = item.text("what"), item.text("reason") or item.text("warning")
            verb = "undo" if item.flag("undoable") else "KEEP"
            click.echo(f"  {verb}  {escape_terminal(what)}  {escape_terminal(why)}".rstrip())
    return len(rows)


def _table(body: Json) -> dict[str, Json]:
    return dict(body) if isinstance(body, dict) else {}


def _print(report: Report, format_name: str) -> None:
    if format_name == "json":
        print_json(report.to_json())
        return
    for outcome in report.changes:
        print_message(f"  {outcome.result:<8} {escape_terminal(outcome.address)}  {escape_terminal(outcome.message)}".rstrip())
    words = {"reverted": "Undone.", "failed": "Not all of it could be undone."}[report.result]
    print_message(f"{words} Run {report.run} can be undone in its turn.")
