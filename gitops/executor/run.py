"""One run: lock, recover, observe, plan, hold or apply, observe again, report. The stages; `__main__` only reads and writes lines."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from gitops.errors import UsageError
from gitops.executor.apply import Application, update_ledger
from gitops.executor.host import RealHost
from gitops.executor.journal import Journal, read_journal
from gitops.executor.observe import check_root, find_managed, make_preparer, observe_host
from gitops.executor.rollback import describe_undo, plan_undo, undo
from gitops.executor.state import Lock, StateFolder, check_run_id, clean_interrupted, make_run_id
from gitops.model.address import Address
from gitops.model.codec import Json, format_time, parse_time
from gitops.model.observation import Observation
from gitops.model.plan import HostPlan
from gitops.model.report import Outcome, Report
from gitops.model.resource import Resource
from gitops.model.scope import Scope
from gitops.model.wire import Event, Request
from gitops.plan.covers import find_excess
from gitops.plan.host import plan_host
from gitops.plan.item import Preparer
from gitops.providers.registry import make_registry

Emit = Callable[[Event], None]
CHANGES, HELD, FAILED = 2, 3, 4


@dataclass(frozen=True)
class Planned:
    """What the machine is and what it would do."""

    observation: Observation
    plan: HostPlan
    baseline: Mapping[Address, Resource]
    preparer: Preparer


def run_observe(request: Request, emit: Emit) -> int:
    """Observe and say so."""
    host, preparer = _open_host(request)
    items = preparer.prepare_all(request.resources)
    check_root(items, request.root)
    emit(Event("observation", observe_host(request.host, items, host, now=_now(), serial=request.serial).to_json()))
    return 0


def run_plan(request: Request, emit: Emit) -> int:
    """Plan against the machine as it is; change nothing."""
    planned = _plan(request, *_open_host(request), _read_baseline(request))
    emit(Event("observation", planned.observation.to_json()))
    emit(Event("plan", planned.plan.to_json()))
    return _plan_status(planned.plan)


def run_apply(request: Request, emit: Emit) -> int:
    """Plan again under the lock, hold what was not approved, apply the rest, report."""
    if request.dry_run:
        return run_plan(request, emit)
    state = StateFolder(request.state, request.root)
    started = _now()
    run = check_run_id(request.run) if request.run else make_run_id(time.time())
    lock = Lock(state.base, run, request.lock_timeout)
    try:
        _recover(state)
        ledger = state.read_ledger()
        planned = _plan(request, *_open_host(request), _baseline_of(request, ledger))
        emit(Event("plan", planned.plan.to_json()))
        report = _make_so(request, planned, state, _RunIdentity(run, started), emit)
        emit(Event("report", report.to_json()))
    finally:
        lock.release()
    return {"held": HELD, "failed": FAILED}.get(report.result, 0)


def run_rollback(request: Request, emit: Emit) -> int:
    """Undo a run, as a run of its own that can be undone again."""
    state = StateFolder(request.state, request.root)
    undone = check_run_id(request.run)
    meta = state.read_meta(undone)
    root = str(meta.get("root") or "")
    entries = read_journal(state.run_folder(undone))
    emit(Event("runs", {"undo": [describe_undo(entry) for entry in plan_undo(entries)], "run": undone, "root": root}))
    if request.dry_run:
        return CHANGES if entries else 0
    run = make_run_id(time.time())
    started = _now()
    lock = Lock(state.base, run, request.lock_timeout)
    try:
        _recover(state)
        folder = state.begin_run(
            run, {"host": str(meta.get("host")), "root": root, "started": format_time(started), "undoes": undone}
        )
        journal = Journal(folder)
        host = RealHost(root=root, journal=journal, run=run)
        outcomes = undo(entries, host, lambda outcome: emit(Event("step", outcome.to_json())))
        journal.close()
        result = "failed" if any(item.result == "failed" for item in outcomes) else "reverted"
        report = Report(run, str(meta.get("host")), result, started, _now(), outcomes, reason=f"rollback of {undone}")
        state.write_report(run, report.to_json())
        state.restore_ledger(undone)
        emit(Event("report", report.to_json()))
    finally:
        lock.release()
    return FAILED if result == "failed" else 0


def run_runs(request: Request, emit: Emit) -> int:
    """List the runs, or show one."""
    state = StateFolder(request.state, request.root)
    if request.run:
        report = state.read_report(check_run_id(request.run))
        if report is None:
            state.read_meta(request.run)
            raise UsageError(f"run {request.run} has no report yet", code="U032", hint="it is going on, or was interrupted")
        emit(Event("runs", {"report": report}))
        return 0
    rows: List[Json] = []
    for run in state.list_runs():
        meta, report = state.read_meta(run), state.read_report(run)
        row: Dict[str, Json] = {"run": run, "host": meta.get("host"), "started": meta.get("started")}
        row["result"] = "interrupted" if report is None else report.get("result")
        row["finished"] = None if report is None else report.get("finished")
        rows.append(row)
    emit(Event("runs", {"schema": "gitops/runs/v1", "runs": rows}))
    return 0


@dataclass(frozen=True)
class _RunIdentity:
    run: str
    started: datetime


def _make_so(request: Request, planned: Planned, state: StateFolder, identity: _RunIdentity, emit: Emit) -> Report:
    excess = _find_excess(request, planned.plan)
    if excess:
        outcomes = tuple(
            Outcome(change.address, change.action, "held", "not approved")
            for change in planned.plan.changes
            if change.classification != "corrective"
        )
        reason = f"more than was approved: {', '.join(excess)}"
        report = _make_report(request, planned, identity, "held", outcomes, reason=reason)
        _keep(state, identity, request, report)
        return report
    meta = {"host": request.host, "root": request.root, "started": format_time(identity.started)}
    if not planned.plan.changes:
        report = _make_report(request, planned, identity, "converged", ())
        if request.baseline is None:
            _write_ledger(request, planned, state, ())
        return report
    folder = state.begin_run(identity.run, meta)
    state.keep_ledger(identity.run)
    journal = Journal(folder)
    host = _make_host(request, planned.preparer, journal, identity.run)
    application = Application(planned.plan, request.resources, planned.observation, planned.preparer)
    outcomes = application.run(host, lambda outcome: emit(Event("step", outcome.to_json())))
    journal.close()
    host.close()
    fresh, _ = _open_host(request)
    items = planned.preparer.prepare_all(request.resources)
    observation = observe_host(request.host, items, fresh, now=_now(), serial=request.serial)
    bad = any(outcome.result in ("failed", "skipped", "refused") for outcome in outcomes)
    report = _make_report(
        request,
        Planned(observation, planned.plan, planned.baseline, planned.preparer),
        identity,
        "failed" if bad else "changed",
        outcomes,
    )
    state.write_report(identity.run, report.to_json())
    _write_ledger(request, planned, state, outcomes)
    return report


def _make_report(
    request: Request,
    planned: Planned,
    identity: _RunIdentity,
    result: str,
    outcomes: Tuple[Outcome, ...],
    *,
    reason: str = "",
) -> Report:
    return Report(
        run=identity.run,
        host=request.host,
        result=result,
        started=identity.started,
        finished=_now(),
        changes=outcomes,
        unchanged=planned.plan.unchanged,
        environment=request.environment,
        serial=request.serial,
        release=request.release,
        reason=reason,
        drifted=tuple(change.address for change in planned.plan.reported),
        observation=planned.observation,
    )


def _keep(state: StateFolder, identity: _RunIdentity, request: Request, report: Report) -> None:
    state.begin_run(identity.run, {"host": request.host, "root": request.root, "started": format_time(identity.started)})
    state.write_report(identity.run, report.to_json())


def _write_ledger(request: Request, planned: Planned, state: StateFolder, outcomes: Sequence[Outcome]) -> None:
    ledger = update_ledger(planned.baseline, request.resources, outcomes)
    if request.only:
        kept = {address: resource for address, resource in ledger.items() if address in request.only}
        ledger = {**planned.baseline, **kept}
    if ledger != dict(planned.baseline) or request.baseline is not None:
        state.write_ledger(ledger)


def _find_excess(request: Request, plan: HostPlan) -> Sequence[str]:
    if request.approved is None:
        return ()
    actual = Scope({plan.host: plan.scope})
    left = find_excess((Scope({plan.host: request.approved}),), actual).hosts.get(plan.host)
    if left is None:
        return ()
    words = [f"{address} ({verb})" for address, verb, _ in sorted(left.effects)]
    return words or [f"{address} (desired state)" for address, _ in sorted(left.intents)]


def _plan(request: Request, host: RealHost, preparer: Preparer, baseline: Mapping[Address, Resource]) -> Planned:
    items = preparer.prepare_all(request.resources)
    check_root(items, request.root)
    observation = observe_host(request.host, items, host, now=_now(), serial=request.serial)
    plan = plan_host(
        request.host,
        request.resources,
        observation=observation,
        baseline=baseline,
        preparer=preparer,
        only=frozenset(request.only),
    )
    host.close()
    return Planned(observation, plan, baseline, preparer)


def _open_host(request: Request) -> Tuple[RealHost, Preparer]:
    runs_guards = request.operation == "apply" and not request.dry_run
    preparer = make_preparer(make_registry(runs_guards=runs_guards or request.guards))
    return _make_host(request, preparer, None, ""), preparer


def _make_host(request: Request, preparer: Preparer, journal: Optional[Journal], run: str) -> RealHost:
    return RealHost(
        root=request.root,
        blobs=request.blobs,
        secrets=request.secrets,
        managed=find_managed(request.resources, preparer),
        journal=journal,
        run=run,
    )


def _read_baseline(request: Request) -> Mapping[Address, Resource]:
    if request.baseline is not None:
        return _by_address(request.baseline)
    if not request.state or not os.path.isdir(request.state):
        return {}
    return StateFolder(request.state, request.root).read_ledger()


def _baseline_of(request: Request, ledger: Mapping[Address, Resource]) -> Mapping[Address, Resource]:
    return ledger if request.baseline is None else _by_address(request.baseline)


def _by_address(resources: Sequence[Resource]) -> Dict[Address, Resource]:
    return {resource.address: resource for resource in resources}


def _recover(state: StateFolder) -> None:
    """Mark runs that a crash cut off, and remove the temporary files that they left (call it under the lock)."""
    for run in state.list_interrupted():
        meta = state.read_meta(run)
        root = str(meta.get("root") or "")
        removed = clean_interrupted(state.run_folder(run), run, root)
        started = parse_time(str(meta.get("started")))
        reason = f"interrupted; {len(removed)} temporary files removed"
        report = Report(run, str(meta.get("host")), "interrupted", started, _now(), reason=reason)
        state.write_report(run, report.to_json())


def _plan_status(plan: HostPlan) -> int:
    if plan.is_refused:
        return FAILED
    return CHANGES if plan.changes else 0


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)
