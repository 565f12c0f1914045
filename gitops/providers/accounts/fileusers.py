"""Users of the passwd, group and shadow files, by useradd, usermod, userdel, chpasswd and chage; one pass over the files."""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence, Tuple, cast

from gitops.errors import HostError
from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.model.secret import Text, text_to_json
from gitops.providers.accounts.database import UserDatabase
from gitops.providers.accounts.userspec import UserSpec
from gitops.providers.host import Finished, Host
from gitops.providers.shadow import AGEING, HASH, SETTER, describe_shadow, list_ageing, mark_of, read_shadow

FLAGS = (("uid", "-u"), ("group", "-g"), ("home", "-d"), ("shell", "-s"), ("comment", "-c"))
PASSWD, GROUP = "/etc/passwd", "/etc/group"
PASSWD_FIELDS, GROUP_FIELDS = 7, 4
OUTPUT_SHOWN = 400
BAD_NAME = (3, 19)  # shadow before 4.17, and since (Debian 13)


class FileUsers(UserDatabase):
    """See the module."""

    name = "files"

    def read(self, specs: Sequence[UserSpec], host: Host) -> Mapping[str, Dict[str, Json]]:
        """Read the files once; the shadow file only for who asks for what is in it."""
        names, members = _read_groups(host.read_text(GROUP))
        found = read_accounts(host.read_text(PASSWD), PASSWD_FIELDS)
        states = {spec.name: _make_state(spec.name, found.get(spec.name, []), names, members) for spec in specs}
        numbers = {parts[2]: name for name, parts in reversed(list(found.items()))}
        for spec in specs:
            taker = numbers.get(str(spec.uid), spec.name)
            if taker != spec.name and spec.state == "present":
                states[spec.name]["taken_by"] = taker
        asked = [spec for spec in specs if spec.asks_shadow and spec.name in found]
        shadow = read_shadow(host) if asked else {}
        for spec in asked:
            states[spec.name].update(describe_shadow(shadow.get(spec.name), spec.hash_json, host))
        return states

    def find_elsewhere(self, names: Sequence[str], host: Host) -> Sequence[str]:
        """Ask the name service."""
        return find_elsewhere("passwd", names, host)

    def create(self, spec: UserSpec, after: Mapping[str, Json], host: Host) -> None:
        """Run useradd; a group of its name that was there stays when it is undone."""
        _note_group(spec, host)
        host.note_undo(["userdel", "--", spec.name])
        _call(["useradd", *_creation_flags(spec, host), *_flags_of(after), "--", spec.name], host)
        _set_shadow(spec, after, host, is_new=True)

    def change(self, spec: UserSpec, before: Mapping[str, Json], after: Mapping[str, Json], host: Host) -> None:
        """Run usermod, then what sets hash, lock and age."""
        move = ["-m"] if spec.move_home and "home" in after else []
        if _flags_of(after):
            host.note_undo(["usermod", *_flags_of(before), *move, "--", spec.name])
            _call(["usermod", *_flags_of(after), *move, "--", spec.name], host)
        _set_shadow(spec, after, host, is_new=False)

    def remove(self, spec: UserSpec, state: State, host: Host) -> None:  # noqa: ARG002  userdel finds its groups itself
        """Run userdel."""
        lost = "its password and home are not kept" if spec.remove_home else "its password is not kept"
        host.note_undo((), f"user {spec.name} was removed; {lost}")
        _call(["userdel", *(["-r"] if spec.remove_home else []), "--", spec.name], host)


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


def _set_shadow(spec: UserSpec, after: Mapping[str, Json], host: Host, *, is_new: bool) -> None:
    """Set hash, lock and age, each only when it changes; what is undone newest first ends with the age, which a new hash resets."""
    ageing = {name: after[name] for name, _, _ in AGEING if name in after}
    has_hash, has_lock = "password_hash" in after, "locked" in after
    if not (ageing or has_hash or has_lock):
        return
    name, parts = spec.name, read_shadow(host).get(spec.name, [])
    if parts and not is_new:
        host.note_undo(["chage", *list_ageing(describe_shadow(parts, None, host)), "--", name])
        if has_hash or has_lock:
            host.note_undo(SETTER, record=(name, parts[HASH]))
    if has_hash:
        _succeed(
            SETTER, host.feed(SETTER, (name, text_to_json((mark_of(parts, locked=spec.locked), *cast(Text, spec.password_hash)))))
        )
    elif has_lock:
        _call(["usermod", "-L" if spec.locked else "-U", "--", name], host)
    if ageing:
        _call(["chage", *list_ageing(ageing), "--", name], host)


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
    _succeed(argv, host.run(argv))


def _succeed(argv: Sequence[str], done: Finished) -> None:
    if done.status != 0:
        raise fail(argv, done, "E140")


def fail(argv: Sequence[str], done: Finished, code: str) -> HostError:
    """Give the failure of one of shadow's tools; a name that they do not take ends with another status in each of its ages."""
    words = done.output.strip()[-OUTPUT_SHOWN:]
    if done.status in BAD_NAME and "nvalid" in words:
        return HostError(f"{argv[0]} of this machine does not take the name `{argv[-1]}`; choose another: {words}", code=code)
    return HostError(f"{argv[0]} ended with {done.status}: {words}", code=code)


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
