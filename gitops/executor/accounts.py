"""Names of users and groups to ids and back: from the root's own files when there are any, else from the system."""

from __future__ import annotations

import grp
import os
import pwd
from typing import Callable, Dict, Optional, Tuple

from gitops.errors import HostError

ID_FIELD = 2


class Accounts:
    """Looks names up once."""

    def __init__(self, root: str) -> None:
        self._users = _read_ids(root, "passwd")
        self._groups = _read_ids(root, "group")
        self._user_names = {number: name for name, number in (self._users or {}).items()}
        self._group_names = {number: name for name, number in (self._groups or {}).items()}

    def user_name(self, uid: int) -> str:
        """Give a user's name, or the number as text."""
        if uid not in self._user_names:
            self._user_names[uid] = str(uid) if self._users is not None else _name_or_number(lambda: pwd.getpwuid(uid)[0], uid)
        return self._user_names[uid]

    def group_name(self, gid: int) -> str:
        """Give a group's name, or the number as text."""
        if gid not in self._group_names:
            name = str(gid) if self._groups is not None else _name_or_number(lambda: grp.getgrgid(gid)[0], gid)
            self._group_names[gid] = name
        return self._group_names[gid]

    def user_id(self, name: str) -> int:
        """Give a user's number; raise HostError when there is none."""
        if self._users is not None:
            return _find(self._users, name, "user")
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            return _find({}, name, "user")

    def group_id(self, name: str) -> int:
        """Give a group's number; raise HostError when there is none."""
        if self._groups is not None:
            return _find(self._groups, name, "group")
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            return _find({}, name, "group")

    def ids(self, owner: str, group: str) -> Tuple[int, int]:
        """Give (uid, gid), -1 for what is empty."""
        return (self.user_id(owner) if owner else -1, self.group_id(group) if group else -1)


def _find(table: Dict[str, int], name: str, what: str) -> int:
    if name in table:
        return table[name]
    if name.isdigit():
        return int(name)
    raise HostError(f"there is no {what} `{name}` on this machine", code="E210", hint=f"declare {what}: {name}")


def _name_or_number(look_up: Callable[[], str], number: int) -> str:
    try:
        return look_up()
    except KeyError:
        return str(number)


def _read_ids(root: str, name: str) -> Optional[Dict[str, int]]:
    path = os.path.join(root, "etc", name)
    if not root or not os.path.isfile(path):
        return None
    with open(path, encoding="utf-8", errors="replace") as stream:
        rows = [line.rstrip("\n").split(":") for line in stream]
    return {row[0]: int(row[ID_FIELD]) for row in rows if len(row) > ID_FIELD and row[ID_FIELD].isdigit()}
