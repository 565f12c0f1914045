"""Parameters of modules: checked against their JSON Schema, defaults filled in. No schema is ever fetched from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast
from urllib.parse import unquote

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import NoSuchResource, Unresolvable

from gitops.compile.unit import EVERYTHING
from gitops.config.config import Module, ModuleUse, ResourceNode
from gitops.config.node import Node, from_plain, to_plain
from gitops.config.reader import suggest
from gitops.model.diagnostic import Diagnostic


def _refuse(uri: str) -> NoReturn:
    raise NoSuchResource(uri)


REGISTRY: Any = cast("Any", Registry)(retrieve=_refuse)


def check_schemas(module: Module) -> list[Diagnostic]:
    """Find what is wrong with a module's own schemas and defaults."""
    found: list[Diagnostic] = []
    for name, node in module.params.items():
        schema = to_plain(node)
        try:
            Draft202012Validator.check_schema(cast("Any", schema))
        except SchemaError as error:
            found.append(Diagnostic("C218", f"the schema of `{name}` is not valid: {error.message[:200]}", node.place))
            continue
        problem = _check_references(name, node, schema)
        if problem is not None:
            found.append(problem)
            continue
        default = node.entries.get("default")
        if default is not None:
            problem = _first_error(schema, to_plain(default))
            if problem:
                found.append(Diagnostic("C207", f"the default of `{name}` does not fit its schema: {problem}", default.place))
    return found


@dataclass(frozen=True)
class Filled:
    """The parameters of one use with their defaults (also `frozen`) and mistakes; from CUE also resources, and what they lack."""

    params: Mapping[str, Node]
    diagnostics: tuple[Diagnostic, ...] = ()
    resources: tuple[ResourceNode, ...] | None = None
    lost: frozenset[str] = frozenset()
    frozen: str = ""


def fill_params(module: Module, use: ModuleUse, given: Mapping[str, Node]) -> Filled:
    """Give the parameters of one use (already interpolated); with a mistake it has no resources."""
    found: list[Diagnostic] = []
    filled: dict[str, Node] = {}
    for name, node in given.items():
        if name not in module.params:
            hint = suggest(name, module.params) or "it takes: " + (", ".join(sorted(module.params)) or "none")
            found.append(Diagnostic("C207", f"module `{module.name}` has no parameter `{name[:60]}`", node.place, hint=hint))
    for name, schema in module.params.items():
        node = given.get(name)
        default = schema.entries.get("default")
        if node is None:
            if default is None:
                message = f"module `{module.name}` needs the parameter `{name}`"
                found.append(Diagnostic("C207", message, use.place, width=use.width, hint="give it in `params`"))
            else:
                filled[name] = from_plain(to_plain(default), default.place)
            continue
        problem = _first_error(to_plain(schema), to_plain(node))
        if problem:
            found.append(
                Diagnostic("C207", f"parameter `{name}` of module `{module.name}`: {problem}", node.place, width=node.width)
            )
        filled[name] = node
    if found:
        return Filled(filled, tuple(found), (), frozenset((EVERYTHING,)))
    return Filled(filled)


def _first_error(schema: object, value: object) -> str:
    validator: Any = Draft202012Validator(cast("Any", schema), registry=REGISTRY)
    try:
        errors: list[ValidationError] = list(validator.iter_errors(value))
    except Unresolvable as error:
        return f"the schema refers to something that is not there: {error}"
    return errors[0].message[:200] if errors else ""


def _check_references(name: str, node: Node, schema: object) -> Diagnostic | None:
    """Find a reference that leaves the document or leads nowhere; a schema may not name itself something else either."""
    for item in node.walk():
        for key in ("$ref", "$dynamicRef", "$id"):
            found = item.entries.get(key)
            if found is None or not isinstance(found.value, str):
                continue
            if key == "$id" or not found.text.startswith("#"):
                message, hint = f"`{key}` of `{name}` leaves the document", "only `$ref: #/…` within the parameter is followed"
                return Diagnostic("C218", message, found.place, hint=hint, width=found.width)
            if not _leads_somewhere(found.text, schema):
                message = f"`{key}` of `{name}` leads nowhere: {found.text[:80]}"
                return Diagnostic("C218", message, found.place, width=found.width)
    return None


def _leads_somewhere(reference: str, schema: object) -> bool:
    if not reference.startswith("#/"):
        return reference == "#"
    for part in reference[2:].split("/"):
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(schema, dict) and key in schema:
            schema = cast("dict[str, object]", schema)[key]
        elif isinstance(schema, list) and key.isdigit() and int(key) < len(cast("list[object]", schema)):
            schema = cast("list[object]", schema)[int(key)]
        else:
            return False
    return True
