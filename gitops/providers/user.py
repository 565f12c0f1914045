"""User accounts by useradd, usermod and userdel; read from the passwd and group files in one pass (passwords are never read).

`groups` are the supplementary groups exactly: membership in others is taken away; undeclared, it is left alone. A new user gets a
group of its own name (one that is there already is taken) and, unless it is a system user, its home with the skeleton. Changing
`uid` gives the files below the home to the new number and no others; changing `home` moves nothing. `absent`, and undoing a new
user, keep the home; the private group of that name goes, as userdel does. An account that comes from elsewhere (LDAP, SSSD) is
refused and left alone.
"""

from __future__ import annotations

import re
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
PASSWD, GROUP = "/etc/passwd", "/etc/group"
PASSWD_FIELDS, GROUP_FIELDS = 7, 4
OUTPUT_SHOWN = 400
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?\Z")
GROUP_NAME = re.compile(r"[A-Za-z_0-9][A-Za-z0-9_.-]{0,31}\$?\Z")
UNSAFE = re.compile(r"[:\x00-\x1f\x7f]")


@dataclass(frozen=True)
class UserSpec:
    """A user account."""

    name: str
    uid: Optional[int] = attribute("integer", "numeric id", bounds=(0, 4294967294))
    group: Optional[str] = attribute("text", "primary group; a new user gets one of its own name")
    groups: Optional[Tuple[str, ...]] = attribute("texts", "supplementary groups, exactly these")
    home: Optional[str] = attribute("path", "home directory, made when the user is and is no system user")
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
        """State: exists, uid, group, gid, groups (sorted), home, shell, comment; `elsewhere` when it comes from no file here."""
        names, members = _read_groups(host.read_text(GROUP))
        found = read_accounts(host.read_text(PASSWD), PASSWD_FIELDS)
        states = {spec.name: _make_state(spec.name, found.get(spec.name, []), names, members) for spec in specs}
        missing = [spec.name for spec in specs if spec.name not in found and not find_mistake(spec)]
        for name in find_elsewhere("passwd", missing, host):
            states[name]["elsewhere"] = True
        return states

    def diff(self, spec: UserSpec, state: State) -> Optional[Difference]:
        """Compare what is declared."""
        reason = find_mistake(spec) or (
            "it comes from a directory service, not from this machine's files" if state.get("elsewhere") else ""
        )
        if reason:
            return Difference("refused", reason=reason)
        if spec.state == "absent":
            return Difference("remove") if state["exists"] else None
        has_number = spec.group is not None and spec.group.isdigit() and str(state.get("gid")) == spec.group
        wanted = (
            ("uid", spec.uid),
            ("group", None if has_number else spec.group),
            ("groups", None if spec.groups is None else sorted(set(spec.groups))),
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
        """A user comes after its groups; without a declared primary group, also after the group of its own name, which it else brings."""
        names = dict.fromkeys((spec.group or spec.name, *(spec.groups or ())))
        wants = tuple(f"group:{name}" for name in names)
        own_group = (f"group:{spec.name}",) if spec.group is None else ()
        return Relations((f"user:{spec.name}", *own_group), wants, is_absent=spec.state == "absent")

    def bound(self, spec: UserSpec) -> Sequence[Possible]:
        """At most: set or remove it."""
        return (Possible("remove" if spec.state == "absent" else "set"),)

    @staticmethod
    def _do(step: Step[UserSpec], host: Host) -> None:
        name = step.spec.name
        if step.action == "remove":
            host.note_undo((), f"user {name} was removed; its password is not kept")
            _call(["userdel", "--", name], host)
        elif step.action == "create":
            _note_group(step.spec, host)
            host.note_undo(["userdel", "--", name])
            _call(["useradd", *_creation_flags(step.spec, host), *_flags(step), "--", name], host)
        else:
            before = {change.name: change.before for change in step.difference.fields}
            host.note_undo(["usermod", *_flags_of(before), "--", name])
            _call(["usermod", *_flags(step), "--", name], host)


def find_mistake(spec: UserSpec) -> str:
    """Say why such a user cannot be, or nothing: what would be an option to the tools, or break the files' format."""
    if not NAME.match(spec.name):
        return f"`{spec.name[:80]}` is not a user's name (up to 32 letters, digits, `_`, `.`, `-`; the first a letter or `_`)"
    for group in (*((spec.group,) if spec.group is not None else ()), *(spec.groups or ())):
        if not GROUP_NAME.match(group):
            return f"`{group[:80]}` is not a group's name"
    if any(group.isdigit() for group in spec.groups or ()):
        return "`groups` takes names, not numbers"
    for text in (spec.comment, spec.home, spec.shell):
        if text is not None and UNSAFE.search(text):
            return "`comment`, `home` and `shell` cannot hold colons or control characters"
    return ""


def read_accounts(text: str, count: int) -> Dict[str, List[str]]:
    """Read a file of accounts: fields by name; lines of other shape (NIS, damage) are left out."""
    found: Dict[str, List[str]] = {}
    for line in text.splitlines():
        parts = line.split(":")
        if len(parts) == count and parts[2].isdigit():
            found.setdefault(parts[0], parts)
    return found


def find_elsewhere(database: str, names: Sequence[str], host: Host) -> Sequence[str]:
    """Give those of the names (not in the machine's own file) that its name service knows all the same."""
    if not names:
        return ()
    lines = host.run(["getent", database, "--", *names]).output.splitlines()
    known = {line.partition(":")[0] for line in lines if ":" in line}
    return [name for name in names if name in known]


def _note_group(spec: UserSpec, host: Host) -> None:
    """Keep a group that was there before: userdel takes the one of the user's name along."""
    parts = read_accounts(host.read_text(GROUP), GROUP_FIELDS).get(spec.name)
    if parts is not None:
        host.note_undo(["groupadd", "-f", "-g", parts[2], "--", spec.name])


def _creation_flags(spec: UserSpec, host: Host) -> Sequence[str]:
    flags = ["-r", "-M"] if spec.system else ["-m"]
    if spec.group is not None:
        return [*flags, "-N"]
    has_group = spec.name in read_accounts(host.read_text(GROUP), GROUP_FIELDS)
    return [*flags, "-N", "-g", spec.name] if has_group else [*flags, "-U"]


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
        raise HostError(f"{argv[0]} ended with {done.status}: {done.output.strip()[-OUTPUT_SHOWN:]}", code="E140")


def _read_groups(text: str) -> Tuple[Dict[str, str], Dict[str, List[str]]]:
    names: Dict[str, str] = {}
    members: Dict[str, List[str]] = {}
    for name, parts in read_accounts(text, GROUP_FIELDS).items():
        names.setdefault(parts[2], name)
        for member in filter(None, parts[3].split(",")):
            members.setdefault(member, []).append(name)
    return names, members


def _make_state(name: str, parts: Sequence[str], names: Mapping[str, str], members: Mapping[str, List[str]]) -> Dict[str, Json]:
    if not parts:
        return {"exists": False}
    return {
        "exists": True,
        "uid": int(parts[2]),
        "group": names.get(parts[3], parts[3]),
        "gid": int(parts[3]) if parts[3].isdigit() else None,
        "groups": sorted(set(members.get(name, []))),
        "comment": parts[4],
        "home": parts[5],
        "shell": parts[6],
    }
