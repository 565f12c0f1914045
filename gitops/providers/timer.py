"""Timers of systemd: a command that runs by the calendar or in intervals; two unit files, enabled and started.

The name is that of both units (`backup` is `backup.timer` and `backup.service`, both in /etc/systemd/system). The command is an argument
list, never a shell. systemd is told when a file changed, and asked afterwards when the timer elapses next: one that never does has failed.
With `--root` the files and the link that enables the timer are made. A name that a package's unit has is refused, since it would hide it.
`absent` stops the timer; what it has started goes on to its end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, cast

from gitops.errors import HostError, TrueupError
from gitops.model.address import make_address
from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.model.resource import Resource
from gitops.providers.base import Possible, Provider, Relations, Step
from gitops.providers.file import FileProvider, FileSpec
from gitops.providers.host import Host
from gitops.providers.obstacles import find_obstacle_of
from gitops.providers.services.systemd import BOOTED, RELOAD, read_files_again, show_units
from gitops.providers.steps import bound_parents, compare, describe_failure
from gitops.providers.symlink import SymlinkProvider, SymlinkSpec
from gitops.providers.timers.units import FOLDER, WANTS, make_service_file, make_timer_file
from gitops.providers.timers.words import find_calendar_mistake, is_span

FILES, LINKS = FileProvider(), SymlinkProvider()
PARTS = ("timer", "service", "link")
WORDS: Mapping[str, str] = {"timer": "schedule", "service": "command", "link": "enabled"}
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\Z")
USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\Z")
PROGRAM = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_/.+-]{0,499}\Z")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
MAX_COMMAND = 4000
VENDOR = ("/usr/lib/systemd/system", "/lib/systemd/system")
NEXT = ("NextElapseUSecRealtime", "NextElapseUSecMonotonic")
NEVER = ("", "0", "infinity", "n/a")
OUTPUT_SHOWN = 400


@dataclass(frozen=True)
class TimerSpec:
    """A command that systemd runs by the clock."""

    name: str
    schedule: Optional[str] = attribute("text", "when: a calendar event of systemd.time(7), like `Mon..Fri 02:30` or `daily`")
    every: Optional[str] = attribute("text", "how often: a time span like `15min`, counted from when it last began")
    after_boot: Optional[str] = attribute("text", "how long after the boot: a time span")
    command: Optional[Tuple[str, ...]] = attribute("argv", "program and arguments; no shell")
    user: str = attribute("text", "whom it runs as", default="root")
    timeout: Optional[int] = attribute("integer", "seconds until it is ended", bounds=(1, 31_536_000))
    persistent: bool = attribute("boolean", "make up for what `schedule` missed while the machine was off", default=False)
    randomized_delay: Optional[str] = attribute("text", "wait up to this time span, another one each time")
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))

    @property
    def unit(self) -> str:
        """The timer unit's name."""
        return f"{self.name}.timer"

    @property
    def settings(self) -> Tuple[Tuple[str, str], ...]:
        """What the timer's section says."""
        found = (
            ("OnCalendar", self.schedule),
            ("OnActiveSec", self.every),
            ("OnUnitActiveSec", self.every),
            ("OnBootSec", self.after_boot),
            ("Persistent", "true" if self.persistent else None),
            ("RandomizedDelaySec", self.randomized_delay),
            ("AccuracySec", "1s"),  # systemd's own minute would let what is said to the second come up to a minute late
        )
        return tuple((key, value) for key, value in found if value is not None)

    @property
    def words(self) -> Mapping[str, Json]:
        """The parts in words for a plan."""
        schedule = ", ".join(f"{key}={value}" for key, value in self.settings if key not in ("OnActiveSec", "AccuracySec"))
        return {"timer": schedule, "service": " ".join(self.command or ()), "link": True}

    @property
    def files(self) -> Tuple[FileSpec, FileSpec]:
        """Both unit files."""
        timer, service = f"{FOLDER}/{self.unit}", f"{FOLDER}/{self.name}.service"
        if self.state == "absent":
            return FileSpec(timer, state="absent"), FileSpec(service, state="absent")
        text = make_service_file(self.name, self.command or (), self.user, self.timeout)
        return (
            FileSpec(timer, (make_timer_file(self.name, self.settings),), mode="0644"),
            FileSpec(service, (text,), mode="0644"),
        )

    @property
    def link(self) -> SymlinkSpec:
        """What makes systemd start the timer at boot."""
        return SymlinkSpec(f"{WANTS}/{self.unit}", f"{FOLDER}/{self.unit}", self.state)


class TimerProvider(Provider[TimerSpec]):
    """See the module."""

    kind = "timer"
    spec = TimerSpec
    summary = "a scheduled command (systemd timer)"
    needs_linux = True
    honours_root = True

    def observe(self, specs: Sequence[TimerSpec], host: Host) -> Mapping[str, State]:
        """State: of the two files and the link; `active` on a running machine; `taken` is a package's unit of this name."""
        good = [spec for spec in specs if not find_mistake(spec)]
        states: Dict[str, Dict[str, Json]] = {spec.name: {} for spec in specs}
        for spec in good:
            timer, service = spec.files
            seen = FILES.observe([timer, service], host)
            states[spec.name] = {"timer": dict(seen[timer.path]), "service": dict(seen[service.path])}
            states[spec.name]["link"] = dict(LINKS.observe([spec.link], host)[spec.link.path])
            names = [f"{folder}/{name}" for folder in VENDOR for name in (spec.unit, f"{spec.name}.service")]
            taken = next((name for name in names if host.inspect(name).type != "absent"), "")
            if taken:
                states[spec.name]["taken"] = taken
        if host.is_live and good:
            _look_live(good, states, host)
        return states

    def diff(self, spec: TimerSpec, state: State) -> Optional[Difference]:
        """Compare files and link, and whether the timer is active."""
        reason = find_mistake(spec) or _find_obstacle(spec, state)
        if reason:
            return Difference("refused", reason=reason)
        parts = _compare_parts(spec, state)
        refused = next((f"{name}: {part.reason}" for name, part in parts.items() if part.action == "refused"), "")
        if refused:
            return Difference("refused", reason=refused)
        obstacle = find_obstacle_of(parts.items())
        if spec.state == "absent":
            return Difference("remove", obstacle=obstacle) if parts or state.get("active") else None
        fields = [field for name, part in parts.items() for field in _describe_part(name, part, spec)]
        fields.extend(compare((("active", True),), state) if "active" in state else ())
        if not fields:
            return None
        implied = {item.name: item for part in parts.values() for item in part.implied}
        actions = [part.action for part in parts.values()]
        action = "replace" if "replace" in actions else "create" if actions.count("create") == len(PARTS) else "update"
        return Difference(action, tuple(fields), implied=tuple(implied[name] for name in sorted(implied)), obstacle=obstacle)

    def apply(self, steps: Sequence[Step[TimerSpec]], host: Host) -> Iterator[Outcome]:
        """Stop what goes, write all files as one batch, tell systemd once, start what is there, ask when it elapses."""
        failures: Dict[str, str] = {}
        if host.is_live:
            host.note_undo(list(RELOAD))  # undone last, when the files are as they were
            failures.update(_do_live([step for step in steps if step.action == "remove"], _stop, host))
        due = [step for step in steps if step.address not in failures]
        written, broken = _write_parts(due, host)
        failures.update(broken)
        if host.is_live:
            if written:
                read_files_again(host)
                host.note_undo(list(RELOAD))  # undone first, before anything is started by the new files
            rest = [step for step in due if step.action != "remove" and step.address not in failures]
            failures.update(_do_live(rest, _start, host))
        for step in steps:
            reason = failures.get(step.address, "")
            yield Outcome(step.address, step.action, "failed" if reason else "changed", reason)

    def relate(self, spec: TimerSpec) -> Relations:
        """After its user and its program; `service: NAME.timer` and `service: NAME` come after it."""
        if find_mistake(spec):
            return Relations()
        paths = (*(file.path for file in spec.files), spec.link.path)
        wants = [f"path:{FOLDER}", f"path:{WANTS}"]
        if spec.state == "present":
            wants.append(f"user:{spec.user}")
            wants.extend(f"path:{word}" for word in (spec.command or ())[:1] if word.startswith("/"))
        return Relations(tuple(f"path:{path}" for path in paths), tuple(wants), paths, spec.state == "absent")

    def bound(self, spec: TimerSpec) -> Sequence[Possible]:
        """At most: set or replace it and make every parent, or remove it."""
        if spec.state == "absent":
            return (Possible("remove"),)
        parents: List[Resource] = list(bound_parents(spec.link.path))
        return (Possible("set"), Possible("replace"), *(Possible("set", parent) for parent in parents))


def find_mistake(spec: TimerSpec) -> str:
    """Say what of a Spec cannot be meant; empty when nothing."""
    if not NAME.match(spec.name) or spec.name.endswith((".timer", ".service")):
        return f"{spec.name[:80]!r} is not a timer's name: letters, digits, `_`, `-` and `.`, without `.timer`"
    if spec.state == "absent":
        return ""
    if not spec.command:
        return "`command` is missing"
    return _find_wrong_command(spec, spec.command) or _find_wrong_time(spec)


def _find_wrong_command(spec: TimerSpec, command: Sequence[str]) -> str:
    if not PROGRAM.match(command[0]):
        return f"`command`: {command[0][:80]!r} is not a program's path or name"
    if any(CONTROL.search(word) for word in command) or sum(map(len, command)) > MAX_COMMAND:
        return f"`command`: no line breaks or control characters, at most {MAX_COMMAND} characters"
    return "" if USER.match(spec.user) else f"`user`: {spec.user[:40]!r} is not a user's name"


def _find_wrong_time(spec: TimerSpec) -> str:
    if spec.schedule is None and spec.every is None and spec.after_boot is None:
        return "it says no time: one of `schedule`, `every`, `after_boot`"
    wrong = "" if spec.schedule is None else find_calendar_mistake(spec.schedule)
    if wrong:
        return f"`schedule`: {wrong}"
    spans = (("every", spec.every), ("after_boot", spec.after_boot), ("randomized_delay", spec.randomized_delay))
    for name, span in spans:
        if span is not None and not is_span(span):
            return f"`{name}`: {span[:40]!r} is not a time span like `15min` or `1h 30min`"
    return "`persistent` makes up for a `schedule`, and there is none" if spec.persistent and spec.schedule is None else ""


def _look_live(specs: Sequence[TimerSpec], states: Mapping[str, Dict[str, Json]], host: Host) -> None:
    trouble = "" if host.inspect(BOOTED).type == "directory" else "no systemd runs this machine; `cron` may do"
    try:
        shown = () if trouble else show_units([spec.unit for spec in specs], host)
    except HostError as error:
        shown, trouble = (), error.message
    for place, spec in enumerate(specs):
        if trouble:
            states[spec.name]["trouble"] = trouble
        else:
            states[spec.name]["active"] = shown[place].get("ActiveState") == "active"


def _find_obstacle(spec: TimerSpec, state: State) -> str:
    if state.get("trouble"):
        return str(state["trouble"])
    if state.get("taken") and spec.state == "present":
        return f"{state['taken']} has this name, and would be hidden: choose another"
    return ""


def _compare_parts(spec: TimerSpec, state: State) -> Dict[str, Difference]:
    """Give what must be done to each part that is not as it should be."""
    timer, service = spec.files
    seen = {name: cast("State", state.get(name) or {"type": "absent"}) for name in PARTS}
    found = {
        "timer": FILES.diff(timer, seen["timer"]),
        "service": FILES.diff(service, seen["service"]),
        "link": LINKS.diff(spec.link, seen["link"]),
    }
    return {name: part for name, part in found.items() if part is not None}


def _describe_part(name: str, part: Difference, spec: TimerSpec) -> Iterator[FieldChange]:
    for field in part.fields:
        if field.name in ("content", "target"):
            yield FieldChange(WORDS[name], False if name == "link" else field.before, spec.words[name])
        elif part.action != "create":
            yield FieldChange(f"{name} {field.name}", field.before, field.after)


def _write_parts(steps: Sequence[Step[TimerSpec]], host: Host) -> Tuple[bool, Dict[str, str]]:
    """Write files and links; give whether anything was, and the reason of each step that failed."""
    files: List[Step[FileSpec]] = []
    links: List[Step[SymlinkSpec]] = []
    owners: Dict[str, str] = {}
    for step in steps:
        timer, service = step.spec.files
        for name, part in _compare_parts(step.spec, step.state).items():
            seen = cast("State", step.state.get(name) or {"type": "absent"})
            if name == "link":
                address = make_address("symlink", step.spec.link.path)
                links.append(Step(address, part.action, step.spec.link, seen, part))
            else:
                file = timer if name == "timer" else service
                address = make_address("file", file.path)
                files.append(Step(address, part.action, file, seen, part))
            owners[address] = step.address
    outcomes = [*(FILES.apply(files, host) if files else ()), *(LINKS.apply(links, host) if links else ())]
    failures = {owners[item.address]: item.message for item in outcomes if item.result != "changed"}
    return any(item.result == "changed" for item in outcomes), failures


def _do_live(steps: Sequence[Step[TimerSpec]], act: Callable[[Step[TimerSpec], Host], None], host: Host) -> Dict[str, str]:
    failures: Dict[str, str] = {}
    for step in steps:
        try:
            act(step, host)
        except (TrueupError, OSError) as error:
            failures[step.address] = describe_failure(error)
    return failures


def _stop(step: Step[TimerSpec], host: Host) -> None:
    if step.state.get("active"):
        host.note_undo(["systemctl", "start", "--", step.spec.unit])
        _run(["systemctl", "stop", "--", step.spec.unit], host)


def _start(step: Step[TimerSpec], host: Host) -> None:
    """Start the timer, or let it read its new file; then ask when it elapses."""
    unit = step.spec.unit
    if not step.state.get("active") or "timer" in _compare_parts(step.spec, step.state):
        host.note_undo(["systemctl", "restart" if step.state.get("active") else "stop", "--", unit])
        _run(["systemctl", "restart", "--", unit], host)
    timer, service = show_units([unit, f"{step.spec.name}.service"], host, NEXT)
    if service.get("LoadState") != "loaded":
        raise HostError(f"systemd cannot load {step.spec.name}.service: {service.get('LoadState')}", code="E305")
    is_due = timer.get("SubState") == "running" or any(timer.get(name, "") not in NEVER for name in NEXT)
    if timer.get("ActiveState") != "active" or not is_due:
        raise HostError(f"{unit} is {timer.get('ActiveState')} and never elapses: no such time is to come", code="E306")


def _run(argv: Sequence[str], host: Host) -> None:
    done = host.run(argv)
    if done.status != 0:
        raise HostError(f"{' '.join(argv[:2])} ended with {done.status}: {done.output.strip()[-OUTPUT_SHOWN:]}", code="E307")
