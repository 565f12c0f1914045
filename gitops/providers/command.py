"""Commands: an argument list that runs when its guard says so, when it is notified, or (unguarded, opaque) every time.

`creates` is looked at while planning; `unless` and `onlyif` are run only in apply and where guards are asked for, else the item is
conditional. `probe` is a guard that also judges afterwards: it succeeds, or prints `{"in_sync": true}`, when all is as it should be;
a command that ran and leaves its probe unsatisfied has failed. A guard that cannot be asked (its program is missing, it does not end)
is neither a yes nor a no: the command is refused, or, where something before it may bring the program, asked again right before it runs.

Never a shell, unless `shell: true` says so: then the first of `argv` is a script for /bin/sh, the rest its arguments, and the plan calls
it opaque whatever its guards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, cast

from gitops.errors import HostError, MalformedError
from gitops.model.attribute import attribute
from gitops.model.codec import Json, decode_json
from gitops.model.limits import DEFAULTS
from gitops.model.observation import State
from gitops.model.plan import Difference
from gitops.model.report import Outcome
from gitops.model.secret import Text, find_secrets, text_to_json
from gitops.providers.base import Possible, Provider, Relations, Step
from gitops.providers.host import Finished, Host
from gitops.providers.steps import do_each, show_name

NOT_STARTED = "E112"
SHELL = "/bin/sh"
SAID = 200
UNSAID = "what it printed is not shown, since it got secrets; `output: true` shows it without their values"


@dataclass(frozen=True)
class CommandSpec:
    """A command; the name is only a name."""

    name: str
    argv: Tuple[str, ...] = attribute("argv", "program and arguments; no shell", is_required=True)
    shell: bool = attribute(
        "boolean", "the first of `argv` is a script for /bin/sh, the rest its arguments ($1 …)", default=False
    )
    exit_codes: Tuple[int, ...] = attribute("integers", "exit statuses that are a success", default=(0,))
    cwd: Optional[str] = attribute("path", "directory to run in")
    user: Optional[str] = attribute("text", "user to run as")
    env: Any = attribute("environment", "environment variables; values may hold secrets")
    timeout: int = attribute("integer", "seconds until it is ended", default=DEFAULTS.command_seconds, bounds=(1, 86400))
    creates: Optional[str] = attribute("path", "do not run when this exists")
    unless: Optional[Tuple[str, ...]] = attribute("argv", "do not run when this succeeds")
    onlyif: Optional[Tuple[str, ...]] = attribute("argv", "run only when this succeeds")
    probe: Optional[Tuple[str, ...]] = attribute(
        "argv", 'succeeds, or prints `{"in_sync": true}`, when nothing is to be done; asked again after a run'
    )
    refresh_only: bool = attribute("boolean", "run only when notified", default=False)
    output: bool = attribute(
        "boolean", "report what it prints though secrets are in `env`; their values are taken out", default=False
    )

    @property
    def environment(self) -> Dict[str, Json]:
        """The environment with references, not values."""
        table = cast("Dict[str, Text]", self.env or {})
        return {name: text_to_json(text) for name, text in table.items()}

    @property
    def is_silent(self) -> bool:
        """Whether what it prints is reported nowhere: it got secrets, and may spell them as nobody foresees."""
        return not self.output and bool(find_secrets(self.environment))

    @property
    def has_guard(self) -> bool:
        """Whether a program decides if it runs."""
        return self.unless is not None or self.onlyif is not None or self.probe is not None

    @property
    def program(self) -> Tuple[str, ...]:
        """The argument list that is started."""
        return (SHELL, "-c", self.argv[0], "sh", *self.argv[1:]) if self.shell else self.argv


class CommandProvider(Provider[CommandSpec]):
    """See the module."""

    kind = "command"
    spec = CommandSpec
    summary = "an argument list with guards"
    tells_all = False
    is_one_by_one = True

    def __init__(self, *, runs_guards: bool = False) -> None:
        self._runs_guards = runs_guards

    def observe(self, specs: Sequence[CommandSpec], host: Host) -> Mapping[str, State]:
        """State: `creates` (present, absent or empty), `guard` (run, skip or unknown), `said` (by the probe), `unasked` (why a guard could
        not be asked).
        """
        return {spec.name: self._observe_one(spec, host) for spec in specs}

    def diff(self, spec: CommandSpec, state: State) -> Optional[Difference]:
        """Say whether it would run, and how sure that is."""
        if spec.refresh_only or state.get("creates") == "present" or state.get("guard") == "skip":
            return None
        unasked = str(state["unasked"]) if spec.has_guard and state.get("unasked") else ""
        if spec.shell:
            often = "" if spec.has_guard or spec.creates else ", which runs every time"
            return Difference("run", reason=f"a script for a shell{often}", confidence="opaque", obstacle=unasked)
        if unasked:
            return Difference("run", confidence="conditional", obstacle=unasked)
        if spec.has_guard and state.get("guard", "unknown") == "unknown":
            return Difference("run", reason="its guard is not run while planning", confidence="conditional")
        if spec.has_guard or spec.creates:
            return Difference("run", reason=str(state.get("said") or ""))
        return Difference("run", confidence="opaque")

    def apply(self, steps: Sequence[Step[CommandSpec]], host: Host) -> Iterator[Outcome]:
        """Run each, in order; its own exit status decides."""
        for step in steps:
            if step.state.get("unasked") and step.spec.has_guard and not step.causes:
                judged = self._judge_again(step, host)
                if judged is not None:
                    yield judged
                    continue
            yield from do_each([step], lambda step: self._do(step, host))

    def relate(self, spec: CommandSpec) -> Relations:
        """A command comes after its directory and its user."""
        wants = [f"path:{path}" for path in (spec.cwd,) if path]
        wants.extend(f"user:{name}" for name in (spec.user,) if name)
        programs = [guard[0] for guard in (spec.unless, spec.onlyif, spec.probe) if guard]
        programs.extend(spec.argv[:1] if not spec.shell else ())
        wants.extend(f"path:{program}" for program in dict.fromkeys(programs) if program.startswith("/"))
        return Relations((), tuple(wants), refresh="run")

    def bound(self, spec: CommandSpec) -> Sequence[Possible]:
        """At most: run; nothing when it only runs notified."""
        return () if spec.refresh_only else (Possible("run"),)

    def _observe_one(self, spec: CommandSpec, host: Host) -> State:
        state: Dict[str, Json] = {}
        if spec.creates:
            state["creates"] = "absent" if host.inspect(spec.creates).type == "absent" else "present"
        if spec.has_guard:
            state["guard"] = "unknown"
            if self._runs_guards and state.get("creates") != "present":
                state.update(self._ask_guards(spec, host))
        return state

    def _ask_guards(self, spec: CommandSpec, host: Host) -> Dict[str, Json]:
        """Give what they say together: one that says no decides, also beside one that cannot be asked."""
        unasked: List[str] = []
        for name, guard, skips_when in (("unless", spec.unless, True), ("onlyif", spec.onlyif, False)):
            if guard is None:
                continue
            try:
                if (self._run(spec, guard, host).status == 0) is skips_when:
                    return {"guard": "skip"}
            except HostError as error:
                unasked.append(_describe_unasked(name, error))
        said = ""
        if spec.probe is not None:
            try:
                is_right, said = self._ask_probe(spec, spec.probe, host)
                if is_right:
                    return {"guard": "skip"}
            except HostError as error:
                unasked.append(_describe_unasked("probe", error))
        if unasked:
            return {"guard": "unknown", "unasked": unasked[0]}
        return {"guard": "run", "said": said} if said else {"guard": "run"}

    def _judge_again(self, step: Step[CommandSpec], host: Host) -> Optional[Outcome]:
        """Ask a guard again that could not be asked before what came first; nothing when it says that the command is to run."""
        found = self._ask_guards(step.spec, host)
        if found["guard"] == "skip":
            return Outcome(step.address, step.action, "changed", "its guard says now that nothing is to be done")
        if found["guard"] == "unknown":
            return Outcome(step.address, step.action, "failed", f"it was not run: {found['unasked']}")
        return None

    def _ask_probe(self, spec: CommandSpec, probe: Sequence[str], host: Host) -> Tuple[bool, str]:
        """Say whether all is as it should be, and why not as the probe puts it (short and redacted)."""
        done = self._run(spec, probe, host)
        try:
            answer = decode_json(done.output.strip().encode("utf-8", "backslashreplace"))
        except MalformedError:
            return done.status == 0, ""
        if not isinstance(answer, dict) or not isinstance(answer.get("in_sync"), bool):
            return done.status == 0, ""
        reason = "" if spec.is_silent else answer.get("reason")
        return done.status == 0 and answer["in_sync"] is True, show_name(reason[:SAID]) if isinstance(reason, str) else ""

    def _do(self, step: Step[CommandSpec], host: Host) -> None:
        mark, spec = host.mark_undo(), step.spec
        host.note_undo((), f"{step.address} ran: what a command did cannot be undone")
        try:
            done = self._run(spec, spec.program, host)
        except HostError as error:
            if error.code == NOT_STARTED:
                host.void_undo(mark, host.mark_undo())
            raise
        if done.status not in spec.exit_codes:
            said = UNSAID if spec.is_silent else done.output.strip()[-2000:]
            raise HostError(f"exit status {done.status}: {said}", code="E110")
        if spec.probe is not None:
            is_right, said = self._ask_probe(spec, spec.probe, host)
            if not is_right:
                words = f": {said}" if said else ""
                raise HostError(f"it ran, and its probe still says that not all is as it should be{words}", code="E344")

    @staticmethod
    def _run(spec: CommandSpec, argv: Sequence[str], host: Host) -> Finished:
        return host.run(argv, environment=spec.environment, directory=spec.cwd or "", user=spec.user or "", timeout=spec.timeout)


def _describe_unasked(name: str, error: HostError) -> str:
    advice = "`[test, -x, PROGRAM]` asks whether a program is there"
    return f"its guard cannot be asked (`{name}`: {error.message}), which is neither a yes nor a no; {advice}"
