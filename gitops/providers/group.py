"""Groups by groupadd, groupmod and groupdel; read from the group file in one pass.

`members` are those that the group file lists, exactly (with `append` others stay); undeclared, they are left alone. Who has the group
as primary group is no member in that sense. A membership is declared on one side: here, or with the user (`groups`). Changing `gid`
leaves the files of the old number as they are. A group that comes from elsewhere (LDAP, SSSD) is refused and left alone.
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

FILE = "/etc/group"
FIELDS = 4
OUTPUT_SHOWN = 400
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?\Z")


@dataclass(frozen=True)
class GroupSpec:
    """A group of users."""

    name: str
    gid: Optional[int] = attribute("integer", "numeric id", bounds=(0, 4294967294))
    system: bool = attribute("boolean", "a system group, when made", default=False)
    members: Optional[Tuple[str, ...]] = attribute("texts", "users that are in it, exactly these; each must be there")
    append: bool = attribute("boolean", "`members` are added; others stay", default=False)
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))


class GroupProvider(Provider[GroupSpec]):
    """See the module."""

    kind = "group"
    spec = GroupSpec
    summary = "a group of users"

    def observe(self, specs: Sequence[GroupSpec], host: Host) -> Mapping[str, State]:
        """State: exists, gid, members (sorted) when they are declared; `elsewhere` when it comes from no file here."""
        found = read_groups(host.read_text(FILE))
        states: Dict[str, State] = {}
        missing = [spec.name for spec in specs if spec.name not in found and NAME.match(spec.name)]
        elsewhere = _find_elsewhere(missing, host)
        for spec in specs:
            state: Dict[str, Json] = {"exists": spec.name in found}
            if spec.name in found:
                state["gid"] = int(found[spec.name][2])
                if spec.members is not None:
                    state["members"] = _split_members(found[spec.name])
            elif spec.name in elsewhere:
                state["elsewhere"] = True
            states[spec.name] = state
        return states

    def diff(self, spec: GroupSpec, state: State) -> Optional[Difference]:
        """Compare what is declared."""
        if not NAME.match(spec.name):
            expected = "up to 32 letters, digits, `_`, `.`, `-`; the first a letter or `_`"
            return Difference("refused", reason=f"`{spec.name[:80]}` is not a group's name ({expected})")
        mistaken = [member for member in spec.members or () if not NAME.match(member)]
        if mistaken:
            return Difference("refused", reason=f"`{mistaken[0][:80]}` in `members` is not a user's name")
        if state.get("elsewhere"):
            return Difference("refused", reason="it comes from a directory service, not from this machine's files")
        if spec.state == "absent":
            return Difference("remove") if state["exists"] else None
        wanted = _wanted_members(spec, state)
        if not wanted and not state["exists"]:
            wanted = None  # a new group has none
        changes = compare((("gid", spec.gid), ("members", wanted)), state)
        if not state["exists"]:
            return Difference("create", changes)
        return Difference("update", changes) if changes else None

    def apply(self, steps: Sequence[Step[GroupSpec]], host: Host) -> Iterator[Outcome]:
        """One tool call each."""
        yield from do_each(steps, lambda step: self._do(step, host))

    def relate(self, spec: GroupSpec) -> Relations:
        """A group comes before its users, but after those that it declares as members."""
        is_absent = spec.state == "absent"
        wants = () if is_absent else tuple(f"user:{member}" for member in dict.fromkeys(spec.members or ()))
        return Relations((f"group:{spec.name}",), wants, is_absent=is_absent)

    def bound(self, spec: GroupSpec) -> Sequence[Possible]:
        """At most: set or remove it."""
        return (Possible("remove" if spec.state == "absent" else "set"),)

    @staticmethod
    def _do(step: Step[GroupSpec], host: Host) -> None:
        name, before = step.spec.name, str(step.state.get("gid"))
        after = {change.name: change.after for change in step.difference.fields}
        gid = ["-g", str(after["gid"])] if "gid" in after else []
        if step.action == "remove":
            parts = read_groups(host.read_text(FILE)).get(name)
            if parts is None:  # userdel took it along with the user of its name
                return
            if parts[3]:  # undone after the group is back: the newest entry is undone first
                host.note_undo(["gpasswd", "-M", parts[3], name])
            _call(["groupdel", "--", name], ["groupadd", "-g", before, "--", name], host)
            return
        if step.action == "create":
            _call(["groupadd", *(["-r"] if step.spec.system else []), *gid, "--", name], ["groupdel", "--", name], host)
        elif gid:
            _call(["groupmod", *gid, "--", name], ["groupmod", "-g", before, "--", name], host)
        if "members" in after:
            before = read_groups(host.read_text(FILE)).get(name, ["", "", "", ""])[3]  # in its order
            inverse = [] if step.action == "create" else ["gpasswd", "-M", before, name]
            listed = after["members"] if isinstance(after["members"], (list, tuple)) else ()
            _call(["gpasswd", "-M", ",".join(str(member) for member in listed), name], inverse, host)


def read_groups(text: str) -> Dict[str, List[str]]:
    """Read the group file: fields by name; lines of other shape (NIS, damage) are left out."""
    found: Dict[str, List[str]] = {}
    for line in text.splitlines():
        parts = line.split(":")
        if len(parts) == FIELDS and parts[2].isdigit():
            found.setdefault(parts[0], parts)
    return found


def _split_members(parts: Sequence[str]) -> List[Json]:
    return [*sorted(set(filter(None, parts[3].split(","))))]


def _wanted_members(spec: GroupSpec, state: State) -> Optional[List[str]]:
    if spec.members is None:
        return None
    there = state.get("members")
    kept = [str(member) for member in there] if spec.append and isinstance(there, (list, tuple)) else []
    return sorted({*spec.members, *kept})


def _find_elsewhere(names: Sequence[str], host: Host) -> Sequence[str]:
    if not names:
        return ()
    lines = host.run(["getent", "group", "--", *names]).output.splitlines()
    return [line.partition(":")[0] for line in lines if ":" in line]


def _call(argv: Sequence[str], inverse: Sequence[str], host: Host) -> None:
    if inverse:  # else what was noted before undoes this too
        host.note_undo(inverse)
    done = host.run(argv)
    if done.status != 0:
        raise HostError(f"{argv[0]} ended with {done.status}: {done.output.strip()[-OUTPUT_SHOWN:]}", code="E141")
