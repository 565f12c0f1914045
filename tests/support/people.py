"""Users with passwords that cost little to compare, and a gate with a clock that tests turn."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from webhooks.auth.attempts import Attempts
from webhooks.auth.gate import Gate
from webhooks.auth.passwords import PasswordHash
from webhooks.auth.peer import Address
from webhooks.auth.secret import Revoked
from webhooks.auth.users import User, Users

PASSWORD = "correct horse"
SECRET = bytes(range(32))
NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)


@dataclass
class Clock:
    """A clock that stands until it is turned."""

    at: datetime = NOW

    def __call__(self) -> datetime:
        return self.at


def cheap_hash(password: str = PASSWORD) -> PasswordHash:
    salt = bytes(16)
    key = hashlib.scrypt(password.encode(), salt=salt, n=16, r=1, p=1, dklen=32)
    return PasswordHash(16, 1, 1, salt, key)


def make_user(name: str, *teams: str) -> User:
    return User(name, cheap_hash(), teams, (f"{name}@example.org",))


def make_users(*users: User) -> Users:
    return Users({user.name: user for user in users})


@dataclass
class Ids:
    """Ids in a row, so that tests can tell them apart."""

    numbers: count[int] = field(default_factory=lambda: count(1))

    def __call__(self) -> str:
        return f"id-{next(self.numbers)}"


def make_gate(folder: Path, users: Users, *, clock: Clock | None = None, url: str = "") -> Gate:
    gate = Gate(users, SECRET, Revoked(folder / "ended"), Attempts(), clock or Clock(), Ids(), Address(url))
    # Requests of tests in one process have no connection.
    return replace(gate, find_owner=lambda _request: os.getuid())
