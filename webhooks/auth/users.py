"""Users of the settings file: who may log in to the built-in UI and its API, and which commits are theirs.

```yaml
users:
  alice: {password: "scrypt:…", teams: [sre], emails: [alice@example.org]}
```
Takes the decoded table, gives frozen Users. Their names are the `user:alice` and their teams the `team:sre` of the config's approvals.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from gitops.errors import UsageError
from webhooks.auth.passwords import PasswordHash, parse_hash

NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
KEYS = ("password", "teams", "emails")


@dataclass(frozen=True)
class User:
    """One person; `emails` are what their commits may be written with."""

    name: str
    password: PasswordHash = field(repr=False)
    teams: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()


@dataclass(frozen=True)
class Users:
    """Everybody who may log in, by name."""

    by_name: Mapping[str, User] = field(default_factory=dict[str, User])

    def find(self, name: str) -> User | None:
        """Give the user of a name."""
        return self.by_name.get(name)

    def of_commit(self, name: str, email: str) -> str:
        """Give the user whom a commit names: by e-mail, then by user name (any case); else the e-mail or name itself.

        Who is nobody here is still somebody: the text stays, so that an unknown author is shown and never taken for a reviewer.
        """
        for user in self.by_name.values():
            if email.lower() in user.emails:
                return user.name
        lowered = name.strip().lower()
        if lowered in self.by_name:
            return lowered
        return email or name


def parse_users(value: Any) -> Users:
    """Read the `users:` table of the settings; None is nobody. Raise UsageError that names the user and what is wrong."""
    if value is None:
        return Users()
    if not isinstance(value, dict):
        raise _wrong("users", "a table of names")
    found = [_parse_user(name, item) for name, item in cast("dict[Any, Any]", value).items()]
    _refuse_shared(found)
    return Users({user.name: user for user in found})


def _parse_user(name: Any, value: Any) -> User:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise _wrong(f"users.{str(name)[:64]}", "a name of small letters, digits, `.`, `_` or `-`")
    if not isinstance(value, dict):
        raise _wrong(f"users.{name}", "a table with " + ", ".join(KEYS))
    table = cast("dict[Any, Any]", value)
    unknown = sorted(str(key) for key in table if key not in KEYS)
    if unknown:
        raise UsageError(f"users.{name}: unknown key `{unknown[0][:64]}`; a user takes {', '.join(KEYS)}", code="U061")
    password = table.get("password")
    if not isinstance(password, str):
        raise _wrong(f"users.{name}.password", "a hash made with `python -m webhooks.auth.hash`")
    emails = tuple(email.lower() for email in _texts(table.get("emails"), f"users.{name}.emails"))
    return User(name, parse_hash(password), _texts(table.get("teams"), f"users.{name}.teams"), emails)


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    items = cast("list[Any]", value) if isinstance(value, list) else [None]
    if not all(isinstance(item, str) and item for item in items):
        raise _wrong(where, "a list of texts")
    return tuple(cast("list[str]", items))


def _refuse_shared(users: Iterable[User]) -> None:
    owner: dict[str, str] = {}
    for user in users:
        for email in user.emails:
            if owner.setdefault(email, user.name) != user.name:
                raise UsageError(f"users: {user.name} and {owner[email]} share the address {email}", code="U062")


def _wrong(where: str, expected: str) -> UsageError:
    return UsageError(f"{where}: expected {expected}", code="U061", hint="see the users of the settings file in the reference")
