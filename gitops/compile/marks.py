"""Secrets as templates see them: opaque objects that leave a mark where they are printed, and refuse every other use.

Marks hold a NUL, which no source or variable may, so that content cannot forge one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NoReturn

from gitops.model.secret import SecretRef

MARK = "\0"


class TransformedSecretError(Exception):
    """A template did more with a secret than place it."""


class UnknownSecretError(Exception):
    """A template names a secret that nobody declared. No LookupError: Jinja would make it an undefined value."""


class SecretMark:
    """A secret in a template; `mark` is what printing it leaves."""

    def __init__(self, mark: str) -> None:
        self._mark = mark

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TransformedSecretError

    __str__ = __repr__ = __bool__ = __len__ = __iter__ = __eq__ = __ne__ = __lt__ = __add__ = __radd__ = __mod__ = _refuse  # type: ignore[assignment]
    __mul__ = __contains__ = __getitem__ = __format__ = __call__ = __hash__ = __gt__ = __int__ = __float__ = __html__ = _refuse  # type: ignore[assignment]


class Secrets:
    """The root `secret`; records which were placed."""

    def __init__(self, refs: Mapping[str, SecretRef], placed: list[SecretRef]) -> None:
        self._refs = refs
        self._placed = placed

    def __getitem__(self, key: str) -> object:
        if key not in self._refs:
            raise UnknownSecretError(key)
        self._placed.append(self._refs[key])
        return SecretMark(f"{MARK}{len(self._placed) - 1}{MARK}")

    def _refuse(self, *_: object) -> NoReturn:
        raise TransformedSecretError

    __str__ = __repr__ = __format__ = __len__ = _refuse  # type: ignore[assignment]

    def __iter__(self) -> Iterator[str]:
        raise TransformedSecretError
