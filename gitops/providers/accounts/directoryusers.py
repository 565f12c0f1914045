"""Users of macOS' Open Directory on this machine, by dscl, dseditgroup and createhomedir.

A new user without `group` is in the group of its name when there is one, else in `staff`; it has no password. What the shadow file holds
elsewhere is not kept here in that form, so it is refused, and so is another number or another place for a home that is in use.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence

from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.providers.accounts.database import UserDatabase
from gitops.providers.accounts.dscl import (
    GID,
    GROUPS,
    MEMBERS,
    UID,
    USERS,
    call,
    edit_member,
    find_gid,
    find_number,
    list_elsewhere,
    list_values,
    read_record,
    set_member,
    set_value,
)
from gitops.providers.accounts.userspec import UserSpec
from gitops.providers.host import Host

HOME, SHELL, COMMENT = "NFSHomeDirectory", "UserShell", "RealName"
KEYS: Mapping[str, str] = {"group": GID, "home": HOME, "shell": SHELL, "comment": COMMENT}
STAFF = "20"
NO_PASSWORD = "*"  # noqa: S105  nothing matches it


class DirectoryUsers(UserDatabase):
    """See the module."""

    name = "opendirectory"

    def find_unable(self, spec: UserSpec, state: State) -> str:
        """Name what macOS keeps in another form, or what its tools cannot do."""
        declared = [
            *(("password_hash",) if spec.hash_json is not None else ()),
            *(("locked",) if spec.locked is not None else ()),
        ]
        declared.extend(spec.ageing)
        if declared and spec.state == "present":
            return f"macOS has no shadow file: leave out `{'`, `'.join(declared)}` (a password policy is set by a profile)"
        if spec.move_home or spec.remove_home:
            return "macOS has no tool that moves or removes a home with its user: leave `move_home` and `remove_home` out"
        if spec.state == "present" and state.get("exists") and spec.uid not in (None, state.get("uid")):
            return f"it has the number {state.get('uid')} here, and macOS has no tool that takes its files along to another"
        return ""

    def read(self, specs: Sequence[UserSpec], host: Host) -> Mapping[str, Dict[str, Json]]:
        """Ask for each, and once for all groups and their members."""
        names: Dict[str, str] = {}
        for name, values in list_values(GROUPS, GID, host).items():
            names.setdefault("".join(values[:1]), name)
        members = list_values(GROUPS, MEMBERS, host)
        return {spec.name: _read_user(spec.name, names, members, host) for spec in specs}

    def find_elsewhere(self, names: Sequence[str], host: Host) -> Sequence[str]:
        """Ask the directories that this machine searches."""
        return list_elsewhere(USERS, names, host)

    def create(self, spec: UserSpec, after: Mapping[str, Json], host: Host) -> None:
        """Make the record, its number last (a record without one is not there yet), then its home and memberships."""
        path = f"{USERS}/{spec.name}"
        values = {
            HOME: spec.home or ("/var/empty" if spec.system else f"/Users/{spec.name}"),
            SHELL: spec.shell or ("/usr/bin/false" if spec.system else "/bin/zsh"),
            COMMENT: spec.comment or spec.name,
            GID: find_gid(spec.group, host) if spec.group else _find_own_group(spec.name, host),
            "Password": NO_PASSWORD,
            **({"IsHidden": "1"} if spec.system else {}),
            UID: str(find_number(USERS, UID, host, is_system=spec.system) if spec.uid is None else spec.uid),
        }
        host.note_undo(["dscl", ".", "-delete", path])
        for key, value in values.items():
            set_value(path, key, value, host)
        if not spec.system and host.inspect(values[HOME]).type == "absent":
            call(["createhomedir", "-c", "-u", spec.name], host)
        _set_groups(spec.name, None, after.get("groups"), host)

    def change(self, spec: UserSpec, before: Mapping[str, Json], after: Mapping[str, Json], host: Host) -> None:
        """Set what differs."""
        path = f"{USERS}/{spec.name}"
        for name, key in KEYS.items():
            if name in after:
                old = _value_of(name, before.get(name), host)
                host.note_undo(["dscl", ".", "-create", path, key, old] if old else ["dscl", ".", "-delete", path, key])
                set_value(path, key, _value_of(name, after[name], host), host)
        if "groups" in after:
            _set_groups(spec.name, before.get("groups"), after["groups"], host)

    def remove(self, spec: UserSpec, state: State, host: Host) -> None:
        """Take it out of its groups, which would else keep its name, and delete the record; the home stays."""
        host.note_undo((), f"user {spec.name} was removed; its password is not kept")
        for group in _as_list(state.get("groups")):
            call(edit_member("-d", spec.name, group), host)
        call(["dscl", ".", "-delete", f"{USERS}/{spec.name}"], host)


def _read_user(name: str, names: Mapping[str, str], members: Mapping[str, Sequence[str]], host: Host) -> Dict[str, Json]:
    state: Dict[str, Json] = {"exists": False, "database": DirectoryUsers.name}
    record = read_record(f"{USERS}/{name}", [UID, GID, HOME, SHELL, COMMENT], host) or {}
    uid, gid = ("".join(record.get(key, [])[:1]) for key in (UID, GID))
    if not uid.lstrip("-").isdigit():  # making it was cut off
        return state
    return {
        **state,
        "exists": True,
        "uid": int(uid),
        "group": names.get(gid, gid),
        "gid": int(gid) if gid.lstrip("-").isdigit() else None,
        "groups": sorted(group for group, users in members.items() if name in users),
        "comment": "".join(record.get(COMMENT, [])[:1]),
        "home": "".join(record.get(HOME, [])[:1]),
        "shell": "".join(record.get(SHELL, [])[:1]),
    }


def _find_own_group(name: str, host: Host) -> str:
    values = (read_record(f"{GROUPS}/{name}", [GID], host) or {}).get(GID)
    return values[0] if values else STAFF


def _value_of(name: str, value: Json, host: Host) -> str:
    text = str(value or "")
    return find_gid(text, host) if name == "group" and text else text


def _set_groups(name: str, before: Json, after: Json, host: Host) -> None:
    old, new = _as_list(before), _as_list(after)
    for group in new:
        if group not in old:
            set_member(group, name, host, is_member=True)
    for group in old:
        if group not in new:
            set_member(group, name, host, is_member=False)


def _as_list(value: Json) -> List[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
