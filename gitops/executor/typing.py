"""What the machine side needs of the standard `typing`, made to start quickly: in the archive `from typing import` means this module.

The standard one costs 5 ms of every start, and a program whose annotations nobody looks at has no use for it. Forms are taken and dropped
here; only what classes are made of is real. A name that is missing fails at import, in the tests. Nothing but the archive uses this: to do
without, leave the replacement in `gitops.transport.payload` out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class _Form:
    """What stands in annotations alone, with anything in brackets."""

    def __getitem__(self, _inner: object) -> _Form:
        return self


class _Base:
    """What a class may name as its base for the type checker's sake."""

    def __class_getitem__(cls, _inner: object) -> type:
        return cls


class Generic(_Base):
    """Parameters are for the type checker."""


class Protocol(_Base):
    """As a base it adds nothing."""


def cast(_kind: object, value: object) -> object:
    """Give the value."""
    return value


def overload(function: object) -> object:
    """Give the function; the last one of a name stays."""
    return function


def TypeVar(name: str, *_kinds: object, bound: object = None) -> object:  # noqa: N802, ARG001  the standard one's name
    """Give something that stands in brackets."""
    return name


def NewType(_name: str, kind: type) -> type:  # noqa: N802  the standard one's name
    """Give the type itself."""
    return kind


AbstractSet = Any = Callable = ClassVar = Collection = Dict = FrozenSet = Generator = IO = Iterable = Iterator = List = Match = (
    _Form()
)
NoReturn = Optional = Set = Tuple = Type = Union = AbstractSet

__all__ = ["Mapping", "Sequence"]
