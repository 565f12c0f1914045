"""The two loops of DESIGN §6 on the machine: advance to the newest accepted release, heal to the last good one.

Each is one run of the executor as a child process, with the secrets of this machine filled in at the last moment. Advance may do what
was approved since the last good release; heal may only put back what that release already desired. Gives the report and the memory
that follows from it; remembers on disk before it returns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import cast

from agent.documents import AgentMemory, Failure, Staged
from agent.enrolled import Enrolled
from gitops import __version__
from gitops.errors import HeldError, HostError
from gitops.executor.state import Lock
from gitops.model.codec import Json
from gitops.model.report import Report
from gitops.model.resource import Resource
from gitops.model.scope import HostScope
from gitops.model.wire import Request
from gitops.plan.item import Preparer
from gitops.plan.settled import find_as_released
from gitops.providers.registry import PROVIDERS
from gitops.secrets.resolve import resolve_secrets
from gitops.transport.local import run_local

RETRY_SECONDS, MOST_RETRY_SECONDS = 600, 6 * 3600
GOOD = ("converged", "changed")
SHOWN = 500


@dataclass(frozen=True)
class Advanced:
    """The memory after trying to advance, and the report of the run."""

    memory: AgentMemory
    report: Report


def advance(machine: Enrolled, memory: AgentMemory, now: datetime) -> Advanced:
    """Converge to the newest accepted release; raise HeldError or HostError when it may not even be tried."""
    seen = memory.seen
    if seen is None:
        raise HeldError("no release was accepted yet", code="H120")
    staged = machine.state.read_staged(seen)
    _check_may_try(machine, memory, staged, now)
    baseline = () if memory.good is None else machine.state.read_staged(memory.good).resources or ()
    approved = memory.approved if machine.enrolment.demands_approvals else None
    report = _run(machine, staged, _Terms(baseline, approved))
    if report.result in GOOD:
        fresh = replace(memory, good=seen, approved=HostScope(), failure=None)
    elif report.result in ("failed", "reverted"):
        fresh = replace(memory, failure=_make_failure(memory, seen.release, report, now))
    else:
        return Advanced(memory, report)
    machine.state.write_memory(fresh)
    machine.state.forget(fresh)
    return Advanced(fresh, report)


def heal(machine: Enrolled, memory: AgentMemory) -> Report | None:
    """Put back what the last good release desires; None when there is none yet. Nothing but correction is ever approved here."""
    if memory.good is None:
        return None
    staged = machine.state.read_staged(memory.good)
    return _run(machine, staged, _Terms(staged.resources or (), HostScope()))


def retry_failed(machine: Enrolled) -> None:
    """Let the next cycle try a release again that failed here."""
    lock = Lock(str(machine.state.base), "of an operator", machine.settings.lock_seconds)
    try:
        memory = machine.state.read_memory()
        if memory.failure is not None:
            failure = replace(memory.failure, until=datetime.fromtimestamp(0, UTC))
            machine.state.write_memory(replace(memory, failure=failure))
    finally:
        lock.release()


def describe_failures(report: Report) -> str:
    """Say what of a run failed, bounded."""
    bad = [item.address for item in report.changes if item.result in ("failed", "refused")]
    return (", ".join(bad) or report.reason)[:SHOWN]


@dataclass(frozen=True)
class _Terms:
    baseline: tuple[Resource, ...]
    approved: HostScope | None


def _check_may_try(machine: Enrolled, memory: AgentMemory, staged: Staged, now: datetime) -> None:
    serial, failure = staged.manifest.serial, memory.failure
    if staged.resources is None:
        message = f"release {serial} does not list {machine.enrolment.host}"
        raise HeldError(message, code="H121", hint="was the host removed from the inventory, or moved to another environment?")
    if failure is not None and now < failure.until:
        message = f"release {serial} failed here ({failure.reason}); it is tried again after {failure.until:%Y-%m-%d %H:%M} UTC"
        raise HostError(message, code="E280", hint="`gitops agent resume` tries it at once; a newer release replaces it")


def _run(machine: Enrolled, staged: Staged, terms: _Terms) -> Report:
    resources = staged.resources or ()
    settings = machine.settings
    request = Request(
        operation="apply",
        host=machine.enrolment.host,
        environment=machine.enrolment.environment,
        resources=resources,
        baseline=terms.baseline,
        approved=terms.approved,
        secrets=resolve_secrets(resources, settings.environment, settings.secret_rules),
        blobs=str(machine.state.blobs),
        state=str(machine.state.machine),
        root=machine.root,
        lock_timeout=settings.lock_seconds,
        serial=staged.manifest.serial,
        release=staged.manifest.digest,
    )
    body = run_local(request, cache=machine.state.cache).body("report")
    return _tell_released(replace(Report.from_json(cast("Json", body)), agent=__version__), staged)


def _tell_released(report: Report, staged: Staged) -> Report:
    """Say which blocks are as released, so that a service need not compare each of their resources at each plan."""
    if report.observation is None:
        return report
    found = find_as_released(staged.resources or (), staged.blocks, report.observation, Preparer(PROVIDERS))
    return replace(report, observation=replace(report.observation, as_released=found))


def _make_failure(memory: AgentMemory, release: str, report: Report, now: datetime) -> Failure:
    tries = memory.failure.tries + 1 if memory.failure is not None else 1
    wait = min(RETRY_SECONDS * 2 ** min(tries - 1, 10), MOST_RETRY_SECONDS)
    return Failure(release, tries, now + timedelta(seconds=wait), describe_failures(report))
