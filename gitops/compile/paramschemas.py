"""Schemas of modules' parameters: what is wrong with them, with the place inside. A schema with a mistake is used by nobody.

Takes a module, gives diagnostics and the names of its parameters whose schemas cannot be used. They are JSON Schema 2020-12, each a
document of its own: nothing is fetched, and a reference leads to a schema of the same parameter.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from gitops.compile.paramvalues import find_misfit, load_jsonschema
from gitops.config.config import Module
from gitops.config.node import Node, name_type, to_plain
from gitops.config.reader import suggest
from gitops.model.diagnostic import Diagnostic, Place

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
HERE = "only `$ref: #/…` within the parameter is followed"
MOST_TOLD = 10
_TYPE_WORDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "a map",
    "string": "a string",
}
_BOUND_WORDS = {
    "exclusiveMinimum": "a number above 0",
    "minimum": "a number that is not below 0",
    "minItems": "at least one",
    "pattern": "letters, digits, `-`, `.` and `_`",
    "uniqueItems": "none of them twice",
}


@dataclass(frozen=True)
class CheckedSchemas:
    """What is wrong with a module's schemas and defaults, and the parameters whose schemas cannot be used."""

    diagnostics: tuple[Diagnostic, ...] = ()
    broken: frozenset[str] = frozenset()


def check_schemas(module: Module) -> CheckedSchemas:
    """Find what is wrong with a module's own schemas and defaults."""
    found: list[Diagnostic] = []
    broken: set[str] = set()
    for name, node in module.params.items():
        problems = _check_schema(name, node)
        if problems:
            broken.add(name)
            found.extend(problems)
            continue
        default = node.entries.get("default")
        misfit = None if default is None else find_misfit(node, default)
        if misfit is not None:
            message = f"the default of `{name}` does not fit its schema: {misfit.message}"
            found.append(Diagnostic("C207", message, misfit.node.place, width=misfit.node.width))
    return CheckedSchemas(tuple(found), frozenset(broken))


def _check_schema(name: str, node: Node) -> list[Diagnostic]:
    """Find what is wrong with one schema, once for each place."""
    found: dict[Place, Diagnostic] = {}
    for item in _find_problems(f"the schema of `{name}`", node):
        found.setdefault(item.place, item)
    return list(found.values())[:MOST_TOLD]


def _find_problems(what: str, node: Node) -> Iterator[Diagnostic]:
    yield from _check_form(what, node)
    for item in node.walk():
        for key in ("$ref", "$dynamicRef", "$id", "$schema"):
            found = item.entries.get(key)
            if found is not None and isinstance(found.value, str):
                yield from _check_reference(what, key, found, node)


def _check_form(what: str, node: Node) -> Iterator[Diagnostic]:
    """Compare a schema with what the dialect allows."""
    dialect = load_jsonschema().Draft202012Validator
    validator = dialect(dialect.META_SCHEMA, format_checker=_make_formats())
    errors: Iterator[ValidationError] = validator.iter_errors(to_plain(node))
    for error in errors:
        yield _describe(what, node, error)


def _describe(what: str, node: Node, error: ValidationError) -> Diagnostic:
    path = [str(part) for part in error.absolute_path]
    at = node.at(error.absolute_path)
    if error.validator == "anyOf":  # nothing but `type` has a choice in the dialect
        return _describe_type(what, at, path)
    if "propertyNames" in error.absolute_schema_path:
        key = str(cast("object", error.instance))
        at = Node(key, at.key_place(key), len(key))
    where = f"{what}: `{'.'.join(path)[:100]}`" if path else what
    message = f"{where} is {name_type(at)}, expected {_expect(error)}"
    return Diagnostic("C218", message, at.place, width=at.width)


def _describe_type(what: str, node: Node, path: Sequence[str]) -> Diagnostic:
    """Name the type that there is not; of a list, the first such item."""
    wrong = next((item for item in node.items if item.value not in TYPES), node)
    hint = suggest(wrong.text, TYPES)
    message = f"{what}: `{'.'.join(path)[:100]}` is {name_type(wrong)}, expected one of {', '.join(TYPES)}, or a list of some"
    return Diagnostic("C218", message, wrong.place, hint=hint, width=wrong.width)


def _expect(error: ValidationError) -> str:
    rule = str(error.validator)
    if rule == "format":
        return f"a regular expression: {error.cause}"
    if rule == "type":
        wanted = cast("object", error.validator_value)
        return _TYPE_WORDS.get(wanted, str(wanted)) if isinstance(wanted, str) else "a schema (a map, true or false)"
    return _BOUND_WORDS.get(rule, f"what JSON Schema says of `{rule}`")


def _check_reference(what: str, key: str, found: Node, root: Node) -> Iterator[Diagnostic]:
    """Refuse a reference that leaves the document or leads to what is no schema; nor may a schema name itself or its dialect otherwise."""
    if key == "$schema":
        if found.text.rstrip("#") != DIALECT:
            message, hint = f"{what}: `$schema` is {name_type(found)}, expected {DIALECT}", "leave it out"
            yield Diagnostic("C218", message, found.place, hint=hint, width=found.width)
        return
    if key == "$id" or not found.text.startswith("#"):
        yield Diagnostic("C218", f"{what}: `{key}` leaves the document", found.place, hint=HERE, width=found.width)
        return
    target = _follow(found.text, root)
    if target is None:
        message = f"{what}: `{key}` leads nowhere: {found.text[:80]}"
        yield Diagnostic("C218", message, found.place, hint=HERE, width=found.width)
    elif target is not root:
        yield from _check_form(what, target)


def _follow(reference: str, node: Node) -> Node | None:
    """Give what a JSON pointer leads to (RFC 6901, as a fragment)."""
    if not reference.startswith("#/"):
        return node if reference == "#" else None
    for part in reference[2:].split("/"):
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if key in node.entries:
            node = node.entries[key]
        elif key.isascii() and key.isdigit() and int(key) < len(node.items):
            node = node.items[int(key)]
        else:
            return None
    return node


def _is_pattern(value: object) -> bool:
    if isinstance(value, str):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what may mean something else one day
            re.compile(value)
    return True


@cache
def _make_formats() -> Any:
    formats = load_jsonschema().FormatChecker(())
    formats.checks("regex", raises=(re.error, OverflowError, RecursionError))(_is_pattern)
    return formats
