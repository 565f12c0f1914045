"""Groups by groupadd, groupmod and groupdel; read from the group file in one pass.

Who is in a group is declared with the users (`groups`). Changing `gid` leaves the files of the old number as they are. A group that
comes from elsewhere (LDAP, SSSD) is refused and left alone.
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
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))


class GroupProvider(Provider[GroupSpec]):
    """See the module."""

    kind = "group"
    spec = GroupSpec
    summary = "a group of users"

    def observe(self, specs: Sequence[GroupSpec], host: Host) -> Mapping[str, State]:
        """State: exists, gid; `elsewhere` when it comes from no file here."""
        found = read_groups(host.read_text(FILE))
        states: Dict[str, State] = {}
        missing = [spec.name for spec in specs if spec.name not in found and NAME.match(spec.name)]
        elsewhere = _find_elsewhere(missing, host)
        for spec in specs:
            state: Dict[str, Json] = {"exists": spec.name in found}
            if spec.name in found:
                state["gid"] = int(found[spec.name][2])
            elif spec.name in elsewhere:
                state["elsewhere"] = True
            states[spec.name] = state
        return states

    def diff(self, spec: GroupSpec, state: State) -> Optional[Difference]:
        """Compare what is declared."""
        if not NAME.match(spec.name):
            expected = "up to 32 letters, digits, `_`, `.`, `-`; the first a letter or `_`"
            return Difference("refused", reason=f"`{spec.name[:80]}` is not a group's name ({expected})")
        if state.get("elsewhere"):
            return Difference("refused", reason="it comes from a directory service, not from this machine's files")
        if spec.state == "absent":
            return Difference("remove") if state["exists"] else None
        changes = compare((("gid", spec.gid),), state)
        if not state["exists"]:
            return Difference("create", changes)
        return Difference("update", changes) if changes else None

    def apply(self, steps: Sequence[Step[GroupSpec]], host: Host) -> Iterator[Outcome]:
        """One tool call each."""
        yield from do_each(steps, lambda step: self._do(step, host))

    def relate(self, spec: GroupSpec) -> Relations:
        """A group comes before its users."""
        return Relations((f"group:{spec.name}",), (), is_absent=spec.state == "absent")

    def bound(self, spec: GroupSpec) -> Sequence[Possible]:
        """At most: set or remove it."""
        return (Possible("remove" if spec.state == "absent" else "set"),)

    @staticmethod
    def _do(step: Step[GroupSpec], host: Host) -> None:
        name, before = step.spec.name, str(step.state.get("gid"))
        gid = [] if step.spec.gid is None else ["-g", str(step.spec.gid)]
        if step.action == "remove":
            parts = read_groups(host.read_text(FILE)).get(name)
            if parts is None:  # userdel took it along with the user of its name
                return
            if parts[3]:  # undone after the group is back: the newest entry is undone first
                host.note_undo(["gpasswd", "-M", parts[3], name])
            _call(["groupdel", "--", name], ["groupadd", "-g", before, "--", name], host)
        elif step.action == "create":
            _call(["groupadd", *(["-r"] if step.spec.system else []), *gid, "--", name], ["groupdel", "--", name], host)
        else:
            _call(["groupmod", *gid, "--", name], ["groupmod", "-g", before, "--", name], host)


def read_groups(text: str) -> Dict[str, List[str]]:
    """Read the group file: fields by name; lines of other shape (NIS, damage) are left out."""
    found: Dict[str, List[str]] = {}
    for line in text.splitlines():
        parts = line.split(":")
        if len(parts) == FIELDS and parts[2].isdigit():
            found.setdefault(parts[0], parts)
    return found


def _find_elsewhere(names: Sequence[str], host: Host) -> Sequence[str]:
    if not names:
        return ()
    lines = host.run(["getent", "group", "--", *names]).output.splitlines()
    return [line.partition(":")[0] for line in lines if ":" in line]


def _call(argv: Sequence[str], inverse: Sequence[str], host: Host) -> None:
    host.note_undo(inverse)
    done = host.run(argv)
    if done.status != 0:
        raise HostError(f"{argv[0]} ended with {done.status}: {done.output.strip()[-OUTPUT_SHOWN:]}", code="E141")
