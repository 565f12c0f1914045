"""A strict reader of one JSON object: each key is taken once, what is left over is an error.

The door through which every stored or received document becomes a noun. Gives plain values or raises MalformedError that
names the place, what was got and what was expected. Never echoes more than a short cut of a value.
"""

from __future__ import annotations

from datetime import datetime
from typing import Dict, List, Mapping, Optional, Sequence, Tuple, cast

from gitops.errors import MalformedError
from gitops.model.codec import Json, is_digest, parse_time


class Fields:
    """Take known keys from an object one by one; `done` refuses the rest."""

    def __init__(self, value: Json, where: str) -> None:
        if not isinstance(value, dict):
            raise MalformedError(f"{where}: expected an object, got {_name(value)}", code="M010")
        self._left: Dict[str, Json] = dict(cast("Mapping[str, Json]", value))
        self._where = where

    def raw(self, key: str) -> Json:
        """Take a required value of any type."""
        if key not in self._left:
            raise MalformedError(f"{self._where}: `{key}` is missing", code="M011")
        return self._left.pop(key)

    def has(self, key: str) -> bool:
        """Say whether a key is there and not null; a null is taken away."""
        if self._left.get(key) is None:
            self._left.pop(key, None)
            return False
        return True

    def schema(self, expected: str) -> None:
        """Take `schema` and refuse any other than the expected one."""
        got = self.text("schema")
        if got != expected:
            raise MalformedError(f"{self._where}: expected schema {expected}, got {got[:80]!r}", code="M012")

    def text(self, key: str, default: Optional[str] = None) -> str:
        """Take a string; without a default it is required."""
        if default is not None and key not in self._left:
            return default
        value = self.raw(key)
        if not isinstance(value, str):
            raise self._wrong(key, "a string", value)
        return value

    def integer(self, key: str, default: Optional[int] = None) -> int:
        """Take an integer (not a boolean)."""
        if default is not None and key not in self._left:
            return default
        value = self.raw(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(key, "an integer", value)
        return value

    def flag(self, key: str, *, default: Optional[bool] = None) -> bool:
        """Take a boolean."""
        if default is not None and key not in self._left:
            return default
        value = self.raw(key)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false", value)
        return value

    def choice(self, key: str, choices: Sequence[str], default: Optional[str] = None) -> str:
        """Take a string that must be one of the choices."""
        if default is not None and key not in self._left:
            return default
        value = self.text(key)
        if value not in choices:
            raise self._wrong(key, "one of " + ", ".join(choices), value)
        return value

    def digest(self, key: str) -> str:
        """Take 64 lower-case hex digits."""
        value = self.text(key)
        if not is_digest(value):
            raise self._wrong(key, "64 lower-case hex digits", value)
        return value

    def time(self, key: str) -> datetime:
        """Take an RFC 3339 time in UTC."""
        return parse_time(self.text(key))

    def items(self, key: str) -> Tuple[Json, ...]:
        """Take a list of anything; absent is empty."""
        value = self._left.pop(key, ())
        if not isinstance(value, (list, tuple)):
            raise self._wrong(key, "a list", value)
        return tuple(cast("Sequence[Json]", value))

    def texts(self, key: str) -> Tuple[str, ...]:
        """Take a list of strings; absent is empty."""
        if key not in self._left:
            return ()
        found: List[str] = []
        for item in self.items(key):
            if not isinstance(item, str):
                raise self._wrong(key, "a list of strings", item)
            found.append(item)
        return tuple(found)

    def table(self, key: str) -> Dict[str, Json]:
        """Take an object with string keys; absent is empty."""
        if key not in self._left:
            return {}
        value = self._left.pop(key)
        if not isinstance(value, dict):
            raise self._wrong(key, "an object", value)
        return dict(cast("Mapping[str, Json]", value))

    def names(self) -> Tuple[str, ...]:
        """Name the keys that were not taken yet."""
        return tuple(self._left)

    def done(self) -> None:
        """Refuse keys that nobody took."""
        if self._left:
            key = sorted(self._left)[0]
            raise MalformedError(f"{self._where}: unknown key `{key[:80]}`", code="M013")

    def _wrong(self, key: str, expected: str, value: Json) -> MalformedError:
        return MalformedError(f"{self._where}: `{key}`: expected {expected}, got {_name(value)}", code="M014")


def _name(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, str):
        return f"the string {value[:40]!r}"
    return "an object" if isinstance(value, dict) else "a list"
