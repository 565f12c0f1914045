"""One run: lock, recover, observe, plan, hold or apply, observe again, report. The stages; `__main__` only reads and writes lines."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import cached_property
from typing import Callable, Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple

from gitops.errors import UsageError
from gitops.executor.apply import BAD, Application, update_ledger
from gitops.executor.customfacts import CustomFacts
from gitops.executor.facts import read_facts
from gitops.executor.host import KnownPaths, RealHost
from gitops.executor.journal import Journal, has_entries, read_journal
from gitops.executor.ledger import Ledger, is_exactly, read_ledger, read_pending, restore_ledger, write_ledger, write_pending
from gitops.executor.observe import (
    check_root,
    find_managed,
    find_sensitive,
    make_preparer,
    mark_twins,
    observe_states,
    select_items,
)
from gitops.executor.pending import add_owed, find_owed, list_refreshes
from gitops.executor.prune import add_pruned, drop_pruned, mark_pruned
from gitops.executor.rollback import describe_rest, describe_undo, is_incomplete, plan_undo, undo
from gitops.executor.state import Lock, StateFolder, check_run_id, find_state, make_run_id
from gitops.executor.writes import sweep_temps
from gitops.model.address import Address
from gitops.model.codec import Json, Rows, format_time, parse_time
from gitops.model.observation import Observation
from gitops.model.plan import HostPlan
from gitops.model.report import Outcome, Report
from gitops.model.resource import Resource
from gitops.model.scope import HostScope, Scope
from gitops.model.wire import Event, Request
from gitops.plan.covers import find_excess
from gitops.plan.host import plan_host
from gitops.plan.item import Item, Preparer
from gitops.providers.registry import make_registry

Emit = Callable[[Event], None]
MakeHost = Callable[..., RealHost]
CHANGES, HELD, FAILED, REVERTED = 2, 3, 4, 5


@dataclass(frozen=True)
class Machine:
    """What stays the same through one request: the request, its resources prepared once, what was applied last, what is owed, and the
    custom facts, which are asked once.
    """

    request: Request
    preparer: Preparer
    items: Tuple[Item, ...]
    baseline: Mapping[Address, Resource]
    owed: FrozenSet[str]
    custom: CustomFacts
    make_host: MakeHost = RealHost

    @cached_property
    def known(self) -> KnownPaths:
        """What the host has to know of paths."""
        ever = (*self.request.resources, *self.baseline.values())
        return KnownPaths(find_managed(self.request.resources, self.preparer), find_sensitive(ever, self.preparer))

    def open_host(self, journal: Optional[Journal] = None, run: str = "") -> RealHost:
        """Give the real host; read-only without a journal."""
        return self.make_host(
            root=self.request.root,
            blobs=self.request.blobs,
            secrets=self.request.secrets,
            known=lambda: self.known,
            journal=journal,
            run=run,
        )

    def observe(self) -> Observation:
        """Observe what the request asks for."""
        host = self.open_host()
        try:
            selected = select_items(self.items, frozenset(self.request.only))
            seen = Observation(self.request.host, _now(), read_facts(), serial=self.request.serial)
            seen = self.custom.add(seen, [item.resource for item in selected], host.ask_fact)
            return mark_twins(observe_states(seen, selected, host), selected, host.tree)
        finally:
            host.close()


@dataclass(frozen=True)
class Planned:
    """What the machine is and what it would do."""

    observation: Observation
    plan: HostPlan


@dataclass(frozen=True)
class _Done:
    """What is left of a plan that was applied: what came of it, and what the report says of what it did not touch."""

    outcomes: Tuple[Outcome, ...]
    plan: HostPlan
    refreshes: FrozenSet[str]
    owed: FrozenSet[str]
    is_to_revert: bool


@dataclass(frozen=True)
class _RunIdentity:
    run: str
    started: datetime


@dataclass(frozen=True)
class _Place:
    host: str
    root: str
    make_host: MakeHost


def run_observe(request: Request, emit: Emit, *, make_host: MakeHost = RealHost) -> int:
    """Observe and say so; `make_host` opens the machine (laws are tried on one that is simulated)."""
    emit(Event("observation", _prepare(request, {}, frozenset(), make_host).observe().to_json()))
    return 0


def run_plan(request: Request, emit: Emit, *, make_host: MakeHost = RealHost) -> int:
    """Plan against the machine as it is; change nothing."""
    planned = _plan(_prepare_here(request, _existing_state(request), make_host))
    emit(Event("observation", planned.observation.to_json()))
    emit(Event("plan", planned.plan.to_json(Rows)))
    return _plan_status(planned.plan)


def run_apply(request: Request, emit: Emit, *, make_host: MakeHost = RealHost) -> int:
    """Plan again under the lock, hold what was not approved, apply the rest, report."""
    if request.dry_run:
        return run_plan(request, emit, make_host=make_host)
    state = StateFolder(request.state, request.root)
    identity = _RunIdentity(check_run_id(request.run) if request.run else make_run_id(time.time()), _now())
    lock = Lock(state.base, identity.run, request.lock_timeout, lambda holder: emit(Event("waiting", {"holder": holder})))
    try:
        _recover(state, make_host)
        report = _make_so(_prepare_here(request, state, make_host), state, identity, emit)
        emit(Event("report", report.to_json(Rows)))
    finally:
        lock.release()
    return {"held": HELD, "failed": FAILED, "reverted": REVERTED}.get(report.result, 0)


def run_rollback(request: Request, emit: Emit, *, make_host: MakeHost = RealHost) -> int:
    """Undo a run, as a run of its own that can be undone again."""
    undone = check_run_id(request.run)
    state = find_state(request.state, undone)
    meta = state.read_meta(undone)
    root = str(meta.get("root") or "")
    entries = read_journal(state.run_folder(undone))
    here, left = make_host(root=root), state.read_left(undone)
    described: List[Json] = [describe_undo(entry, left, here) for entry in plan_undo(entries)]
    here.close()
    emit(Event("runs", {"undo": described, "run": undone, "host": meta.get("host"), "root": root}))
    if request.dry_run:
        return CHANGES if entries else 0
    identity = _RunIdentity(make_run_id(time.time()), _now())
    if not entries:
        nothing = Report(identity.run, str(meta.get("host")), "converged", identity.started, _now(), reason="nothing to undo")
        emit(Event("report", nothing.to_json()))
        return 0
    lock = Lock(state.base, identity.run, request.lock_timeout, lambda holder: emit(Event("waiting", {"holder": holder})))
    try:
        _recover(state, make_host)
        report = _undo_run(state, identity, undone, _Place(str(meta.get("host")), root, make_host), emit)
        emit(Event("report", report.to_json()))
    finally:
        lock.release()
    return FAILED if report.result == "failed" else 0


def run_runs(request: Request, emit: Emit) -> int:
    """List the runs, or show one."""
    if request.run:
        state = find_state(request.state, check_run_id(request.run))
        report = state.read_report(request.run)
        if report is None:
            raise UsageError(f"run {request.run} has no report yet", code="U032", hint="it is going on, or was interrupted")
        emit(Event("runs", {"report": report}))
        return 0
    existing = _existing_state(request)
    known = () if existing is None else existing.list_runs()
    rows: List[Json] = [_row_of(existing, run) for run in known if existing is not None and existing.has_meta(run)]
    emit(Event("runs", {"schema": "gitops/runs/v1", "runs": rows}))
    return 0


def _row_of(state: StateFolder, run: str) -> Json:
    meta, report = state.read_meta(run), state.read_report(run)
    return {
        "run": run,
        "host": meta.get("host"),
        "started": meta.get("started"),
        "result": "interrupted" if report is None else report.get("result"),
        "finished": None if report is None else report.get("finished"),
    }


def _make_so(machine: Machine, state: StateFolder, identity: _RunIdentity, emit: Emit) -> Report:
    request, planned = machine.request, _plan(machine)
    emit(Event("plan", planned.plan.to_json(Rows)))
    excess = _find_excess(request, planned.plan)
    if excess:
        return _hold(machine, planned, state, identity, excess)
    if not planned.plan.changes:
        before, ledger = _next_ledger(machine, state, ())
        if request.baseline is None and ledger != before:
            write_ledger(state.base, ledger)
        return _make_report(request, planned, identity, "converged", ())
    done = _apply(machine, planned, state, identity, emit)
    del planned  # the largest of all that a run holds: it goes before what came of it is looked at
    report = _conclude(machine, done, state, identity)
    is_to_revert = done.is_to_revert and has_entries(state.run_folder(identity.run))
    return _put_back(machine, done.refreshes, state, report, emit) if is_to_revert else report


def _apply(machine: Machine, planned: Planned, state: StateFolder, identity: _RunIdentity, emit: Emit) -> _Done:
    request, plan = machine.request, planned.plan
    folder = state.begin_run(identity.run, _meta_of(request.host, request.root, identity))
    refreshes = list_refreshes(plan)
    write_pending(state.base, machine.owed | refreshes)
    journal = Journal(folder)
    host = machine.open_host(journal, identity.run)
    application = Application(plan, request.resources, planned.observation, machine.preparer)
    outcomes = application.run(host, lambda outcome: emit(Event("step", outcome.to_json())))
    host.writer.settle()
    _leave(state, identity.run, journal, host)
    rest = replace(plan, changes=(), implied=(), scope=HostScope())
    return _Done(outcomes, rest, refreshes, find_owed(plan, outcomes, machine.owed), application.is_to_revert)


def _conclude(machine: Machine, done: _Done, state: StateFolder, identity: _RunIdentity) -> Report:
    result = "failed" if any(outcome.result in BAD for outcome in done.outcomes) else "changed"
    after = Planned(machine.observe(), done.plan)
    report = _make_report(machine.request, after, identity, result, done.outcomes)
    write_pending(state.base, done.owed)
    ledgers = _next_ledger(machine, state, done.outcomes)
    state.finish_run(identity.run, ledgers, report.to_json(Rows), digest=machine.preparer.desired_of)
    return report


def _put_back(machine: Machine, refreshes: FrozenSet[str], state: StateFolder, failed: Report, emit: Emit) -> Report:
    """Undo a run that failed, as a run of its own, and say so in the failed one's report. What was restarted has to be so again."""
    request = machine.request
    place = _Place(request.host, request.root, machine.make_host)
    undone = _undo_run(state, _RunIdentity(make_run_id(time.time()), _now()), failed.run, place, emit)
    tried = {item.address for item in failed.changes if item.result in ("changed", "failed")}
    write_pending(state.base, machine.owed | (refreshes & tried))
    is_whole = undone.result == "reverted"
    words = "what the run changed was put back" if is_whole else "not all that the run changed could be put back"
    rest = describe_rest(undone.changes)
    report = replace(
        failed,
        result="reverted" if is_whole else "failed",
        finished=_now(),
        changes=tuple(
            replace(item, result="reverted") if is_whole and item.result == "changed" else item for item in failed.changes
        ),
        reason=f"{words}, by run {undone.run}" + (f"; {rest}" if rest else ""),
        observation=machine.observe(),
    )
    state.write_report(failed.run, report.to_json())
    return report


def _hold(machine: Machine, planned: Planned, state: StateFolder, identity: _RunIdentity, excess: Sequence[str]) -> Report:
    outcomes = tuple(
        Outcome(change.address, change.action, "held", "not approved")
        for change in planned.plan.changes
        if change.classification != "corrective"
    )
    reason = f"more than was approved: {', '.join(excess)}"
    report = _make_report(machine.request, planned, identity, "held", outcomes, reason=reason)
    state.begin_run(identity.run, _meta_of(machine.request.host, machine.request.root, identity))
    state.write_report(identity.run, report.to_json())
    return report


def _undo_run(state: StateFolder, identity: _RunIdentity, undone: str, place: _Place, emit: Emit) -> Report:
    folder = state.begin_run(identity.run, {**_meta_of(place.host, place.root, identity), "undoes": undone})
    journal = Journal(folder)
    host = place.make_host(root=place.root, journal=journal, run=identity.run)
    entries = read_journal(state.run_folder(undone))
    outcomes = undo(entries, host, lambda outcome: emit(Event("step", outcome.to_json())))
    _leave(state, identity.run, journal, host)
    result = "failed" if is_incomplete(outcomes) else "reverted"
    rest = describe_rest(outcomes)
    reason = f"rollback of {undone}; {rest}" if rest else f"rollback of {undone}"
    report = Report(identity.run, place.host, result, identity.started, _now(), outcomes, reason=reason)
    restore_ledger(state.base, state.run_folder(undone))
    state.write_report(identity.run, report.to_json())
    return report


def _leave(state: StateFolder, run: str, journal: Journal, host: RealHost) -> None:
    """Note what the run left, so that a later undo can tell what was changed since; close both."""
    state.write_left(run, journal.paths, host.tree.fingerprint)
    journal.close()
    host.close()


def _meta_of(host: str, root: str, identity: _RunIdentity) -> Dict[str, Json]:
    return {"host": host, "root": root, "started": format_time(identity.started)}


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


def _find_excess(request: Request, plan: HostPlan) -> Sequence[str]:
    if request.approved is None:
        return ()
    actual = Scope({plan.host: plan.scope})
    left = find_excess((Scope({plan.host: request.approved}),), actual).hosts.get(plan.host)
    if left is None:
        return ()
    words = [f"{address} ({verb})" for address, verb, _ in sorted(left.effects)]
    return words or [f"{address} (desired state)" for address, _ in sorted(left.intents)]


def _next_ledger(machine: Machine, state: StateFolder, outcomes: Sequence[Outcome]) -> Tuple[Ledger, Ledger]:
    """Give the ledger as it is and as it is after a run."""
    request, before = machine.request, dict(machine.baseline)
    if request.baseline is not None:
        before = read_ledger(state.base, request.resources)
    ledger = drop_pruned(update_ledger(machine.baseline, request.resources, outcomes), request, outcomes)
    if request.only:
        selected = {item.resource.address for item in select_items(machine.items, frozenset(request.only))}
        kept = {address: resource for address, resource in ledger.items() if address in selected}
        ledger = {**machine.baseline, **kept}
    return before, ledger


def _prepare_here(request: Request, state: Optional[StateFolder], make_host: MakeHost) -> Machine:
    """Prepare with what this machine remembers; who will write the ledger reads it first, so that a damaged one stops all."""
    if state is None:
        return _prepare(add_pruned(request, {}), {}, frozenset(), make_host)
    is_read = request.baseline is None or _is_to_apply(request)
    ledger = read_ledger(state.base, request.resources) if is_read else {}
    owed = read_pending(state.base)
    return _prepare(add_pruned(request, ledger), ledger, owed, make_host)


def _prepare(request: Request, ledger: Mapping[Address, Resource], owed: FrozenSet[str], make_host: MakeHost) -> Machine:
    runs_guards = request.guards or _is_to_apply(request)
    preparer = make_preparer(make_registry(runs_guards=runs_guards))
    items = preparer.prepare_all(request.resources)
    check_root(select_items(items, frozenset(request.only)), request.root)
    baseline = ledger if request.baseline is None else {resource.address: resource for resource in request.baseline}
    custom = CustomFacts(may_run=runs_guards, root=request.root)
    return Machine(request, preparer, items, _share(baseline, request.resources), owed, custom, make_host)


def _is_to_apply(request: Request) -> bool:
    return request.operation == "apply" and not request.dry_run


def _share(baseline: Mapping[Address, Resource], resources: Sequence[Resource]) -> Mapping[Address, Resource]:
    """Give the baseline with the very objects of the request where both say the same, so that each is prepared and digested once."""
    equal = {resource.address: resource for resource in resources if _are_equal(baseline.get(resource.address), resource)}
    return {address: equal.get(address, resource) for address, resource in baseline.items()}


def _are_equal(one: Optional[Resource], other: Resource) -> bool:
    return one is other or (one is not None and is_exactly(one.to_json(), other))


def _plan(machine: Machine) -> Planned:
    request, observation = machine.request, machine.observe()
    plan = plan_host(
        request.host,
        request.resources,
        observation=observation,
        baseline=machine.baseline,
        preparer=machine.preparer,
        only=frozenset(request.only),
    )
    plan = mark_pruned(plan, request)
    return Planned(observation, add_owed(plan, machine.owed, machine.items, observation))


def _existing_state(request: Request) -> Optional[StateFolder]:
    """Give the state, or None where there is none yet: looking makes no folder."""
    if not request.state or not os.path.isdir(request.state):
        return None
    return StateFolder(request.state, request.root)


def _recover(state: StateFolder, make_host: MakeHost) -> None:
    """Mark runs that a crash cut off, and remove the temporary files that they left (call it under the lock)."""
    for run in state.list_interrupted():
        if not has_entries(state.run_folder(run)):
            state.drop_run(run)  # nothing of it had begun
            continue
        meta = state.read_meta(run)
        host = make_host(root=str(meta.get("root") or ""))
        folders = sorted({entry.path.rpartition("/")[0] for entry in read_journal(state.run_folder(run)) if entry.path})
        removed = sweep_temps(host.tree, folders, run)
        host.close()
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
