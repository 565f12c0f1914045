"""User accounts by useradd, usermod and userdel; read from the passwd and group files in one pass (and the shadow file, when asked for).

`groups` are the supplementary groups exactly: membership in others is taken away (not with `append`); undeclared, it is left alone.
A new user gets a group of its own name (one that is there already is taken) and, unless it is a system user, its home with the
skeleton. Changing `uid` gives the files below the home to the new number and no others; changing `home` moves nothing without
`move_home`. `absent` (without `remove_home`), and undoing a new user, keep the home; the private group of that name goes, as userdel
does. An account that comes from elsewhere (LDAP, SSSD) is refused and left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, cast

from gitops.errors import HostError
from gitops.model.attribute import attribute
from gitops.model.codec import Json, digest_json
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.model.secret import Text, text_to_json
from gitops.providers.base import Possible, Provider, Relations, Step
from gitops.providers.host import Finished, Host
from gitops.providers.shadow import AGEING, HASH, SETTER, describe_shadow, find_mistaken_date, list_ageing, mark_of, read_shadow
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
    append: bool = attribute("boolean", "`groups` are added; membership in others stays", default=False)
    move_home: bool = attribute("boolean", "a changed `home` takes the files along", default=False)
    remove_home: bool = attribute(
        "boolean", "with `state: absent`: the home and the mail go too, which cannot be undone", default=False
    )
    password_hash: Any = attribute("secret", "the password's hash, as crypt gives it; only a reference to a secret")
    locked: Optional[bool] = attribute("boolean", "whether the password is locked; an account without one has nothing to lock")
    last_change: Optional[int] = attribute(
        "integer", "day of the last change, since 1970; 0 asks for a new password", bounds=(-1, 99999)
    )
    min_days: Optional[int] = attribute("integer", "days before the password may change again; -1 is none", bounds=(-1, 99999))
    max_days: Optional[int] = attribute("integer", "days until the password must change; -1 is never", bounds=(-1, 99999))
    warn_days: Optional[int] = attribute("integer", "days of warning before that; -1 is none", bounds=(-1, 99999))
    inactive_days: Optional[int] = attribute(
        "integer", "days after that until the account is closed; -1 is never", bounds=(-1, 99999)
    )
    expires: Optional[str] = attribute("text", "the day on which the account is closed (`2027-12-31`), or `never`")
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))

    @cached_property
    def hash_json(self) -> Json:
        """The hash as the graph holds it, a reference; None when not declared."""
        return None if self.password_hash is None else text_to_json(cast(Text, self.password_hash))

    @property
    def ageing(self) -> Dict[str, Json]:
        """What is declared of the password's age, by name."""
        return {name: value for name, _, _ in AGEING for value in (cast(Json, getattr(self, name)),) if value is not None}

    @property
    def asks_shadow(self) -> bool:
        """Whether the shadow file must be read for it."""
        return self.state == "present" and (self.hash_json is not None or self.locked is not None or bool(self.ageing))


class UserProvider(Provider[UserSpec]):
    """See the module."""

    kind = "user"
    spec = UserSpec
    summary = "a user account"

    def observe(self, specs: Sequence[UserSpec], host: Host) -> Mapping[str, State]:
        """State: exists, uid, group, gid, groups (sorted), home, shell, comment, and what `describe_shadow` says when it is asked for;
        `elsewhere` when it comes from no file here.
        """
        names, members = _read_groups(host.read_text(GROUP))
        found = read_accounts(host.read_text(PASSWD), PASSWD_FIELDS)
        states = {spec.name: _make_state(spec.name, found.get(spec.name, []), names, members) for spec in specs}
        asked = [spec for spec in specs if spec.asks_shadow and spec.name in found]
        shadow = read_shadow(host) if asked else {}
        for spec in asked:
            states[spec.name].update(describe_shadow(shadow.get(spec.name), spec.hash_json, host))
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
            reason = "its home and mail are removed too; that cannot be undone" if spec.remove_home else ""
            return Difference("remove", reason=reason) if state["exists"] else None
        has_number = spec.group is not None and spec.group.isdigit() and str(state.get("gid")) == spec.group
        wanted = (
            ("uid", spec.uid),
            ("group", None if has_number else spec.group),
            ("groups", _wanted_groups(spec, state)),
            ("home", spec.home),
            ("shell", spec.shell),
            ("comment", spec.comment),
            ("locked", None if _has_nothing_to_lock(spec, state) else spec.locked),
            *spec.ageing.items(),
        )
        changes = (*compare(wanted, state), *_hash_changes(spec, state))
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
        name, spec = step.spec.name, step.spec
        if step.action == "remove":
            lost = "its password and home are not kept" if spec.remove_home else "its password is not kept"
            host.note_undo((), f"user {name} was removed; {lost}")
            _call(["userdel", *(["-r"] if spec.remove_home else []), "--", name], host)
            return
        after = {change.name: change.after for change in step.difference.fields}
        if step.action == "create":
            _note_group(spec, host)
            host.note_undo(["userdel", "--", name])
            _call(["useradd", *_creation_flags(spec, host), *_flags_of(after), "--", name], host)
        else:
            before = {change.name: change.before for change in step.difference.fields}
            move = ["-m"] if spec.move_home and "home" in after else []
            if _flags_of(after):
                host.note_undo(["usermod", *_flags_of(before), *move, "--", name])
                _call(["usermod", *_flags_of(after), *move, "--", name], host)
        _set_shadow(spec, after, host, is_new=step.action == "create")


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


def _wanted_groups(spec: UserSpec, state: State) -> Optional[List[str]]:
    if spec.groups is None:
        return None
    there = state.get("groups")
    kept = [str(group) for group in there] if spec.append and isinstance(there, (list, tuple)) else []
    return sorted({*spec.groups, *kept})


def _has_nothing_to_lock(spec: UserSpec, state: State) -> bool:
    """Say whether `locked` is satisfied since no password could let anybody in."""
    if not state["exists"]:
        return spec.hash_json is None
    return "locked" in state and state["locked"] is None and spec.hash_json is None


def _hash_changes(spec: UserSpec, state: State) -> Tuple[FieldChange, ...]:
    if spec.hash_json is None or state.get("matches") == digest_json(spec.hash_json):
        return ()
    return (FieldChange("password_hash", "another secret hash" if state["exists"] else None, "secret hash"),)


def find_mistake(spec: UserSpec) -> str:
    """Say why such a user cannot be, or nothing: what would be an option to the tools, or break the files' format."""
    if not NAME.match(spec.name):
        return f"`{spec.name[:80]}` is not a user's name (up to 32 letters, digits, `_`, `.`, `-`; the first a letter or `_`)"
    for group in (*((spec.group,) if spec.group is not None else ()), *(spec.groups or ())):
        if not GROUP_NAME.match(group):
            return f"`{group[:80]}` is not a group's name"
    if any(group.isdigit() for group in spec.groups or ()):
        return "`groups` takes names, not numbers"
    if spec.expires is not None and find_mistaken_date(spec.expires):
        return find_mistaken_date(spec.expires)
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
