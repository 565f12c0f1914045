"""Groups of the group file, by groupadd, groupmod, groupdel and gpasswd; one pass over the file."""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence

from gitops.errors import HostError
from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.providers.accounts.database import GroupDatabase, say_primary
from gitops.providers.accounts.fileusers import PASSWD, PASSWD_FIELDS, fail, read_accounts
from gitops.providers.accounts.groupspec import GroupSpec
from gitops.providers.host import Host

FILE = "/etc/group"
FIELDS = 4


class FileGroups(GroupDatabase):
    """See the module."""

    name = "files"

    def read(self, specs: Sequence[GroupSpec], host: Host) -> Mapping[str, Dict[str, Json]]:
        """Read the file once."""
        found = read_groups(host.read_text(FILE))
        primary = read_primary(host) if any(spec.state == "absent" for spec in specs) else {}
        numbers = {parts[2]: name for name, parts in reversed(list(found.items()))}
        states: Dict[str, Dict[str, Json]] = {}
        for spec in specs:
            state: Dict[str, Json] = {"exists": spec.name in found}
            if spec.name in found:
                state["gid"] = int(found[spec.name][2])
                if spec.members is not None:
                    state["members"] = _split_members(found[spec.name])
                users = primary.get(found[spec.name][2], []) if spec.state == "absent" else []
                if users:
                    state["primary_of"] = list[Json](users)
            taker = numbers.get(str(spec.gid), spec.name)
            if taker != spec.name and spec.state == "present":
                state["taken_by"] = taker
            states[spec.name] = state
        return states

    def find_elsewhere(self, names: Sequence[str], host: Host) -> Sequence[str]:
        """Ask the name service."""
        if not names:
            return ()
        lines = host.run(["getent", "group", "--", *names]).output.splitlines()
        known = {line.partition(":")[0] for line in lines if ":" in line}
        return [name for name in names if name in known]

    def create(self, spec: GroupSpec, after: Mapping[str, Json], host: Host) -> None:
        """Run groupadd, then give it its members."""
        argv = ["groupadd", *(["-r"] if spec.system else []), *_gid_flags(after), "--", spec.name]
        _call(argv, ["groupdel", "--", spec.name], host)
        _set_members(spec.name, after, host, is_new=True)

    def change(self, spec: GroupSpec, state: State, after: Mapping[str, Json], host: Host) -> None:
        """Run groupmod and gpasswd."""
        gid = _gid_flags(after)
        if gid:
            _call(["groupmod", *gid, "--", spec.name], ["groupmod", "-g", str(state.get("gid")), "--", spec.name], host)
        _set_members(spec.name, after, host, is_new=False)

    def remove(self, spec: GroupSpec, state: State, host: Host) -> None:
        """Run groupdel."""
        parts = read_groups(host.read_text(FILE)).get(spec.name)
        if parts is None:  # userdel took it along with the user of its name
            return
        users = read_primary(host).get(parts[2], [])
        if users:
            raise HostError(say_primary(users), code="E141")
        if parts[3]:  # undone after the group is back: the newest entry is undone first
            host.note_undo(["gpasswd", "-M", parts[3], spec.name])
        _call(["groupdel", "--", spec.name], ["groupadd", "-g", str(state.get("gid")), "--", spec.name], host)


def read_groups(text: str) -> Dict[str, List[str]]:
    """Read the group file: fields by name; lines of other shape (NIS, damage) are left out."""
    found: Dict[str, List[str]] = {}
    for line in text.splitlines():
        parts = line.split(":")
        if len(parts) == FIELDS and parts[2].isdigit():
            found.setdefault(parts[0], parts)
    return found


def read_primary(host: Host) -> Dict[str, List[str]]:
    """Give by number of a group the users whose primary group it is."""
    found: Dict[str, List[str]] = {}
    for name, parts in read_accounts(host.read_text(PASSWD), PASSWD_FIELDS).items():
        found.setdefault(parts[3], []).append(name)
    return found


def _split_members(parts: Sequence[str]) -> List[Json]:
    return [*sorted(set(filter(None, parts[3].split(","))))]


def _gid_flags(after: Mapping[str, Json]) -> List[str]:
    return ["-g", str(after["gid"])] if "gid" in after else []


def _set_members(name: str, after: Mapping[str, Json], host: Host, *, is_new: bool) -> None:
    if "members" not in after:
        return
    before = read_groups(host.read_text(FILE)).get(name, ["", "", "", ""])[3]  # in its order
    inverse = [] if is_new else ["gpasswd", "-M", before, name]
    listed = after["members"] if isinstance(after["members"], (list, tuple)) else ()
    _call(["gpasswd", "-M", ",".join(str(member) for member in listed), name], inverse, host)


def _call(argv: Sequence[str], inverse: Sequence[str], host: Host) -> None:
    if inverse:  # else what was noted before undoes this too
        host.note_undo(inverse)
    done = host.run(argv)
    if done.status != 0:
        raise fail(argv, done, "E141")
