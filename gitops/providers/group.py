"""Groups by groupadd, groupmod and groupdel; read from the group file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, Mapping, Optional, Sequence

from gitops.errors import HostError
from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.model.plan import Difference
from gitops.model.report import Outcome
from gitops.providers.base import Possible, Provider, Relations, Step
from gitops.providers.host import Host
from gitops.providers.steps import compare, do_each

GROUP_FIELDS = 4


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
        """State: exists, gid."""
        lines = [line.split(":") for line in host.read_text("/etc/group").splitlines()]
        found = {parts[0]: int(parts[2]) for parts in lines if len(parts) == GROUP_FIELDS}
        states: Dict[str, State] = {}
        for spec in specs:
            state: Dict[str, Json] = {"exists": spec.name in found}
            if spec.name in found:
                state["gid"] = found[spec.name]
            states[spec.name] = state
        return states

    def diff(self, spec: GroupSpec, state: State) -> Optional[Difference]:
        """Compare what is declared."""
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
        name, before = step.spec.name, step.state.get("gid")
        gid = [] if step.spec.gid is None else ["-g", str(step.spec.gid)]
        if step.action == "remove":
            argv, undo = ["groupdel", "--", name], ["groupadd", "-g", str(before), "--", name]
        elif step.action == "create":
            argv, undo = ["groupadd", *(["-r"] if step.spec.system else []), *gid, "--", name], ["groupdel", "--", name]
        else:
            argv, undo = ["groupmod", *gid, "--", name], ["groupmod", "-g", str(before), "--", name]
        host.note_undo(undo)
        done = host.run(argv)
        if done.status != 0:
            raise HostError(f"{argv[0]} ended with {done.status}: {done.output.strip()[-400:]}", code="E141")
