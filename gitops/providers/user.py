"""User accounts by useradd, usermod and userdel; read from the passwd and group files in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from gitops.errors import HostError
from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.model.plan import Difference
from gitops.model.report import Outcome
from gitops.providers.base import Possible, Provider, Relations, Step
from gitops.providers.host import Host
from gitops.providers.steps import compare, do_each

FLAGS = (("uid", "-u"), ("group", "-g"), ("home", "-d"), ("shell", "-s"), ("comment", "-c"))
PASSWD_FIELDS = 7
GROUP_FIELDS = 4


@dataclass(frozen=True)
class UserSpec:
    """A user account."""

    name: str
    uid: Optional[int] = attribute("integer", "numeric id", bounds=(0, 4294967294))
    group: Optional[str] = attribute("text", "primary group; a new user gets one of its own name")
    groups: Optional[Tuple[str, ...]] = attribute("texts", "supplementary groups, exactly these")
    home: Optional[str] = attribute("path", "home directory, made when the user is")
    shell: Optional[str] = attribute("path", "login shell")
    system: bool = attribute("boolean", "a system account, when made", default=False)
    comment: Optional[str] = attribute("text", "full name")
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))


class UserProvider(Provider[UserSpec]):
    """See the module."""

    kind = "user"
    spec = UserSpec
    summary = "a user account"

    def observe(self, specs: Sequence[UserSpec], host: Host) -> Mapping[str, State]:
        """State: exists, uid, group, groups (sorted), home, shell, comment."""
        names, members = _read_groups(host.read_text("/etc/group"))
        found = {line.split(":")[0]: line.split(":") for line in host.read_text("/etc/passwd").splitlines()}
        return {spec.name: _make_state(spec.name, found.get(spec.name, []), names, members) for spec in specs}

    def diff(self, spec: UserSpec, state: State) -> Optional[Difference]:
        """Compare what is declared."""
        if spec.state == "absent":
            return Difference("remove") if state["exists"] else None
        groups = None if spec.groups is None else sorted(spec.groups)
        wanted = (
            ("uid", spec.uid),
            ("group", spec.group),
            ("groups", groups),
            ("home", spec.home),
            ("shell", spec.shell),
            ("comment", spec.comment),
        )
        changes = compare(wanted, state)
        if not state["exists"]:
            return Difference("create", changes)
        return Difference("update", changes) if changes else None

    def apply(self, steps: Sequence[Step[UserSpec]], host: Host) -> Iterator[Outcome]:
        """One tool call each."""
        yield from do_each(steps, lambda step: self._do(step, host))

    def relate(self, spec: UserSpec) -> Relations:
        """A user comes after its groups."""
        names = [name for name in (spec.group, *(spec.groups or ())) if name]
        wants = tuple(f"group:{name}" for name in names)
        return Relations((f"user:{spec.name}",), wants, is_absent=spec.state == "absent")

    def bound(self, spec: UserSpec) -> Sequence[Possible]:
        """At most: set or remove it."""
        return (Possible("remove" if spec.state == "absent" else "set"),)

    def _do(self, step: Step[UserSpec], host: Host) -> None:
        spec, name = step.spec, step.spec.name
        if step.action == "remove":
            host.note_undo((), f"user {name} was removed; its password and files are not kept")
            _call(["userdel", "--", name], host)
        elif step.action == "create":
            host.note_undo(["userdel", "--", name])
            system = ["-r"] if spec.system else []
            _call(["useradd", *system, "-m" if not spec.system else "-M", *_flags(step), "--", name], host)
        else:
            before = {change.name: change.before for change in step.difference.fields}
            host.note_undo(["usermod", *_flags_of(before), "--", name])
            _call(["usermod", *_flags(step), "--", name], host)


def _flags(step: Step[UserSpec]) -> List[str]:
    return _flags_of({change.name: change.after for change in step.difference.fields})


def _flags_of(values: Mapping[str, Json]) -> List[str]:
    flags: List[str] = []
    for name, flag in FLAGS:
        if name in values:
            flags.extend((flag, str(values[name])))
    groups = values.get("groups")
    if isinstance(groups, (list, tuple)):
        flags.extend(("-G", ",".join(str(group) for group in groups)))
    return flags


def _call(argv: Sequence[str], host: Host) -> None:
    done = host.run(argv)
    if done.status != 0:
        raise HostError(f"{argv[0]} ended with {done.status}: {done.output.strip()[-400:]}", code="E140")


def _read_groups(text: str) -> Tuple[Dict[str, str], Dict[str, List[str]]]:
    names: Dict[str, str] = {}
    members: Dict[str, List[str]] = {}
    for line in text.splitlines():
        parts = line.split(":")
        if len(parts) == GROUP_FIELDS:
            names[parts[2]] = parts[0]
            for member in parts[3].split(","):
                members.setdefault(member, []).append(parts[0])
    return names, members


def _make_state(name: str, parts: Sequence[str], names: Mapping[str, str], members: Mapping[str, List[str]]) -> Dict[str, Json]:
    if len(parts) != PASSWD_FIELDS:
        return {"exists": False}
    return {
        "exists": True,
        "uid": int(parts[2]),
        "group": names.get(parts[3], parts[3]),
        "groups": sorted(members.get(name, [])),
        "comment": parts[4],
        "home": parts[5],
        "shell": parts[6],
    }
