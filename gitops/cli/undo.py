"""`rollback --host` and `runs list --host`: ask the hosts, show what each would undo (equal ones together), ask once, undo, sum up."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import click

from gitops.cli.output import print_json, print_message
from gitops.cli.progress import Progress
from gitops.cli.project import Opened
from gitops.cli.push import CHANGES, FAILED, error_json, open_push, read_max_failures, worst_status
from gitops.cli.wanted import Wanted
from gitops.errors import UsageError
from gitops.model.codec import Json
from gitops.model.report import Report
from gitops.pipeline.push import Ended, Pace, Push, visit_hosts
from gitops.pipeline.undo import LAST, PastRun, Undoing, UndoItem, find_undo_there, list_runs_there, undo_there
from gitops.render.escape import escape_terminal
from gitops.render.words import name_hosts
from gitops.transport.kept import KeptSessions


def undo_over_ssh(opened: Opened, wanted: Wanted, run: str, *, confirm: str) -> int:
    """Undo a run of one host, or the last run of each; give the exit status."""
    kept = KeptSessions()
    push = replace(open_push(opened, wanted), kept=None if wanted.is_dry else kept)
    if run != LAST and len(push.destinations) != 1:
        message = f"a run belongs to one host, and {len(push.destinations)} are selected"
        raise UsageError(message, code="U097", hint="`gitops rollback last --host SEL` undoes the last run of each")
    with contextlib.closing(kept):
        return _undo(push, wanted, run, confirm)


def list_over_ssh(opened: Opened, wanted: Wanted) -> int:
    """Print the runs of hosts; give the exit status."""
    push = open_push(opened, wanted)
    progress = Progress("asking", len(push.destinations), is_quiet=wanted.format_name != "text")
    pace = Pace(wanted.parallel, len(push.destinations))
    ended = visit_hosts(push.destinations, partial(list_runs_there, push), pace, done=progress.done)
    found: dict[str, tuple[PastRun, ...]] = {item.host: item.found for item in ended if item.found is not None}
    if wanted.format_name == "json":
        rows: dict[str, Json] = {host: [{"run": row.run, "result": row.result} for row in runs] for host, runs in found.items()}
        print_json({"schema": "gitops/host-runs/v1", "hosts": rows, "errors": _list_errors(ended)})
    else:
        for host, runs in found.items():
            for row in runs:
                click.echo(f"{escape_terminal(host)}  {escape_terminal(row.run)}  {escape_terminal(row.result)}")
        _print_errors(ended)
    return worst_status(_statuses(ended))


def print_items(items: Sequence[UndoItem]) -> None:
    """Print what would be undone, and what stays and why."""
    for item in items:
        verb = "undo" if item.is_undoable else "KEEP"
        click.echo(f"  {verb}  {escape_terminal(item.what)}  {escape_terminal(item.why)}".rstrip())


def _undo(push: Push, wanted: Wanted, run: str, question: str) -> int:
    selected = tuple(sorted(push.destinations))
    pace = Pace(wanted.parallel, read_max_failures(wanted.max_failures, len(selected)))
    is_quiet = wanted.format_name != "text"
    asking = Progress("asking", len(selected), is_quiet=is_quiet)
    everyone = replace(pace, max_failures=len(selected))  # asking harms nobody
    asked = visit_hosts(selected, partial(find_undo_there, push, run), everyone, done=asking.done)
    due = {item.host: item.found for item in asked if item.found is not None and item.found.items}
    failed = [item for item in asked if item.error is not None]
    if wanted.format_name == "text" or wanted.is_dry:
        _show(due, wanted.format_name, asked)
    if wanted.is_dry:
        return worst_status([*_statuses(asked), CHANGES if due else 0])
    if len(failed) > pace.max_failures:
        print_message(f"{len(failed)} of {len(selected)} hosts could not be asked; nothing was undone.")
        _print_errors(failed)
        return worst_status(_statuses(asked))
    if due and not wanted.is_confirmed and not click.confirm(question):
        raise UsageError("nothing was changed: you said no", code="U065")
    undoing = Progress("undoing", len(due), is_quiet=is_quiet)
    rest = replace(pace, max_failures=pace.max_failures - len(failed))
    ended = visit_hosts(due, lambda host: undo_there(push, due[host]), rest, done=undoing.done)
    _print_result(selected, ended, failed, wanted.format_name)
    return worst_status([*_statuses(failed), *_statuses(ended)])


def _show(due: dict[str, Undoing], format_name: str, asked: Sequence[Ended[Undoing]]) -> None:
    if format_name == "json":
        rows: list[Json] = [
            {
                "host": host,
                "run": item.run,
                "undo": [{"what": part.what, "undoable": part.is_undoable, "why": part.why} for part in item.items],
            }
            for host, item in due.items()
        ]
        print_json({"schema": "gitops/host-undo/v1", "hosts": rows, "errors": _list_errors(asked)})
        return
    groups: dict[tuple[UndoItem, ...], list[str]] = {}
    for host, item in due.items():
        groups.setdefault(item.items, []).append(host)
    for items, hosts in groups.items():
        click.echo(f"{name_hosts(hosts)}   {', '.join(sorted({escape_terminal(due[host].run) for host in hosts})[:3])}")
        print_items(items)
    _print_errors(asked)


def _print_result(
    selected: Sequence[str], ended: Sequence[Ended[Report]], failed: Sequence[Ended[Undoing]], format_name: str
) -> None:
    begun = {item.host for item in (*ended, *failed)}
    left = [name for name in selected if name not in begun]
    reports = [item.found for item in ended if item.found is not None]
    if format_name == "json":
        rows: list[Json] = [report.to_json() for report in reports]
        errors = [*_list_errors(failed), *_list_errors(ended)]
        print_json({"schema": "gitops/host-undone/v1", "reports": rows, "errors": errors, "not_begun": list(left)})
        return
    stays = {report.host: [item for item in report.changes if item.result in ("failed", "skipped")] for report in reports}
    for host, items in sorted(stays.items()):
        for item in items:
            print_message(f"  {escape_terminal(host)}  {item.result}  {escape_terminal(item.message)}")
    whole = sum(report.result == "reverted" for report in reports)
    print_message(f"{len(selected)} hosts: {whole} undone, {len(reports) - whole} not wholly, {len(left)} with nothing done.")
    _print_errors(ended)


def _statuses(ended: Sequence[Ended[object]]) -> list[int]:
    found: list[int] = []
    for item in ended:
        if item.error is not None:
            found.append(item.error.exit_status)
        elif isinstance(item.found, Report):
            found.append(FAILED if item.found.result == "failed" else 0)
    return found


def _list_errors(ended: Sequence[Ended[object]]) -> list[Json]:
    return [error_json(item.host, item.error) for item in ended if item.error is not None]


def _print_errors(ended: Sequence[Ended[object]]) -> None:
    for item in ended:
        if item.error is not None:
            print_message(f"  {escape_terminal(item.host)}: {item.error.code} {escape_terminal(item.error.message)}")
