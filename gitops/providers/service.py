"""Services of the machine's init system: running or stopped, enabled or not; restarted or reloaded when notified. With systemd also its
sockets, timers, paths, mounts and targets, by their whole names (`app.socket`, `backup.timer`).

`state` and `enabled` are independent (but runit only runs what is enabled); what is not declared is left alone, so a notification never
starts a service that was stopped. A service that does not exist yet is stopped and not enabled, and its change is conditional: a package
or a file may bring it. With launchd the name is a daemon's label, and what is loaded but waits for its time or a demand is stopped.
Refused: what is masked, enabling what systemd says has no choice (static units), `running` of a oneshot service that does not remain,
names that a tool would take for an option or a pattern, and everything on a machine that no known init runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterator, Mapping, Optional, Sequence

from gitops.errors import HostError
from gitops.model.attribute import attribute
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.providers.base import Foreseen, Possible, Provider, Relations, Step
from gitops.providers.host import Host
from gitops.providers.services.choose import NONE_HERE, find_supervisor
from gitops.providers.services.supervisor import Supervisor
from gitops.providers.services.systemd import CONFIGURED, FOLDERS, ONESHOT, unit_of
from gitops.providers.steps import compare, do_each

NAME = re.compile(r"(?!\.+\Z)[A-Za-z0-9:_.\\][A-Za-z0-9:_.\\@-]*\Z")
SCRIPTS = "/etc/init.d"
SUPERVISED = "/etc/sv"
DAEMONS = "/Library/LaunchDaemons"
TRIGGERS = (".socket", ".timer", ".path")
ONLY_SYSTEMD = "sockets, timers and the like are units of systemd, which does not run this machine"
ORDER = ("stop", "enable", "start", "disable")


@dataclass(frozen=True)
class ServiceSpec:
    """A service of the init system."""

    name: str
    state: Optional[str] = attribute("choice", "running or stopped", choices=("running", "stopped"))
    enabled: Optional[bool] = attribute("boolean", "started at boot")
    on_notify: str = attribute("choice", "what a notification does", default="restart", choices=("restart", "reload"))

    @property
    def unit(self) -> str:
        """The unit's full name, as systemd has it."""
        return unit_of(self.name)


class ServiceProvider(Provider[ServiceSpec]):
    """See the module."""

    kind = "service"
    spec = ServiceSpec
    summary = "a service (systemd, OpenRC, sysvinit, runit, launchd)"
    is_one_by_one = True

    def observe(self, specs: Sequence[ServiceSpec], host: Host) -> Mapping[str, State]:
        """State: `exists`, `running`, `enabled`; where it is so `masked`, `fixed` (systemd's word), `oneshot`.

        `trouble` is why nothing can be said of this machine's services.
        """
        supervisor = find_supervisor(host)
        if supervisor is None:
            return _tell_trouble(specs, NONE_HERE)
        foreign = [spec for spec in specs if not supervisor.takes_any_name and not unit_of(spec.name).endswith(".service")]
        good = [spec.name for spec in specs if not find_mistake(spec) and spec not in foreign]
        try:
            states = supervisor.read_states(good, host)
        except HostError as error:
            return _tell_trouble(specs, error.message)
        return {**{spec.name: states.get(spec.name, _NOTHING) for spec in specs}, **_tell_trouble(foreign, ONLY_SYSTEMD)}

    def diff(self, spec: ServiceSpec, state: State) -> Optional[Difference]:
        """Compare what is declared; starting also does what a notification would ask."""
        mistake = find_mistake(spec) or str(state.get("trouble") or "")
        if mistake:
            return Difference("refused", reason=mistake)
        is_running = None if spec.state is None else spec.state == "running"
        changes = compare((("running", is_running), ("enabled", spec.enabled)), state)
        if not changes:
            return None
        for change in changes:
            reason = _find_obstacle(change, spec, state)
            if reason:
                return Difference("refused", reason=reason)
        starts = any(change.name == "running" and change.after is True for change in changes)
        if state.get("exists"):
            return Difference("update", changes, is_refresh=starts)
        reason = "there is no such unit here yet: this fails if nothing before it brings one"
        return Difference("update", changes, reason, "conditional", is_refresh=starts)

    def apply(self, steps: Sequence[Step[ServiceSpec]], host: Host) -> Iterator[Outcome]:
        """Start, stop, enable, disable, restart or reload each; what died at once is told as failed."""
        supervisor = find_supervisor(host)
        if supervisor is None:
            yield from (Outcome(step.address, step.action, "failed", NONE_HERE) for step in steps)
            return
        supervisor.prepare([step.spec.name for step in steps], host)
        yield from do_each(steps, lambda step: _do(step, supervisor, host))
        supervisor.finish(host)

    def relate(self, spec: ServiceSpec) -> Relations:
        """A service comes after the package and the unit file, script or folder of its name (or of its template); a socket, timer or
        path also after the unit of the service that it starts.
        """
        base, at, _ = spec.unit.partition("@")
        files = [spec.unit, f"{base}@.{spec.unit.rpartition('.')[2]}"] if at else [spec.unit]
        if spec.unit.endswith(TRIGGERS):
            started = spec.unit.rpartition(".")[0]
            files.extend((f"{started}.service", f"{base if at else started}@.service"))
        package = base if at else spec.unit.rpartition(".")[0]
        script, folder = f"{SCRIPTS}/{package}", f"{SUPERVISED}/{package}"
        others = tuple(f"path:{path}" for path in (script, folder, f"{folder}/run", f"{DAEMONS}/{spec.name}.plist"))
        wants = (f"package:{package}", *(f"path:{folder}/{name}" for folder in FOLDERS for name in files), *others)
        refresh = "" if spec.state == "stopped" else spec.on_notify
        is_up = spec.state == "running" or spec.enabled is True
        return Relations((f"service:{spec.name}",), wants, refresh=refresh, stays_up=is_up)

    def foresee(self, spec: ServiceSpec, state: State, before: Sequence[Foreseen]) -> State:
        """A mask that is made or removed before counts; what then is there instead is known to the machine alone."""
        if not before:
            return state
        places = {f"{folder}/{spec.unit}" for folder in FOLDERS}
        touching = [item for item in before if places.intersection(item.relations.owns)]
        if any(item.relations.is_mask and item.action != "remove" for item in touching):
            return {**state, "masked": True}
        if touching and state.get("masked"):
            return {**{key: value for key, value in state.items() if key != "masked"}, "exists": False}
        return state

    def bound(self, spec: ServiceSpec) -> Sequence[Possible]:
        """At most: set it."""
        return (Possible("set"),) if spec.state is not None or spec.enabled is not None else ()


def find_mistake(spec: ServiceSpec) -> str:
    """Say why such a service cannot be, or nothing."""
    if not NAME.match(spec.name):
        return f"`{spec.name[:80]}` is not a unit's name (letters, digits, `:`, `_`, `.`, `-`, `@`, `\\`)"
    if spec.unit.rpartition(".")[0].endswith("@"):
        return f"`{spec.name}` is a template: name an instance of it, such as `{spec.unit.rpartition('.')[0]}main`"
    return ""


_NOTHING: State = {"exists": False, "running": False, "enabled": False}


def _tell_trouble(specs: Sequence[ServiceSpec], trouble: str) -> Mapping[str, State]:
    return {spec.name: {**_NOTHING, "trouble": trouble} for spec in specs}


def _find_obstacle(change: FieldChange, spec: ServiceSpec, state: State) -> str:
    if change.name == "enabled" and state.get("alias_of"):
        return f"it is another name of {state['alias_of']}, and such a name comes and goes with `enabled`: declare that one"
    if change.name == "enabled" and change.after is False and state.get("linked"):
        return (
            f"its unit file is a link to {state['linked']}, which systemd removes when it disables the unit, so that nothing could "
            f"enable it again: have the file in {CONFIGURED} (`systemd_unit`), or leave `enabled` out"
        )
    if change.after is not True:
        return _find_bond(change, spec, state)
    if state.get("masked"):
        return "it is masked on this machine; systemctl unmask would release it"
    if change.name == "enabled" and state.get("fixed"):
        return f"systemd calls it `{state.get('fixed')}`: it cannot be enabled by itself; leave `enabled` out"
    if change.name == "running" and state.get("oneshot"):
        return ONESHOT
    return _find_bond(change, spec, state)


def _find_bond(change: FieldChange, spec: ServiceSpec, state: State) -> str:
    """Say what forbids a change where only what is enabled can run (runit)."""
    if not state.get("supervised"):
        return ""
    will_be_enabled = state.get("enabled") if spec.enabled is None else spec.enabled
    if spec.state == "running" and not will_be_enabled:
        return "runit only runs what is enabled: declare `enabled: true` too"
    if change.name == "enabled" and change.after is False and spec.state is None and state.get("running"):
        return "runit stops what is disabled: declare `state: stopped` too"
    return ""


def _do(step: Step[ServiceSpec], supervisor: Supervisor, host: Host) -> None:
    name = step.spec.name
    if step.action in ("restart", "reload"):
        supervisor.control(step.action, name, host)
    for verb in sorted(map(_verb_of, step.difference.fields), key=ORDER.index):
        supervisor.control(verb, name, host)
    if step.action in ("restart", "reload") or any(change.after is True for change in step.difference.fields):
        supervisor.check_alive(name, host, is_wanted=step.spec.state == "running")


def _verb_of(change: FieldChange) -> str:
    if change.name == "enabled":
        return "enable" if change.after is True else "disable"
    return "start" if change.after is True else "stop"
