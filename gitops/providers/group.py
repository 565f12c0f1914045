"""Groups by groupadd, groupmod and groupdel, read from the group file in one pass; on macOS of its local directory, by dseditgroup.

`members` are those that the group file lists, exactly (with `append` others stay); undeclared, they are left alone. Who has the group
as primary group is no member in that sense. A membership is declared on one side: here, or with the user (`groups`). Changing `gid`
leaves the files of the old number as they are. A group that comes from elsewhere (LDAP, SSSD) is refused and left alone.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Iterator, List, Mapping, Optional, Sequence

from gitops.model.observation import State
from gitops.model.plan import Difference
from gitops.model.report import Outcome
from gitops.providers.accounts.choose import find_groups
from gitops.providers.accounts.database import GOING, say_primary, say_taken
from gitops.providers.accounts.groupspec import GroupSpec
from gitops.providers.base import Possible, Provider, Relations, Step
from gitops.providers.host import Host
from gitops.providers.steps import compare, do_each

NAME = re.compile(r"[A-Za-z_0-9][A-Za-z0-9_.-]{0,31}\$?\Z")


class GroupProvider(Provider[GroupSpec]):
    """See the module."""

    kind = "group"
    spec = GroupSpec
    summary = "a group of users"
    is_one_by_one = True

    def observe(self, specs: Sequence[GroupSpec], host: Host) -> Mapping[str, State]:
        """State: exists, gid, members (sorted) when they are declared; `elsewhere` when it comes from no database of this machine."""
        database = find_groups(host)
        states = database.read(specs, host)
        missing = [spec.name for spec in specs if not states[spec.name]["exists"] and NAME.match(spec.name)]
        for name in database.find_elsewhere(missing, host):
            states[name]["elsewhere"] = True
        return states

    def diff(self, spec: GroupSpec, state: State) -> Optional[Difference]:
        """Compare what is declared."""
        if not NAME.match(spec.name):
            expected = "up to 32 letters, digits, `_`, `.`, `-`; the first a letter, a digit or `_`"
            return Difference("refused", reason=f"`{spec.name[:80]}` is not a group's name ({expected})")
        mistaken = [member for member in spec.members or () if not NAME.match(member)]
        if mistaken:
            return Difference("refused", reason=f"`{mistaken[0][:80]}` in `members` is not a user's name")
        if state.get("elsewhere"):
            return Difference("refused", reason="it comes from a directory service, not from this machine's files")
        if spec.state == "absent":
            return _diff_absent(state)
        if not state["exists"] and spec.name[0].isdigit():
            reason = f"the name `{spec.name}` begins with a digit; a new one begins with a letter or `_`"
            return Difference("refused", reason=reason)
        wanted = _wanted_members(spec, state)
        if not wanted and not state["exists"]:
            wanted = None  # a new group has none
        changes = compare((("gid", spec.gid), ("members", wanted)), state)
        if not changes and state["exists"]:
            return None
        found = Difference("update" if state["exists"] else "create", changes)
        if state.get("taken_by") and any(item.name == "gid" for item in changes):
            return replace(found, reason=say_taken("group", spec.gid, str(state["taken_by"])), confidence="conditional")
        return found

    def apply(self, steps: Sequence[Step[GroupSpec]], host: Host) -> Iterator[Outcome]:
        """One tool call each."""
        yield from do_each(steps, lambda step: self._do(step, host))

    def relate(self, spec: GroupSpec) -> Relations:
        """A group comes before its users, but after those that it declares as members."""
        is_absent = spec.state == "absent"
        wants = () if is_absent else tuple(f"user:{member}" for member in dict.fromkeys(spec.members or ()))
        going = (GOING,) if is_absent else ()
        return Relations((f"group:{spec.name}", *going), wants, is_absent=is_absent)

    def bound(self, spec: GroupSpec) -> Sequence[Possible]:
        """At most: set or remove it."""
        return (Possible("remove" if spec.state == "absent" else "set"),)

    @staticmethod
    def _do(step: Step[GroupSpec], host: Host) -> None:
        database = find_groups(host)
        after = {change.name: change.after for change in step.difference.fields}
        if step.action == "remove":
            database.remove(step.spec, step.state, host)
        elif step.action == "create":
            database.create(step.spec, after, host)
        else:
            database.change(step.spec, step.state, after, host)


def _diff_absent(state: State) -> Optional[Difference]:
    if not state["exists"]:
        return None
    users = state.get("primary_of")
    if not isinstance(users, (list, tuple)) or not users:
        return Difference("remove")
    return Difference("remove", reason=say_primary([str(user) for user in users]), confidence="conditional")


def _wanted_members(spec: GroupSpec, state: State) -> Optional[List[str]]:
    if spec.members is None:
        return None
    there = state.get("members")
    kept = [str(member) for member in there] if spec.append and isinstance(there, (list, tuple)) else []
    return sorted({*spec.members, *kept})
