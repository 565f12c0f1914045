"""Attributes of a kind's Spec, described as data: from them come checks, JSON Schemas and the reference pages.

A Spec is a frozen dataclass whose first field is the thing's name and whose other fields are made with `attribute(...)`.
Checking gives every problem at once; decoding gives the Spec or raises. Types are decoded by hand, since Python 3.9 cannot
evaluate `int | None`.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, TypeVar, cast

from gitops.errors import MalformedError
from gitops.model.acl import Acl, parse_acl
from gitops.model.codec import MAX_INTEGER, Json, is_digest
from gitops.model.secret import find_secrets, text_from_json
from gitops.model.selinux import parse_context

S = TypeVar("S")

TYPES = (
    "text",
    "integer",
    "boolean",
    "choice",
    "mode",
    "path",
    "argv",
    "texts",
    "environment",
    "content",
    "values",
    "secret",
    "integers",
    "acl",
    "directory_acl",
    "xattrs",
    "selinux",
)


@dataclass(frozen=True)
class Attribute:
    """What one attribute takes. `type` is one of TYPES; `choices` belongs to `choice`, the bounds (inclusive) to `integer`."""

    type: str
    doc: str
    choices: Tuple[str, ...] = ()
    minimum: Optional[int] = None
    maximum: Optional[int] = None
    is_required: bool = False
    default: Json = None


@dataclass(frozen=True)
class AttributeProblem:
    """One mistake in a resource's attributes; `code` is a diagnostic code (C104 unknown key, C105 wrong value, C106 missing)."""

    code: str
    key: str
    message: str
    expected: str


def attribute(
    type_name: str,
    doc: str,
    *,
    default: Any = None,
    choices: Sequence[str] = (),
    bounds: Tuple[Optional[int], Optional[int]] = (None, None),
    is_required: bool = False,
) -> Any:
    """Declare a Spec's field. Without a default the attribute is undeclared (None) unless a person sets it."""
    described = Attribute(type_name, doc, tuple(choices), bounds[0], bounds[1], is_required, default)
    return dataclasses.field(default=default, metadata={"attribute": described})


@cache
def attributes_of(spec: type) -> Mapping[str, Attribute]:
    """List a Spec's attributes by name, in the order declared."""
    found: Dict[str, Attribute] = {}
    for item in dataclasses.fields(spec):
        described = item.metadata.get("attribute")
        if isinstance(described, Attribute):
            found[item.name] = described
    return found


@cache
def _required_of(spec: type) -> Tuple[str, ...]:
    return tuple(key for key, item in attributes_of(spec).items() if item.is_required)


def check_attributes(spec: type, values: Mapping[str, Json]) -> Tuple[AttributeProblem, ...]:
    """Give every problem of the values, in order of key: unknown keys, wrong values, missing ones."""
    known = attributes_of(spec)
    problems: List[AttributeProblem] = []
    for key in sorted(values):
        if key not in known:
            problems.append(AttributeProblem("C104", key, f"unknown key `{key}`", ", ".join(sorted(known))))
            continue
        try:
            decode_value(known[key], values[key])
        except ValueError as error:
            problems.append(AttributeProblem("C105", key, f"`{key}`: {error}", describe_type(known[key])))
    problems.extend(
        AttributeProblem("C106", key, f"`{key}` is missing", describe_type(item))
        for key, item in sorted(known.items())
        if item.is_required and key not in values
    )
    return tuple(problems)


def decode_spec(spec: Callable[..., S], name: str, values: Mapping[str, Json]) -> S:
    """Make the Spec of a checked resource; raise MalformedError with the first problem."""
    known = attributes_of(cast(type, spec))
    decoded: Dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise MalformedError(f"unknown key `{key[:80]}`", code="C104")
        try:
            decoded[key] = decode_value(known[key], value)
        except ValueError as error:
            raise MalformedError(f"`{key}`: {error}", code="C105") from error
    for key in _required_of(cast(type, spec)):
        if key not in decoded:
            raise MalformedError(f"`{key}` is missing", code="C106")
    return spec(name, **decoded)


def decode_value(described: Attribute, value: Json) -> Any:
    """Give the Python value of an attribute; raise ValueError saying what was got and expected."""
    return _DECODERS[described.type](described, value)


def describe_type(described: Attribute) -> str:
    """Say in words what an attribute takes."""
    if described.type == "choice":
        return "one of " + ", ".join(described.choices)
    if described.type == "integer" and described.minimum is not None:
        return f"an integer from {described.minimum}" + (f" to {described.maximum}" if described.maximum is not None else "")
    return _WORDS[described.type]


_WORDS = {
    "text": "a string",
    "integer": "an integer",
    "boolean": "true or false",
    "choice": "a choice",
    "mode": 'a quoted octal string like "0644"',
    "path": "an absolute, normalised path",
    "argv": "a list of strings, the program first",
    "texts": "a list of strings",
    "environment": "a map of names to strings",
    "content": "a string",
    "integers": "a list of integers from 0 to 255",
    "secret": "a reference to a secret like ${secret.name}",
    "values": "a map of names to strings, integers, booleans or lists of strings",
    "acl": 'a list of entries like "user:alice:rw-", "group:ops:r--" or "mask::r-x"',
    "directory_acl": 'a list of entries like "user:alice:rwx" or "default:group:ops:r-x"',
    "xattrs": "a map of names like user.note to strings, or to null for one that is to go",
    "selinux": 'a type like "etc_t" or a context like "system_u:object_r:etc_t:s0"',
}
_OCTAL, _MODE_LENGTHS = frozenset("01234567"), (3, 4)
_PLAIN = Attribute("text", "a value")
_BYTE = Attribute("integer", "an exit status", minimum=0, maximum=255)
# Compiled when they are first used: each costs some 0.2 ms of every start.
_CONTROL = r"[\x00-\x1f\x7f]"
VALUE_NAME = r"[a-z][a-z0-9_]{0,62}\Z"
_XATTR = r"user\.[^\x00-\x1f\x7f]+\Z"
MAX_XATTR_NAME, MAX_XATTR_VALUE = 255, 65536  # bytes; the kernel's own bounds (xattr(7))
DECLARED_ELSEWHERE = {"system.posix_acl_access": "acl", "system.posix_acl_default": "acl", "security.selinux": "selinux"}
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*\Z"


def is_managed_path(path: str) -> bool:
    """Say whether a path may be managed: absolute, normalised, no control characters, not `/` itself."""
    if not path.startswith("/") or path == "/" or path.endswith("/"):
        return False
    if not path.isprintable() and re.search(_CONTROL, path):
        return False
    return all(part not in ("", ".", "..") for part in path[1:].split("/"))


def normalise_mode(text: str) -> str:
    """Give four octal digits for `644`, `0644` or `1777`; raise ValueError otherwise."""
    if len(text) not in _MODE_LENGTHS or not _OCTAL.issuperset(text):
        raise ValueError(f'got {text[:40]!r}, expected a quoted octal string like "0644"')
    return text.zfill(4)


def _decode_text(_: Attribute, value: Json) -> str:
    if not isinstance(value, str):
        raise ValueError(f"got {_type_name(value)}, expected a string")
    if "\0" in value:
        raise ValueError("a NUL character is not allowed")
    return value


def _decode_integer(described: Attribute, value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"got {_type_name(value)}, expected {describe_type(described)}")
    low = -MAX_INTEGER if described.minimum is None else described.minimum
    high = MAX_INTEGER if described.maximum is None else described.maximum
    if not low <= value <= high:
        raise ValueError(f"got {value}, expected {describe_type(described)}")
    return value


def _decode_boolean(_: Attribute, value: Json) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"got {_type_name(value)}, expected true or false")
    return value


def _decode_choice(described: Attribute, value: Json) -> str:
    if not isinstance(value, str) or value not in described.choices:
        got = repr(value[:40]) if isinstance(value, str) else _type_name(value)
        raise ValueError(f"got {got}, expected {describe_type(described)}")
    return value


def _decode_mode(_: Attribute, value: Json) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f'got the bare number {value}, which is no mode; quote its octal digits, like "0644"')
    if not isinstance(value, str):
        raise ValueError(f'got {_type_name(value)}, expected a quoted octal string like "0644"')
    return normalise_mode(value)


def _decode_path(_: Attribute, value: Json) -> str:
    if not isinstance(value, str) or not is_managed_path(value):
        got = repr(value[:80]) if isinstance(value, str) else _type_name(value)
        raise ValueError(f"got {got}, expected an absolute path without `.`, `..`, doubled or trailing slashes")
    return value


def _decode_texts(_: Attribute, value: Json) -> Tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"got {_type_name(value)}, expected a list of strings")
    for item in value:
        if not isinstance(item, str) or "\0" in item:
            raise ValueError(f"got {_type_name(item)} in the list, expected strings without NUL")
    return tuple(str(item) for item in value)


def _decode_acl(described: Attribute, value: Json) -> Acl:
    return parse_acl(_decode_texts(described, value), has_default=described.type == "directory_acl")


def _decode_selinux(described: Attribute, value: Json) -> str:
    return parse_context(_decode_text(described, value))


def _decode_xattrs(described: Attribute, value: Json) -> Mapping[str, Optional[str]]:
    if not isinstance(value, dict):
        raise ValueError(f"got {_type_name(value)}, expected {describe_type(described)}")
    table = cast("Mapping[str, Json]", value)
    return {_xattr_name(name): _xattr_value(name, item) for name, item in table.items()}


def _xattr_name(name: str) -> str:
    if name in DECLARED_ELSEWHERE:
        raise ValueError(f"got the name {name!r}, which `{DECLARED_ELSEWHERE[name]}` declares")
    if not re.match(_XATTR, name) or len(name.encode("utf-8")) > MAX_XATTR_NAME:
        raise ValueError(f'got the name {name[:40]!r}, expected one that begins with "user.", at most {MAX_XATTR_NAME} bytes')
    return name


def _xattr_value(name: str, value: Json) -> Optional[str]:
    text = None if value is None else _decode_text(_PLAIN, value)
    if text is not None and len(text.encode("utf-8")) > MAX_XATTR_VALUE:
        raise ValueError(f"{name} has more than {MAX_XATTR_VALUE} bytes")
    return text


def _decode_integers(_: Attribute, value: Json) -> Tuple[int, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(f"got {_type_name(value)}, expected {_WORDS['integers']}")
    return tuple(_decode_integer(_BYTE, item) for item in value)


def _decode_argv(described: Attribute, value: Json) -> Tuple[str, ...]:
    found = _decode_texts(described, value)
    if not found or not found[0]:
        raise ValueError("got an empty list, expected the program and its arguments")
    return found


def _decode_environment(_: Attribute, value: Json) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"got {_type_name(value)}, expected a map of names to strings")
    table = cast("Mapping[str, Json]", value)
    for name in table:
        if not re.match(_VARIABLE, name):
            raise ValueError(f"got the name {name[:40]!r}, expected letters, digits and underscores")
    return {name: _decode_parts(item) for name, item in table.items()}


def _decode_content(_: Attribute, value: Json) -> Any:
    if isinstance(value, dict) and "blob" in value:
        table = cast("Mapping[str, Json]", value)
        digest, size = table.get("blob"), table.get("size")
        is_size = isinstance(size, int) and not isinstance(size, bool) and size >= 0
        if set(table) != {"blob", "size"} or not isinstance(digest, str) or not is_digest(digest) or not is_size:
            raise ValueError("expected {blob: <sha256>, size: <bytes>}")
        return dict(table)
    return _decode_parts(value)


def _decode_values(_: Attribute, value: Json) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"got {_type_name(value)}, expected {_WORDS['values']}")
    table = cast("Mapping[str, Json]", value)
    return {_value_name(name): _decode_plain(item) for name, item in table.items()}


def _value_name(name: str) -> str:
    if not re.match(VALUE_NAME, name):
        raise ValueError(f"got the name {name[:40]!r}, expected lower-case letters, digits and underscores, at most 63")
    return name


def _decode_plain(value: Json) -> Any:
    if isinstance(value, dict):
        return _decode_reference(value)
    if isinstance(value, (list, tuple)):
        return _decode_texts(_PLAIN, value)
    if isinstance(value, bool):
        return value
    return _decode_integer(_PLAIN, value) if isinstance(value, int) else _decode_text(_PLAIN, value)


def _decode_reference(value: Mapping[str, Json]) -> Any:
    """Read a text that holds a secret; any other map is no value."""
    if set(value) != {"parts"} or not find_secrets(value):
        raise ValueError("got a map, expected a string")
    return text_from_json(value, "value")


def _decode_secret(_: Attribute, value: Json) -> Any:
    found = _decode_parts(value)
    if isinstance(value, str):
        raise ValueError("got a plain string, which everybody who reads the project would see; expected ${secret.name}")
    return found


def _decode_parts(value: Json) -> Any:
    if not isinstance(value, (str, dict)):
        raise ValueError(f"got {_type_name(value)}, expected a string")
    try:
        return text_from_json(value, "text")
    except MalformedError as error:
        raise ValueError(error.message) from error


def _type_name(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):  # a float is no JSON of ours, but what people wrote
        return f"the number {value}"
    if isinstance(value, str):
        return "a string"
    return "a map" if isinstance(value, dict) else "a list"


_DECODERS: Mapping[str, Callable[[Attribute, Json], Any]] = {
    "text": _decode_text,
    "integer": _decode_integer,
    "boolean": _decode_boolean,
    "choice": _decode_choice,
    "mode": _decode_mode,
    "path": _decode_path,
    "argv": _decode_argv,
    "texts": _decode_texts,
    "environment": _decode_environment,
    "content": _decode_content,
    "secret": _decode_secret,
    "integers": _decode_integers,
    "values": _decode_values,
    "acl": _decode_acl,
    "directory_acl": _decode_acl,
    "xattrs": _decode_xattrs,
    "selinux": _decode_selinux,
}
