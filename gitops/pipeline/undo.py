"""Spine: undo runs on hosts that are reached over SSH: find the run, say what would be undone, undo it.

Which run is the host's own record; what it says it would undo is shown and not believed for more than that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from gitops.errors import UsageError
from gitops.model.codec import Json
from gitops.model.fields import Fields
from gitops.model.report import Report
from gitops.model.wire import Request
from gitops.pipeline.push import Push, check_speaker, open_session
from gitops.transport.ssh import Session

LAST = "last"
IDLE = "converged"
UNDONE = "reverted"


@dataclass(frozen=True)
class UndoItem:
    """One thing that a run did: whether it can be undone, and why not, or what is lost with it."""

    what: str
    is_undoable: bool
    why: str


@dataclass(frozen=True)
class Undoing:
    """What undoing a run would do on a host; no items when there is nothing to undo."""

    host: str
    run: str
    items: tuple[UndoItem, ...]


@dataclass(frozen=True)
class PastRun:
    """A run as a host's history has it."""

    run: str
    host: str
    result: str


def read_undo(body: Json) -> tuple[UndoItem, ...]:
    """Read what an executor says that it would undo."""
    items = (Fields(row, "undo") for row in Fields(body, "undo").items("undo"))
    return tuple(
        UndoItem(item.text("what"), item.flag("undoable"), item.text("reason") or item.text("warning")) for item in items
    )


def read_runs(body: Json) -> tuple[PastRun, ...]:
    """Read a history, oldest first."""
    rows = (Fields(row, "run") for row in Fields(body, "runs").items("runs"))
    return tuple(PastRun(row.text("run"), row.text("host"), row.text("result")) for row in rows)


def list_runs_there(push: Push, host: str) -> tuple[PastRun, ...]:
    """Give a host's history, oldest first."""
    with open_session(push, host) as session:
        return _ask_runs(push, session)


def find_undo_there(push: Push, run: str, host: str) -> Undoing:
    """Say what undoing a run, or with LAST the host's last one that changed anything, would do; the session is kept for doing it."""
    with contextlib.ExitStack() as stack:
        session = stack.enter_context(open_session(push, host))
        chosen = _find_last(_ask_runs(push, session), host) if run == LAST else run
        body = cast("Json", session.ask(_make_request(push, host, chosen, is_dry=True), {}).body("runs"))
        found = Undoing(host, chosen, read_undo(body) if chosen else ())
        if push.kept is not None and found.items:
            stack.pop_all()
            push.kept.put(host, session)
    return found


def undo_there(push: Push, undoing: Undoing) -> Report:
    """Undo a run on its host."""
    host = undoing.host
    with open_session(push, host) as session:
        executed = session.ask(_make_request(push, host, undoing.run, is_dry=False), {})
        report = Report.from_json(cast("Json", executed.body("report")))
    check_speaker(host, report.host)
    return report


def _make_request(push: Push, host: str, run: str, *, is_dry: bool) -> Request:
    return Request("rollback", host, run=run, state=push.state, dry_run=is_dry, lock_timeout=push.lock_timeout)


def _ask_runs(push: Push, session: Session) -> tuple[PastRun, ...]:
    request = Request("runs", "", state=push.state, root=push.root)
    return read_runs(cast("Json", session.ask(request, {}).body("runs")))


def _find_last(runs: Sequence[PastRun], host: str) -> str:
    """Give the newest run that did anything; raise UsageError when there is none, or when it was an undoing itself."""
    done = [run for run in runs if run.result != IDLE]
    if not done:
        raise UsageError(f"{host} has no run that changed anything", code="U096")
    if done[-1].result == UNDONE:
        hint = "name a run; `gitops runs list --host` shows them"
        raise UsageError(f"the last run of {host} ({done[-1].run}) was an undoing itself", code="U096", hint=hint)
    return done[-1].run
