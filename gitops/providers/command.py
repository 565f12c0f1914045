"""Commands: an argument list that runs when its guard says so, when it is notified, or (unguarded, opaque) every time.

`creates` is looked at while planning; `unless` and `onlyif` are run only in apply and where guards are asked for, else the item is
conditional. Never a shell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence, Tuple, cast

from gitops.errors import HostError
from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.model.limits import DEFAULTS
from gitops.model.observation import State
from gitops.model.plan import Difference
from gitops.model.report import Outcome
from gitops.model.secret import Text, text_to_json
from gitops.providers.base import Possible, Provider, Relations, Step
from gitops.providers.host import Finished, Host
from gitops.providers.steps import do_each


@dataclass(frozen=True)
class CommandSpec:
    """A command; the name is only a name."""

    name: str
    argv: Tuple[str, ...] = attribute("argv", "program and arguments; no shell", is_required=True)
    cwd: Optional[str] = attribute("path", "directory to run in")
    user: Optional[str] = attribute("text", "user to run as")
    env: Any = attribute("environment", "environment variables; values may hold secrets")
    timeout: int = attribute("integer", "seconds until it is ended", default=DEFAULTS.command_seconds, bounds=(1, 86400))
    creates: Optional[str] = attribute("path", "do not run when this exists")
    unless: Optional[Tuple[str, ...]] = attribute("argv", "do not run when this succeeds")
    onlyif: Optional[Tuple[str, ...]] = attribute("argv", "run only when this succeeds")
    refresh_only: bool = attribute("boolean", "run only when notified", default=False)

    @property
    def environment(self) -> Dict[str, Json]:
        """The environment with references, not values."""
        table = cast("Dict[str, Text]", self.env or {})
        return {name: text_to_json(text) for name, text in table.items()}


class CommandProvider(Provider[CommandSpec]):
    """See the module."""

    kind = "command"
    spec = CommandSpec
    summary = "an argument list with guards"

    def __init__(self, *, runs_guards: bool = False) -> None:
        self._runs_guards = runs_guards

    def observe(self, specs: Sequence[CommandSpec], host: Host) -> Mapping[str, State]:
        """State: `creates` (present, absent or empty), `guard` (run, skip or unknown)."""
        return {spec.name: self._observe_one(spec, host) for spec in specs}

    def diff(self, spec: CommandSpec, state: State) -> Optional[Difference]:
        """Say whether it would run, and how sure that is."""
        if spec.refresh_only or state.get("creates") == "present" or state.get("guard") == "skip":
            return None
        has_guard = spec.unless is not None or spec.onlyif is not None
        if has_guard and state.get("guard", "unknown") == "unknown":
            return Difference("run", reason="its guard is not run while planning", confidence="conditional")
        if has_guard or spec.creates:
            return Difference("run")
        return Difference("run", confidence="opaque")

    def apply(self, steps: Sequence[Step[CommandSpec]], host: Host) -> Iterator[Outcome]:
        """Run each, in order; its own exit status decides."""
        yield from do_each(steps, lambda step: self._do(step, host))

    def relate(self, spec: CommandSpec) -> Relations:
        """A command comes after its directory and its user."""
        wants = [f"path:{path}" for path in (spec.cwd,) if path]
        wants.extend(f"user:{name}" for name in (spec.user,) if name)
        if spec.argv[0].startswith("/"):
            wants.append(f"path:{spec.argv[0]}")
        return Relations((), tuple(wants), refresh="run")

    def bound(self, spec: CommandSpec) -> Sequence[Possible]:
        """At most: run; nothing when it only runs notified."""
        return () if spec.refresh_only else (Possible("run"),)

    def _observe_one(self, spec: CommandSpec, host: Host) -> State:
        state: Dict[str, Json] = {}
        if spec.creates:
            state["creates"] = "absent" if host.inspect(spec.creates).type == "absent" else "present"
        if spec.unless is not None or spec.onlyif is not None:
            state["guard"] = self._ask_guard(spec, host) if self._runs_guards and state.get("creates") != "present" else "unknown"
        return state

    def _ask_guard(self, spec: CommandSpec, host: Host) -> str:
        if spec.unless is not None and self._succeeds(spec, spec.unless, host):
            return "skip"
        if spec.onlyif is not None and not self._succeeds(spec, spec.onlyif, host):
            return "skip"
        return "run"

    def _succeeds(self, spec: CommandSpec, argv: Sequence[str], host: Host) -> bool:
        """Run a guard; one that cannot start (its program comes with a package of this run) or does not end has not succeeded."""
        try:
            return self._run(spec, argv, host).status == 0
        except HostError:
            return False

    def _do(self, step: Step[CommandSpec], host: Host) -> None:
        host.note_undo((), f"{step.address} ran: what a command did cannot be undone")
        done = self._run(step.spec, step.spec.argv, host)
        if done.status != 0:
            raise HostError(f"exit status {done.status}: {done.output.strip()[-2000:]}", code="E110")

    @staticmethod
    def _run(spec: CommandSpec, argv: Sequence[str], host: Host) -> Finished:
        return host.run(argv, environment=spec.environment, directory=spec.cwd or "", user=spec.user or "", timeout=spec.timeout)
