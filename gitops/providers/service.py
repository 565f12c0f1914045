"""Services of systemd: running or stopped, enabled or not; restarted or reloaded when notified. One query for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, List, Mapping, Optional, Sequence

from gitops.errors import HostError
from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.model.plan import Difference
from gitops.model.report import Outcome
from gitops.providers.base import Possible, Provider, Relations, Step
from gitops.providers.host import Host
from gitops.providers.steps import compare, do_each

SHOW = ("systemctl", "show", "--no-pager", "-p", "Id", "-p", "LoadState", "-p", "ActiveState", "-p", "UnitFileState", "--")
RUNNING = ("active", "reloading", "activating")
JOURNAL = ("journalctl", "--no-pager", "-q", "-n", "10", "-o", "cat", "-u")


@dataclass(frozen=True)
class ServiceSpec:
    """A service of the init system."""

    name: str
    state: Optional[str] = attribute("choice", "running or stopped", choices=("running", "stopped"))
    enabled: Optional[bool] = attribute("boolean", "started at boot")
    on_notify: str = attribute("choice", "what a notification does", default="restart", choices=("restart", "reload"))

    @property
    def unit(self) -> str:
        """The unit's full name."""
        return self.name if "." in self.name.rpartition("/")[2] else f"{self.name}.service"


class ServiceProvider(Provider[ServiceSpec]):
    """See the module."""

    kind = "service"
    spec = ServiceSpec
    summary = "a service (systemd)"

    def observe(self, specs: Sequence[ServiceSpec], host: Host) -> Mapping[str, State]:
        """State: exists, running, enabled."""
        done = host.run([*SHOW, *(spec.unit for spec in specs)])
        if done.status != 0:
            raise HostError(f"systemctl show failed: {done.output.strip()[-400:]}", code="E130", hint="is systemd the init here?")
        blocks = [_read_block(block) for block in done.output.strip().split("\n\n")]
        return {spec.name: _make_state(block) for spec, block in zip(specs, blocks)}

    def diff(self, spec: ServiceSpec, state: State) -> Optional[Difference]:
        """A unit that does not exist is stopped and not enabled."""
        is_running = None if spec.state is None else spec.state == "running"
        changes = compare((("running", is_running), ("enabled", spec.enabled)), state)
        if not changes:
            return None
        starts = any(change.name == "running" and change.after is True for change in changes)
        return Difference("update", changes, is_refresh=starts)

    def apply(self, steps: Sequence[Step[ServiceSpec]], host: Host) -> Iterator[Outcome]:
        """Reload unit files once, then start, stop, enable, disable, restart or reload."""
        host.run(["systemctl", "daemon-reload"])
        yield from do_each(steps, lambda step: self._do(step, host))

    def relate(self, spec: ServiceSpec) -> Relations:
        """A service comes after the package and the unit file of its name."""
        base = spec.unit.partition(".")[0]
        wants = (f"package:{base}", f"path:/etc/systemd/system/{spec.unit}", f"path:/lib/systemd/system/{spec.unit}")
        refresh = "" if spec.state == "stopped" else spec.on_notify
        return Relations((f"service:{spec.name}",), wants, refresh=refresh)

    def bound(self, spec: ServiceSpec) -> Sequence[Possible]:
        """At most: set it."""
        return (Possible("set"),) if spec.state is not None or spec.enabled is not None else ()

    def _do(self, step: Step[ServiceSpec], host: Host) -> None:
        unit = step.spec.unit
        if step.action in ("restart", "reload"):
            host.note_undo((), f"{step.address} was {step.action}ed")
            _control(["reload-or-restart" if step.action == "reload" else "restart", unit], unit, host)
            return
        for change in step.difference.fields:
            verbs = ("start", "stop") if change.name == "running" else ("enable", "disable")
            verb, inverse = verbs if change.after is True else verbs[::-1]
            host.note_undo(["systemctl", inverse, unit])
            _control([verb, unit], unit, host)


def _control(arguments: Sequence[str], unit: str, host: Host) -> None:
    done = host.run(["systemctl", *arguments])
    if done.status != 0:
        lines = host.run([*JOURNAL, unit]).output.strip()
        raise HostError(f"systemctl {arguments[0]}: {done.output.strip()[-400:]}\n{lines[-800:]}".strip(), code="E131")


def _read_block(block: str) -> Dict[str, str]:
    pairs: List[List[str]] = [line.split("=", 1) for line in block.splitlines() if "=" in line]
    return {pair[0]: pair[1] for pair in pairs}


def _make_state(block: Mapping[str, str]) -> Dict[str, Json]:
    return {
        "exists": block.get("LoadState") not in ("not-found", None),
        "running": block.get("ActiveState") in RUNNING,
        "enabled": block.get("UnitFileState") in ("enabled", "enabled-runtime", "static", "alias", "generated"),
    }
