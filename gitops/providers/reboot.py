"""Reboots: when a file says that one is required, or when something that changed asks for one. Never twice for one cause.

The run ends where the machine goes down, and what `needs` the reboot waits: the journal tells the next run (of the agent, which starts at
boot, or of whoever pushes) that this one was cut off, and that goes on with the rest. Before the machine goes down a stamp is written,
`/var/lib/trueup-reboot-NAME`, and while it is younger than `interval` this resource asks for no other: a cause that is still there after
the boot is an error that people must look at, not a loop. A reboot cannot be undone.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence

from gitops.errors import HostError, RebootingError, TrueupError
from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.model.plan import OWED, Difference
from gitops.model.report import Outcome
from gitops.providers.base import Possible, Provider, Relations, Step
from gitops.providers.host import FileWrite, Host, Metadata
from gitops.providers.services.systemd import BOOTED
from gitops.providers.steps import describe_failure

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
STAMPS = "/var/lib/trueup-reboot-"
BOOT_ID, FIRST_PROCESS = "/proc/sys/kernel/random/boot_id", "/proc/1/stat"
UPTIME, STATISTICS = "/proc/uptime", "/proc/stat"
START_TIME = 19  # of the fields of /proc/PID/stat that follow the name, see proc(5)
ALTHOUGH = "although this asked for a reboot lately"
VANISHING = ("/run/", "/var/run/")
DAY = 86400
LOOKS = 30
GOING_DOWN = ("stopping", "offline")
OUTPUT_SHOWN = 400


@dataclass(frozen=True)
class RebootSpec:
    """A reboot; the name is only a name."""

    name: str
    if_exists: Optional[str] = attribute("path", "reboot while this exists, like `/run/reboot-required`; else only when notified")
    interval: int = attribute(
        "integer", "seconds between two reboots of this resource, at least", default=DAY, bounds=(600, 31536000)
    )

    @property
    def stamp(self) -> str:
        """The file that remembers the last reboot."""
        return f"{STAMPS}{self.name}"


@dataclass(frozen=True)
class Stamp:
    """In which boot it was asked for, and when (seconds since 1970); `is_spent` once the boot after it was noticed."""

    boot: str
    at: int
    is_spent: bool = False

    @property
    def text(self) -> str:
        """The file."""
        return json.dumps({"at": self.at, "boot": self.boot, "spent": self.is_spent}, sort_keys=True) + "\n"


class RebootProvider(Provider[RebootSpec]):
    """See the module."""

    kind = "reboot"
    spec = RebootSpec
    summary = "a reboot, when one is required"
    tells_all = False
    needs_linux = True

    def observe(self, specs: Sequence[RebootSpec], host: Host) -> Mapping[str, State]:
        """State: whether its cause is there; whether it was done lately."""
        states: Dict[str, State] = {}
        for spec in specs:
            state: Dict[str, Json] = {}
            if not find_mistake(spec):
                stamp = _read_stamp(spec, host)
                state["cause"] = bool(spec.if_exists) and host.inspect(spec.if_exists or "").type != "absent"
                state["lately"] = stamp is not None and _is_young(stamp, spec, host)
            states[spec.name] = state
        return states

    def diff(self, spec: RebootSpec, state: State) -> Optional[Difference]:
        """Say whether it would reboot: its cause is there, and it has not done it lately."""
        mistake = find_mistake(spec)
        if mistake:
            return Difference("refused", reason=mistake)
        if not state.get("cause"):
            return None
        if state.get("lately"):
            return Difference(
                "refused", reason=f"{spec.if_exists} is there although this rebooted the machine lately; look into it"
            )
        return Difference("run", reason=f"{spec.if_exists} is there; a reboot cannot be undone")

    def apply(self, steps: Sequence[Step[RebootSpec]], host: Host) -> Iterator[Outcome]:
        """Reboot, and end the run there; what is owed from before a boot is done by it."""
        for step in steps:
            try:
                message = _reboot(step, host)
            except RebootingError:
                raise
            except (TrueupError, OSError) as error:
                yield Outcome(step.address, step.action, "failed", describe_failure(error))
            else:
                yield Outcome(step.address, step.action, "changed", message)

    def relate(self, spec: RebootSpec) -> Relations:
        """After whatever brings its cause; a notification reboots."""
        if find_mistake(spec):
            return Relations()
        return Relations((), tuple(f"path:{path}" for path in (spec.if_exists,) if path), refresh="run")

    def bound(self, spec: RebootSpec) -> Sequence[Possible]:
        """At most: reboot."""
        return (Possible("run"),) if spec.if_exists else ()


def find_mistake(spec: RebootSpec) -> str:
    """Say what of a Spec cannot be meant; empty when nothing."""
    if not NAME.match(spec.name):
        return f"{spec.name[:80]!r} is no name for a reboot: small letters, digits and `-`"
    if spec.if_exists and not spec.if_exists.startswith(VANISHING):
        return "`if_exists` must lie below /run: what a boot does not take away would ask for the next one for ever"
    return ""


def _reboot(step: Step[RebootSpec], host: Host) -> str:
    """Give words when the boot that was asked for has been; raise RebootingError when the machine goes down now."""
    spec, boot, stamp = step.spec, _read_boot(host), _read_stamp(step.spec, host)
    if not boot:
        raise HostError("this machine does not tell its boots apart, so a loop could not be told from a reboot", code="E311")
    if stamp is not None and _is_young(stamp, spec, host):  # no way leads past this to a second reboot, whatever boots are called
        is_owed = step.difference.reason == OWED and not step.state.get("cause")
        if is_owed and stamp.boot != boot and not stamp.is_spent:
            _write_stamp(spec, Stamp(stamp.boot, stamp.at, is_spent=True), host)
            return "the machine has booted since"
        raise HostError(f"this asked for a reboot less than {spec.interval} s ago; not again until then", code="E312")
    _write_stamp(spec, Stamp(boot, _read_time(host)), host)
    host.note_undo((), f"{step.address} rebooted the machine: that cannot be undone")
    argv = ["systemctl", "reboot"] if host.inspect(BOOTED).type == "directory" else ["shutdown", "-r", "now"]
    with contextlib.suppress(KeyboardInterrupt):  # the machine may end this process before its programs have answered
        done = host.run(argv)
        if done.status != 0:
            raise HostError(f"{' '.join(argv)} ended with {done.status}: {done.output.strip()[-OUTPUT_SHOWN:]}", code="E313")
        with contextlib.suppress(HostError, OSError):
            _await_end(host)
    message = "the machine reboots; what is left is done by the next run"
    raise RebootingError(message, hint="an agent goes on by itself after the boot; else apply again")


def _await_end(host: Host) -> None:
    """Wait until the machine has begun to go down, so that nobody begins another run before; not longer: it may be waiting for us."""
    for _ in range(LOOKS):
        if host.run(["systemctl", "is-system-running"]).output.strip() in GOING_DOWN:
            return
        host.run(["sleep", "1"])


def _write_stamp(spec: RebootSpec, stamp: Stamp, host: Host) -> None:
    failures = {**host.prepare([spec.stamp])}
    if not failures:
        failures.update(host.write_files([FileWrite(spec.stamp, stamp.text, Metadata(mode="0600"))]))
    if failures:
        raise HostError(f"{spec.stamp} cannot be written, so nothing is rebooted: {failures[spec.stamp]}", code="E314")


def _read_stamp(spec: RebootSpec, host: Host) -> Optional[Stamp]:
    """Give the stamp; one that cannot be read counts as just made, in another boot."""
    if host.inspect(spec.stamp).type == "absent":
        return None
    try:
        found: Any = json.loads(host.read_text(spec.stamp))
        return Stamp(str(found["boot"]), int(found["at"]), bool(found["spent"]))
    except (HostError, OSError, ValueError, KeyError, TypeError):
        return Stamp("", _read_time(host), is_spent=True)


def _is_young(stamp: Stamp, spec: RebootSpec, host: Host) -> bool:
    """Say whether it is younger than the interval; one of the future is, too."""
    return _read_time(host) - stamp.at < spec.interval


def _read_boot(host: Host) -> str:
    """Give what no other boot has: the kernel's name for it, and when the first process began (containers may share the former)."""
    boot, fields = host.read_text(BOOT_ID).strip(), host.read_text(FIRST_PROCESS).rpartition(")")[2].split()
    return f"{boot} {fields[START_TIME]}" if boot and len(fields) > START_TIME else ""


def _read_time(host: Host) -> int:
    """Give the time as the kernel has it: when it booted, and how long ago; zero where it does not tell, so that all stamps are young."""
    uptime = host.read_text(UPTIME).split(".")[0]
    booted = next((line.split()[1] for line in host.read_text(STATISTICS).splitlines() if line.startswith("btime ")), "")
    return int(booted) + int(uptime) if booted.isdigit() and uptime.isdigit() else 0
