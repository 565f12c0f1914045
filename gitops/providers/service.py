"""Services of systemd: running or stopped, enabled or not; restarted or reloaded when notified. One query for all.

`state` and `enabled` are independent; what is not declared is left alone, so a notification never starts a service that was stopped.
A unit that does not exist yet is stopped and not enabled, and its change is conditional: a package or a file may bring it. Refused:
what is masked, enabling what systemd says has no choice (static units), `running` of a oneshot service that does not remain, names
that systemctl would take for an option or a pattern, and everything on a machine that systemd does not run.
"""

from __future__ import annotations

import re
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

BOOTED = "/run/systemd/system"
PROPERTIES = ("LoadState", "ActiveState", "SubState", "UnitFileState", "Type", "RemainAfterExit")
SHOW = ("systemctl", "show", "--no-pager", *(f"--property={name}" for name in PROPERTIES), "--")
RUNNING = ("active", "reloading", "activating")
ENABLED = ("enabled", "alias")
NO_CHOICE = ("static", "indirect", "transient")
JOURNAL = ("journalctl", "--no-pager", "-q", "-n", "10", "-o", "cat", "-u")
OUTPUT_SHOWN, JOURNAL_SHOWN = 400, 1000
NAME = re.compile(r"[A-Za-z0-9:_.\\][A-Za-z0-9:_.\\@-]*\Z")
UNIT_TYPES = ("service", "socket", "timer", "path", "mount", "automount", "swap", "target", "slice", "scope", "device")
FOLDERS = ("/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system")


@dataclass(frozen=True)
class ServiceSpec:
    """A service of the init system."""

    name: str
    state: Optional[str] = attribute("choice", "running or stopped", choices=("running", "stopped"))
    enabled: Optional[bool] = attribute("boolean", "started at boot")
    on_notify: str = attribute("choice", "what a notification does", default="restart", choices=("restart", "reload"))

    @property
    def unit(self) -> str:
        """The unit's full name: `php8.2-fpm` is a service, `backup.timer` is what it says."""
        return self.name if self.name.rpartition(".")[2] in UNIT_TYPES and "." in self.name else f"{self.name}.service"


class ServiceProvider(Provider[ServiceSpec]):
    """See the module."""

    kind = "service"
    spec = ServiceSpec
    summary = "a service (systemd)"

    def observe(self, specs: Sequence[ServiceSpec], host: Host) -> Mapping[str, State]:
        """State: `exists`, `running`, `enabled`; where it is so `masked`, `fixed` (systemd's word), `oneshot`.

        `trouble` is why nothing can be said of this machine's services.
        """
        if host.inspect(BOOTED).type != "directory":
            return _tell_trouble(specs, "systemd does not run this machine")
        good = [spec for spec in specs if not find_mistake(spec)]
        try:
            shown = dict(zip((spec.name for spec in good), _show([spec.unit for spec in good], host)))
        except HostError as error:
            return _tell_trouble(specs, error.message)
        states: Dict[str, State] = {}
        for spec in specs:
            state = make_state(shown.get(spec.name, {}))
            if shown.get(spec.name, {}).get("UnitFileState") == "generated":  # from an init script: only this knows
                state["enabled"] = host.run(["systemctl", "is-enabled", "--", spec.unit]).status == 0
            states[spec.name] = state
        return states

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
            reason = _find_obstacle(change.name, change.after, state)
            if reason:
                return Difference("refused", reason=reason)
        starts = any(change.name == "running" and change.after is True for change in changes)
        if state.get("exists"):
            return Difference("update", changes, is_refresh=starts)
        reason = "there is no such unit here yet: this fails if nothing before it brings one"
        return Difference("update", changes, reason, "conditional", is_refresh=starts)

    def apply(self, steps: Sequence[Step[ServiceSpec]], host: Host) -> Iterator[Outcome]:
        """Reload unit files once, then start, stop, enable, disable, restart or reload; what died at once is told as failed."""
        host.run(["systemctl", "daemon-reload"])
        yield from do_each(steps, lambda step: self._do(step, host))
        host.note_undo(
            ["systemctl", "daemon-reload"]
        )  # the newest entry, so the first to be undone: unit files may be back by then

    def relate(self, spec: ServiceSpec) -> Relations:
        """A service comes after the package and the unit file of its name (or of its template)."""
        base, at, _ = spec.unit.partition("@")
        files = [spec.unit, f"{base}@.{spec.unit.rpartition('.')[2]}"] if at else [spec.unit]
        package = base if at else spec.unit.rpartition(".")[0]
        wants = (f"package:{package}", *(f"path:{folder}/{name}" for folder in FOLDERS for name in files))
        refresh = "" if spec.state == "stopped" else spec.on_notify
        return Relations((f"service:{spec.name}",), wants, refresh=refresh)

    def bound(self, spec: ServiceSpec) -> Sequence[Possible]:
        """At most: set it."""
        return (Possible("set"),) if spec.state is not None or spec.enabled is not None else ()

    def _do(self, step: Step[ServiceSpec], host: Host) -> None:
        unit = step.spec.unit
        if step.action in ("restart", "reload"):
            verb = "try-reload-or-restart" if step.action == "reload" else "try-restart"
            host.note_undo(["systemctl", verb, "--", unit])
            _control(verb, unit, host)
        for change in step.difference.fields:
            if change.name == "enabled":
                verb, inverse = ("enable", "disable") if change.after is True else ("disable", "enable")
            else:
                # `restart` and not `start`: a package may have started it since, before its config was in place.
                verb, inverse = ("restart", "stop") if change.after is True else ("stop", "start")
            host.note_undo(["systemctl", inverse, "--", unit])
            _control(verb, unit, host)
        if step.action in ("restart", "reload") or any(change.after is True for change in step.difference.fields):
            _check_alive(step, host)


def find_mistake(spec: ServiceSpec) -> str:
    """Say why such a service cannot be, or nothing."""
    if not NAME.match(spec.name):
        return f"`{spec.name[:80]}` is not a unit's name (letters, digits, `:`, `_`, `.`, `-`, `@`, `\\`)"
    if spec.unit.rpartition(".")[0].endswith("@"):
        return f"`{spec.name}` is a template: name an instance of it, such as `{spec.unit.rpartition('.')[0]}main`"
    return ""


def make_state(shown: Mapping[str, str]) -> Dict[str, Json]:
    """Give the state of one unit from systemd's properties; a service that waits to be started again after it failed is not running."""
    load, file_state = shown.get("LoadState", "not-found"), shown.get("UnitFileState", "")
    state: Dict[str, Json] = {
        "exists": load != "not-found",
        "running": shown.get("ActiveState") in RUNNING and shown.get("SubState") != "auto-restart",
        "enabled": file_state in ENABLED,
    }
    if load == "masked":
        state["masked"] = True
    if file_state in NO_CHOICE:
        state["fixed"] = file_state
    if shown.get("Type") == "oneshot" and shown.get("RemainAfterExit") == "no":
        state["oneshot"] = True
    return state


def _tell_trouble(specs: Sequence[ServiceSpec], trouble: str) -> Mapping[str, State]:
    return {spec.name: {"exists": False, "running": False, "enabled": False, "trouble": trouble} for spec in specs}


def _find_obstacle(name: str, after: Json, state: State) -> str:
    if state.get("masked") and after is True:
        return "it is masked on this machine; systemctl unmask would release it"
    if name == "enabled" and state.get("fixed"):
        return f"systemd calls it `{state.get('fixed')}`: it cannot be enabled by itself; leave `enabled` out"
    if name == "running" and after is True and state.get("oneshot"):
        return "it is a oneshot service that does not remain after its work, so it is never found running; leave `state` out"
    return ""


def _show(units: Sequence[str], host: Host) -> Sequence[Mapping[str, str]]:
    if not units:
        return ()
    done = host.run([*SHOW, *units])
    blocks = [_read_block(block) for block in done.output.strip().split("\n\n")]
    if done.status != 0 or len(blocks) != len(units):
        raise HostError(f"systemctl show ended with {done.status}: {done.output.strip()[-OUTPUT_SHOWN:]}", code="E130")
    return blocks


def _read_block(block: str) -> Dict[str, str]:
    pairs: List[List[str]] = [line.split("=", 1) for line in block.splitlines() if "=" in line]
    return {pair[0]: pair[1] for pair in pairs}


def _check_alive(step: Step[ServiceSpec], host: Host) -> None:
    """Raise when the unit has failed by now although systemctl was content (a service of type `simple` that ends at once)."""
    unit = step.spec.unit
    shown = _show([unit], host)[0]
    if shown.get("ActiveState") == "failed" or shown.get("SubState") == "auto-restart":
        raise HostError(f"{unit} was started and failed at once{_journal_of(unit, host)}", code="E132")
    if make_state(shown).get("oneshot") and step.spec.state == "running":
        raise HostError(f"{unit} did its work: {_find_obstacle('running', True, {'oneshot': True})}", code="E133")  # noqa: FBT003  a Json value


def _control(verb: str, unit: str, host: Host) -> None:
    if verb == "restart":
        host.run(["systemctl", "reset-failed", "--", unit])  # else a start limit that was reached would hold
    done = host.run(["systemctl", verb, "--", unit])
    if done.status != 0:
        lines = f"{done.output.strip()[-OUTPUT_SHOWN:]}{_journal_of(unit, host)}"
        raise HostError(f"systemctl {verb}: {lines}", code="E131")


def _journal_of(unit: str, host: Host) -> str:
    lines = host.run([*JOURNAL, unit]).output.strip()
    return f"\n{lines[-JOURNAL_SHOWN:]}" if lines else ""
