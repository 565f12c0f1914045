"""Groups of macOS' Open Directory on this machine, by dscl and dseditgroup. Groups that are members of a group are left alone."""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence

from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.providers.accounts.database import GroupDatabase
from gitops.providers.accounts.dscl import (
    GID,
    GROUPS,
    MEMBERS,
    call,
    edit_member,
    find_number,
    list_elsewhere,
    read_record,
    set_member,
    set_value,
)
from gitops.providers.accounts.groupspec import GroupSpec
from gitops.providers.host import Host


class DirectoryGroups(GroupDatabase):
    """See the module."""

    name = "opendirectory"

    def read(self, specs: Sequence[GroupSpec], host: Host) -> Mapping[str, Dict[str, Json]]:
        """Ask for each."""
        states: Dict[str, Dict[str, Json]] = {}
        for spec in specs:
            record = _read_group(spec.name, host)
            state: Dict[str, Json] = {"exists": bool(record)}
            if record:
                state["gid"] = int(record[GID][0])
                if spec.members is not None:
                    state["members"] = [*sorted(set(record.get(MEMBERS, [])))]
            states[spec.name] = state
        return states

    def find_elsewhere(self, names: Sequence[str], host: Host) -> Sequence[str]:
        """Ask the directories that this machine searches."""
        return list_elsewhere(GROUPS, names, host)

    def create(self, spec: GroupSpec, after: Mapping[str, Json], host: Host) -> None:
        """Make it with a number, then give it its members."""
        gid = find_number(GROUPS, GID, host, is_system=spec.system) if spec.gid is None else spec.gid
        host.note_undo(_delete(spec.name))
        call(_create(spec.name, str(gid)), host)
        _set_members(spec.name, [], after, host)

    def change(self, spec: GroupSpec, state: State, after: Mapping[str, Json], host: Host) -> None:
        """Set its number and members."""
        path = f"{GROUPS}/{spec.name}"
        if "gid" in after:
            host.note_undo(["dscl", ".", "-create", path, GID, str(state.get("gid"))])
            set_value(path, GID, str(after["gid"]), host)
        if "members" in after:
            _set_members(spec.name, _read_group(spec.name, host).get(MEMBERS, []), after, host)

    def remove(self, spec: GroupSpec, state: State, host: Host) -> None:
        """Delete it; undone, it gets its members back."""
        record = _read_group(spec.name, host)
        if not record:
            return
        for member in reversed(record.get(MEMBERS, [])):  # undone after the group is back: the newest entry is undone first
            host.note_undo(edit_member("-a", member, spec.name))
        host.note_undo(_create(spec.name, str(state.get("gid"))))
        call(_delete(spec.name), host)


def _create(name: str, gid: str) -> List[str]:
    return ["dseditgroup", "-q", "-o", "create", "-i", gid, name]


def _delete(name: str) -> List[str]:
    return ["dseditgroup", "-q", "-o", "delete", name]


def _read_group(name: str, host: Host) -> Dict[str, List[str]]:
    """Give a group's record, empty when there is none with a number."""
    record = read_record(f"{GROUPS}/{name}", [GID, MEMBERS], host) or {}
    return record if "".join(record.get(GID, [])[:1]).lstrip("-").isdigit() else {}


def _set_members(name: str, before: Sequence[str], after: Mapping[str, Json], host: Host) -> None:
    listed = after.get("members")
    wanted = [str(member) for member in listed] if isinstance(listed, (list, tuple)) else []
    for member in wanted:
        if member not in before:
            set_member(name, member, host, is_member=True)
    for member in before:
        if member not in wanted:
            set_member(name, member, host, is_member=False)
