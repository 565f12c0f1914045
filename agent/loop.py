"""Spine: one cycle of the agent. Look, advance, heal, report. Each line is one room; only what must stop everything is raised.

Healing never waits for anybody: whatever looking or advancing ends with, the machine is put back to the last good release. The exit
status is that of what stopped the advance, so a refusal (6) or an unreachable remote (7) is loud although the machine is well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from agent.accept import Accepted, accept_tip
from agent.converge import GOOD, Advanced, advance, describe_failures, heal
from agent.documents import AgentMemory, Last, Pause
from agent.enrolled import Enrolled
from agent.report import Delivery, Service, make_report, open_client, send_spooled
from agent.spool import Spool
from gitops.errors import BugError, HeldError, HostError, RebootingError, RevertedError, TrueupError, describe_os_error
from gitops.executor.state import Lock
from gitops.model.report import Report

Clock = Callable[[], datetime]
Noun = TypeVar("Noun")
ENDINGS = {"held": HeldError.exit_status, "failed": HostError.exit_status, "reverted": RevertedError.exit_status}


@dataclass(frozen=True)
class Cycle:
    """How a cycle ended: its report, what stopped it if anything did, and what is to be said aloud."""

    report: Report
    stop: TrueupError | None = None
    warnings: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        """The exit status of DESIGN §8."""
        if self.stop is not None:
            return self.stop.exit_status
        return ENDINGS.get(self.report.result, 0)


def run_cycle(machine: Enrolled, clock: Clock) -> Cycle:
    """Do one cycle under the agent's lock; raise TrustError when the state is lost, HeldError when another cycle is going on."""
    lock = Lock(str(machine.state.base), "of the agent", machine.settings.lock_seconds)
    try:
        memory, pause = machine.state.read_memory(), machine.state.read_pause()
        machine = machine.trust(memory.root)
        if pause is not None and clock() < pause.until:
            return _finish(machine, clock, _rest(machine, pause, clock()))
        looked, refusal = _try(machine, lambda: accept_tip(machine, memory, clock()))
        looked = looked or Accepted(memory)
        machine = machine.trust(looked.memory.root)
        advanced, stop = (None, refusal) if refusal or not looked.memory.is_behind else _advance(machine, looked.memory, clock)
        is_at_rest = _has_arrived(advanced) or _is_rebooting(stop)
        healed, trouble = (None, None) if is_at_rest else _try(machine, lambda: heal(machine, looked.memory))
        cycle = _conclude(machine, (advanced, healed), stop or trouble, clock())
        return _finish(machine, clock, replace(cycle, warnings=looked.warnings), healed=healed)
    finally:
        lock.release()


def _try(machine: Enrolled, stage: Callable[[], Noun]) -> tuple[Noun | None, TrueupError | None]:
    """Run a stage; give what it gave, or what stopped it. Lost state stops everything, a bug does not stop healing."""
    try:
        return stage(), None
    except TrueupError as error:
        if error.code in ("T110", "T111", "T112"):
            raise
        return None, error
    except OSError as error:
        return None, HostError(describe_os_error(error, str(machine.state.base)), code="E271")
    except Exception as error:  # noqa: BLE001  an unknown ending of one stage must not end healing; it is reported as a bug
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = "?" if place is None else f"{place.tb_frame.f_code.co_filename.rpartition('/')[2]}:{place.tb_lineno}"
        return None, BugError(f"{type(error).__name__} at {where}", code="B041")


def _advance(machine: Enrolled, memory: AgentMemory, clock: Clock) -> tuple[Advanced | None, TrueupError | None]:
    advanced, stop = _try(machine, lambda: advance(machine, memory, clock()))
    if advanced is None or _has_arrived(advanced):
        return advanced, stop
    report, serial = advanced.report, advanced.report.serial
    if report.result == "held":
        return advanced, HeldError(
            f"release {serial} is held: {report.reason}", code="H122", hint="plan it again and approve that"
        )
    return advanced, HostError(f"release {serial} failed here: {describe_failures(report)}", code="E281")


def _has_arrived(advanced: Advanced | None) -> bool:
    return advanced is not None and advanced.report.result in GOOD


def _is_rebooting(stop: TrueupError | None) -> bool:
    """Say whether the machine goes down: healing now would put back what the boot is for; the advance goes on after it."""
    return stop is not None and stop.code == RebootingError.code


def _conclude(
    machine: Enrolled, reports: tuple[Advanced | None, Report | None], stop: TrueupError | None, now: datetime
) -> Cycle:
    """Make one report of a cycle: of the advance when it ran, else of the healing, with the reason why it did not advance."""
    advanced, healed = reports
    reason = "" if stop is None else stop.message
    if advanced is not None:
        # What the machine is now is what healing left; the changes are those of the advance.
        observation = advanced.report.observation if healed is None else healed.observation
        report = replace(advanced.report, reason=reason, observation=observation)
        if report.result in ("failed", "reverted") and healed is not None and healed.result in GOOD:
            message = f"{reason}; put back to release {healed.serial}"
            hint = "it is tried again later; see `gitops agent status`"
            return Cycle(replace(report, result="reverted", reason=message), RevertedError(message, code="E500", hint=hint))
        return Cycle(report, stop)
    if healed is None:
        result = "held" if isinstance(stop, HeldError) else "failed"
        reason = reason or "there is nothing to converge to yet"
        report = make_report(machine.enrolment.host, result, reason, now, environment=machine.enrolment.environment)
        return Cycle(report, stop)
    result = {True: "held"}.get(isinstance(stop, HeldError), healed.result)
    result = "failed" if isinstance(stop, HostError) else result
    return Cycle(replace(healed, result=result, reason=reason or healed.reason), stop)


def _rest(machine: Enrolled, pause: Pause, now: datetime) -> Cycle:
    message = f"paused until {pause.until:%Y-%m-%d %H:%M} UTC: {pause.reason}"
    report = make_report(machine.enrolment.host, "held", message, now, environment=machine.enrolment.environment)
    return Cycle(report, HeldError(message, code="H123", hint="`gitops agent resume` ends the pause"))


def _finish(machine: Enrolled, clock: Clock, cycle: Cycle, healed: Report | None = None) -> Cycle:
    """Spool, remember how it ended, send: none of it may change how it ended."""
    spool = open_spool(machine)
    reports = [cycle.report] if machine.enrolment.service else []
    if reports and healed is not None and healed.run != cycle.report.run and healed.result != "converged":
        reports.append(healed)
    for report in reports:
        _, trouble = _try(machine, lambda report=report: spool.add(report))
        cycle = cycle if trouble is None else replace(cycle, warnings=(*cycle.warnings, f"report: {trouble.message}"))
    last = Last(clock(), cycle.report.run, cycle.report.result, cycle.status, cycle.report.reason)
    _, trouble = _try(machine, lambda: machine.state.write_last(last))
    delivery, problem = _try(machine, lambda: _send(machine, spool))
    said = [item.message for item in (trouble, problem) if item is not None]
    said += [delivery.trouble] if delivery is not None and delivery.trouble else []
    return replace(cycle, warnings=(*cycle.warnings, *said))


def open_spool(machine: Enrolled) -> Spool:
    """Open the machine's spool."""
    return Spool(machine.state.spool, machine.settings.spool_reports, machine.settings.spool_bytes)


def _send(machine: Enrolled, spool: Spool) -> Delivery:
    credential = machine.state.read_credential()
    if not machine.enrolment.service or not credential:
        return Delivery()
    with open_client() as client:
        return send_spooled(spool, Service(machine.enrolment.service, credential), client)
