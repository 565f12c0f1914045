"""What the machine side needs of the standard `dataclasses`, made to start quickly; in the archive it stands in that module's place.

The standard one imports `inspect` and compiles six functions for each of some fifty nouns: two fifths of a run with nothing to do.
Here one function is compiled for a noun, when a few were made. Only frozen classes; classes made by either behave the same, which
tests compare noun by noun. Nothing but the archive uses this: to do without, leave it out there.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Callable, Dict, List, Mapping, NoReturn, Optional, Tuple, Type, TypeVar

T = TypeVar("T")

MISSING: Any = object()
FIELDS = "__dataclass_fields__"
FEW = 8  # makings of a noun that cost as much as compiling its `__init__`


class FrozenInstanceError(AttributeError):
    """Somebody tried to change a noun."""


class Field:
    """One attribute of a noun."""

    __slots__ = ("default", "default_factory", "metadata", "name")

    def __init__(self, default: Any, default_factory: Any, metadata: Mapping[str, Any]) -> None:
        self.name = ""
        self.default = default
        self.default_factory = default_factory
        self.metadata = metadata


def field(*, default: Any = MISSING, default_factory: Any = MISSING, metadata: Optional[Mapping[str, Any]] = None) -> Any:
    """Describe an attribute beside its type."""
    return Field(default, default_factory, metadata or {})


def fields(noun: Any) -> Tuple[Field, ...]:
    """List the attributes of a class or of one of its objects, in order."""
    return tuple(getattr(noun, FIELDS).values())


def replace(noun: T, **changes: Any) -> T:
    """Give a noun like this one but for some attributes."""
    return type(noun)(**{**{name: getattr(noun, name) for name in getattr(noun, FIELDS)}, **changes})


def dataclass(*, frozen: bool, order: bool = False) -> Callable[[Type[T]], Type[T]]:
    """Make a class a noun: made from its attributes, compared by them, never changed."""
    if not frozen:
        raise TypeError("nouns are frozen")

    def decorate(cls: Type[T]) -> Type[T]:
        known = _collect(cls)
        setattr(cls, FIELDS, known)
        methods = {"__init__": _init_later(cls, known), "__repr__": _show, "__setattr__": _refuse, "__delattr__": _refuse}
        methods.update(_compare(attrgetter(*known), has_order=order))
        for name, method in methods.items():
            setattr(cls, name, method)
        return cls

    return decorate


def _collect(cls: type) -> Dict[str, Field]:
    known: Dict[str, Field] = {}
    for base in cls.__mro__[:0:-1]:
        known.update(base.__dict__.get(FIELDS, {}))
    for name in cls.__dict__.get("__annotations__", {}):  # noqa: RUF063  of an attribute's type only the name is used
        given = cls.__dict__.get(name, MISSING)
        if not isinstance(given, Field):
            given = Field(given, MISSING, {})
        elif given.default is MISSING:
            delattr(cls, name)
        else:
            setattr(cls, name, given.default)
        given.name = name
        known[name] = given
    return known


def _init_later(cls: Any, known: Mapping[str, Field]) -> Callable[..., None]:
    left = [FEW]

    def init(self: Any, *values: Any, **named: Any) -> None:
        left[0] -= 1
        if left[0] >= 0 and _fill(self, known, values, named):
            return
        cls.__init__ = _compile_init(known)
        cls.__init__(self, *values, **named)

    return init


def _fill(noun: Any, known: Mapping[str, Field], values: Tuple[Any, ...], named: Mapping[str, Any]) -> bool:
    """Set the attributes one by one: of a noun that is made a few times quicker than to compile. Say whether all fit; who compiles says
    what is wrong.
    """
    given = dict(zip(known, values))
    if len(values) > len(known) or not (named.keys() <= known.keys()) or not given.keys().isdisjoint(named):
        return False
    given.update(named)
    for name, one in known.items():
        if name in given:
            value = given[name]
        elif one.default_factory is not MISSING:
            value = one.default_factory()
        elif one.default is not MISSING:
            value = one.default
        else:
            return False
        object.__setattr__(noun, name, value)
    return True


def _compile_init(known: Mapping[str, Field]) -> Any:
    """Compile an `__init__` that sets past `__setattr__`; names of its own begin with an underscore, those of nouns never do."""
    space: Dict[str, Any] = {"_set": object.__setattr__, "_missing": MISSING}
    head: List[str] = ["self"]
    body: List[str] = []
    for name, one in known.items():
        value, default = name, ""
        if one.default_factory is not MISSING:
            space[f"_make_{name}"], default = one.default_factory, "=_missing"
            value = f"_make_{name}() if {name} is _missing else {name}"
        elif one.default is not MISSING:
            space[f"_default_{name}"], default = one.default, f"=_default_{name}"
        head.append(name + default)
        body.append(f" _set(self, {name!r}, {value})\n")
    exec(f"def init({', '.join(head)}):\n{''.join(body)}", space)  # noqa: S102  of names in our own sources, as the standard one does
    return space["init"]


def _compare(pick: Callable[[Any], Any], *, has_order: bool) -> Dict[str, Callable[..., Any]]:
    def equals(self: Any, other: Any) -> Any:
        return pick(self) == pick(other) if other.__class__ is self.__class__ else NotImplemented

    def digest(self: Any) -> int:
        return hash(pick(self))

    def goes_before(self: Any, other: Any) -> Any:
        return pick(self) < pick(other) if other.__class__ is self.__class__ else NotImplemented

    found: Dict[str, Callable[..., Any]] = {"__eq__": equals, "__hash__": digest}
    return {**found, "__lt__": goes_before} if has_order else found


def _show(self: Any) -> str:
    return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in getattr(self, FIELDS))})"


def _refuse(self: Any, name: str, *_: Any) -> NoReturn:
    raise FrozenInstanceError(f"{type(self).__qualname__}.{name} does not change")
