"""The sandbox of templates: Jinja2, held to what prints the same on every machine and in every run.

Gives the environment. What stands in `{{ … }}` is a text, number, boolean, list or map; anything else is an error, since Python would
print an address. Filters that are lazy in Jinja give lists, a map's own key goes before a method of its name, and what has no text
(functions, methods, whole roots of secrets) refuses to be made one by any other way, too.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any, NoReturn, cast

from jinja2 import FunctionLoader, StrictUndefined, UndefinedError
from jinja2.exceptions import SecurityError
from jinja2.runtime import Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from gitops.compile.marks import SecretMark, Secrets, TransformedSecretError
from gitops.compile.scope import Names, describe_unknown, read_root
from gitops.compile.written import WrittenFloat, WrittenInt
from gitops.config.reader import suggest_among, suggest_and_list

ROOTS = ("vars", "params", "host", "secret", "hosts()")
GLOBALS = ("range", "dict", "namespace")
LINE_ENDS = {False: "\n", True: "\r\n"}


class UnprintableError(Exception):
    """A template would print what has no text of its own; says what it is, and what to write instead."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


class Function:
    """A function or method as templates see it: it can be called, and has no text."""

    __slots__ = ("_call", "_name")

    def __init__(self, name: str, call: Callable[..., object]) -> None:
        self._name = name
        self._call = call

    def __call__(self, *arguments: object, **named: object) -> object:
        """Call it; what would be lazy comes as a list."""
        return _settle(self._call(*arguments, **named))

    def _refuse(self, *_: object) -> NoReturn:
        raise UnprintableError(f"the function `{self._name}`", f"call it: `{self._name}(…)`, or quote a key: `['{self._name}']`")

    __str__ = __repr__ = __format__ = _refuse  # type: ignore[assignment]


class Words(str):
    """What an undefined value is, with a hint."""

    hint: str = ""


class UnknownName(StrictUndefined):
    """What is not there: an error however it is used, in words of the project and not of our classes."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        text, hint = _describe_missing(self._undefined_hint, self._undefined_obj, self._undefined_name)
        words = Words(text)
        words.hint = hint
        return words

    def __repr__(self) -> str:
        self._fail_with_undefined_error()


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Give `obj.attribute`: a map's own key first."""
        if isinstance(obj, dict) and attribute in obj:
            return cast("dict[str, object]", obj)[attribute]
        if attribute.startswith("__"):
            return self.unsafe_undefined(obj, attribute)
        return _cover(attribute, super().getattr(obj, attribute))

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Give `obj[argument]`: of a map its keys alone."""
        if isinstance(obj, dict):
            try:
                return cast("dict[object, object]", obj)[argument]
            except (KeyError, TypeError):
                return self.undefined(obj=obj, name=argument)
        if isinstance(argument, str) and argument.startswith("__"):
            return self.unsafe_undefined(obj, argument)
        return _cover(str(argument), super().getitem(obj, argument))


def make_environment(*, is_crlf: bool = False) -> Sandbox:
    """Make the environment; templates of CRLF lines give CRLF lines."""
    found = Sandbox(
        undefined=UnknownName,
        trim_blocks=True,
        keep_trailing_newline=True,
        newline_sequence=LINE_ENDS[is_crlf],  # type: ignore[arg-type]
        finalize=finalize,
        autoescape=False,
        cache_size=0,
        loader=FunctionLoader(_load_nothing),
    )
    found.globals = {name: found.globals[name] for name in GLOBALS}
    found.filters = {name: _unroll(call) for name, call in found.filters.items()}
    found.filters["random"] = _refuse_random
    found.policies["json.dumps_function"] = _dump_json
    return found


def finalize(value: Any) -> Any:
    """Give what `{{ … }}` prints; raise for what has no text."""
    if isinstance(value, SecretMark):
        return value._mark  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  the one place that may see it
    if value is None:
        raise UndefinedError("the value is null")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Names):
        return read_root(value)
    if not isinstance(value, str):
        check_printable(value)
    return (
        str(value) if isinstance(value, WrittenInt | WrittenFloat) else value
    )  # which tells it, while the template's line is known


def check_printable(value: object) -> None:
    """Raise UnprintableError for what is, or holds, something that is neither text, number, boolean, null, list nor map."""
    if isinstance(value, list | tuple):
        for item in cast("list[object]", value):
            check_printable(item)
    elif isinstance(value, dict):
        for key, item in cast("dict[object, object]", value).items():
            check_printable(key)
            check_printable(item)
    elif isinstance(value, SecretMark | Secrets):
        raise TransformedSecretError
    elif isinstance(value, Function | Undefined):
        str(value)  # raises, in its own words
    elif isinstance(value, float) and not math.isfinite(value):
        raise UnprintableError("a number that is too large, or none", "look at the arithmetic")
    elif not (value is None or isinstance(value, str | int | float | Names)):
        raise UnprintableError(_name_value(value), "print a text, number, boolean, list or map; `| list` makes a list")


def _name_value(value: object) -> str:
    if isinstance(value, range):
        return "a range"
    return "bytes" if isinstance(value, bytes) else f"{type(value).__name__.lower()}, which is no value"


def _describe_missing(said: str | None, value: object, name: object) -> tuple[str, str]:
    if said:
        return said, ""
    if value is missing:
        return f"`{name}`", suggest_among(str(name), ROOTS, "templates see")
    if isinstance(value, Names):
        return describe_unknown(value, str(name))
    if isinstance(value, Mapping):
        known = map(str, cast("Mapping[object, object]", value))
        return f"the map has no key `{name}`", suggest_and_list(str(name), known, "it has")
    if isinstance(value, list | tuple):
        return f"the list has no item `{name}`", f"it has {len(cast('list[object]', value))}, counted from 0"
    words = "text" if isinstance(value, str) else "number" if isinstance(value, int | float) else "value"
    return f"the {words} has no `{name}`", "only maps have keys"


def _cover(name: str, value: Any) -> Any:
    """Wrap what Python would print with an address: functions, methods, objects without a text of their own."""
    if isinstance(value, Function | type) or value is None:
        return value
    if isinstance(value, FunctionType | MethodType | BuiltinMethodType):
        return Function(name, value)
    is_plain = type(value).__repr__ is object.__repr__  # pyright: ignore[reportUnknownMemberType]
    return Function(name, value) if is_plain and callable(value) else value


def _settle(value: object) -> object:
    """Make a list of what can be read once only, or shows only what it is a view of."""
    if isinstance(value, Iterator | KeysView | ValuesView | ItemsView):
        return list(cast("Iterator[object]", value))
    return value


def _unroll(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def unrolled(*arguments: Any, **named: Any) -> Any:
        return _settle(call(*arguments, **named))

    return unrolled


def _refuse_random(*_: object) -> NoReturn:
    raise SecurityError("`random` gives something else each time, and the same commit must always give the same")


def _dump_json(value: object, **options: Any) -> str:
    return json.dumps(value, default=_plain, **options)


def _plain(value: object) -> object:
    if isinstance(value, Names):
        return read_root(value)
    check_printable(value)
    raise UnprintableError(_name_value(value), "give a text, number, boolean, list or map")


def _load_nothing(name: str) -> NoReturn:
    raise SecurityError(f"templates read no other templates: {name[:60]!r}")
