"""User accounts by useradd, usermod and userdel; read from the passwd and group files in one pass (and the shadow file, when asked for).

`groups` are the supplementary groups exactly: membership in others is taken away (not with `append`); undeclared, it is left alone.
A new user gets a group of its own name (one that is there already is taken) and, unless it is a system user, its home with the
skeleton. Changing `uid` gives the files below the home to the new number and no others; changing `home` moves nothing without
`move_home`. `absent` (without `remove_home`), and undoing a new user, keep the home; the private group of that name goes, as userdel
does. An account that comes from elsewhere (LDAP, SSSD) is refused and left alone.

On macOS users are records of its local directory (dscl). A new one without `group` is in the group of its name when there is one, else
in `staff`, and has no password. Refused there: a hash, a lock and ages of passwords, `move_home`, `remove_home`, another `uid`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Iterator, List, Mapping, Optional, Sequence, Tuple

from gitops.model.codec import digest_json
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.providers.accounts.choose import FILES, USERS, find_users
from gitops.providers.accounts.database import GOING, say_taken
from gitops.providers.accounts.userspec import UserSpec
from gitops.providers.base import Possible, Provider, Relations, Step
from gitops.providers.host import Host
from gitops.providers.shadow import find_mistaken_date
from gitops.providers.steps import compare, do_each

HOMES = "/home"  # useradd(8), where nothing else is set
NAME = re.compile(r"[A-Za-z_0-9][A-Za-z0-9_.-]{0,31}\$?\Z")
UNSAFE = re.compile(r"[:\x00-\x1f\x7f]")


class UserProvider(Provider[UserSpec]):
    """See the module."""

    kind = "user"
    spec = UserSpec
    summary = "a user account"
    is_one_by_one = True

    def observe(self, specs: Sequence[UserSpec], host: Host) -> Mapping[str, State]:
        """State: exists, uid, group, gid, groups (sorted), home, shell, comment, and what `describe_shadow` says when it is asked for;
        `elsewhere` when it comes from no database of this machine, `database` when it is not the files.
        """
        database = find_users(host)
        states = database.read(specs, host)
        missing = [spec.name for spec in specs if not states[spec.name]["exists"] and not find_mistake(spec)]
        for name in database.find_elsewhere(missing, host):
            states[name]["elsewhere"] = True
        return states

    def diff(self, spec: UserSpec, state: State) -> Optional[Difference]:
        """Compare what is declared."""
        reason = find_mistake(spec) or (
            "it comes from a directory service, not from this machine's files" if state.get("elsewhere") else ""
        )
        reason = reason or USERS[str(state.get("database") or FILES)].find_unable(spec, state)
        if not reason and spec.state == "present" and not state["exists"] and spec.name[0].isdigit():
            reason = f"the name `{spec.name}` begins with a digit; a new one begins with a letter or `_`"
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
        if not changes and state["exists"]:
            return None
        found = Difference("update" if state["exists"] else "create", changes)
        if state.get("taken_by") and any(item.name == "uid" for item in changes):
            return replace(found, reason=say_taken("user", spec.uid, str(state["taken_by"])), confidence="conditional")
        return found

    def apply(self, steps: Sequence[Step[UserSpec]], host: Host) -> Iterator[Outcome]:
        """One tool call each."""
        yield from do_each(steps, lambda step: self._do(step, host))

    def relate(self, spec: UserSpec) -> Relations:
        """A user comes after its groups; without a declared primary group, also after the group of its own name, which it else brings."""
        names = dict.fromkeys((spec.group or spec.name, *(spec.groups or ())))
        wants = tuple(f"group:{name}" for name in names)
        if spec.state == "absent":
            wants = (*wants, GOING)
        own_group = (f"group:{spec.name}",) if spec.group is None else ()
        home = spec.home or f"{HOMES}/{spec.name}"
        return Relations((f"user:{spec.name}", *own_group), wants, is_absent=spec.state == "absent", brings=(home,))

    def bound(self, spec: UserSpec) -> Sequence[Possible]:
        """At most: set or remove it."""
        return (Possible("remove" if spec.state == "absent" else "set"),)

    @staticmethod
    def _do(step: Step[UserSpec], host: Host) -> None:
        database = find_users(host)
        after = {change.name: change.after for change in step.difference.fields}
        if step.action == "remove":
            database.remove(step.spec, step.state, host)
        elif step.action == "create":
            database.create(step.spec, after, host)
        else:
            database.change(step.spec, {change.name: change.before for change in step.difference.fields}, after, host)


def find_mistake(spec: UserSpec) -> str:
    """Say why such a user cannot be, or nothing: what would be an option to the tools, or break the files' format."""
    if not NAME.match(spec.name):
        return f"`{spec.name[:80]}` is not a user's name (up to 32 letters, digits, `_`, `.`, `-`; the first a letter, a digit or `_`)"
    for group in (*((spec.group,) if spec.group is not None else ()), *(spec.groups or ())):
        if not NAME.match(group):
            return f"`{group[:80]}` is not a group's name"
    if any(group.isdigit() for group in spec.groups or ()):
        return "`groups` takes names, not numbers"
    if spec.expires is not None and find_mistaken_date(spec.expires):
        return find_mistaken_date(spec.expires)
    for text in (spec.comment, spec.home, spec.shell):
        if text is not None and UNSAFE.search(text):
            return "`comment`, `home` and `shell` cannot hold colons or control characters"
    return ""


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
