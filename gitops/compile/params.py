"""Parameters of modules: checked against their JSON Schema, defaults filled in. No schema is ever fetched from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

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
        outside = _find_outside(node)
        if outside is not None:
            found.append(
                Diagnostic("C218", f"`$ref` of `{name}` leaves the document", outside.place, hint="only #/… is followed")
            )
            continue
        default = node.entries.get("default")
        if default is not None:
            problem = _first_error(schema, to_plain(default))
            if problem:
                found.append(Diagnostic("C207", f"the default of `{name}` does not fit its schema: {problem}", default.place))
    return found


@dataclass(frozen=True)
class Filled:
    """The parameters of one use with their defaults, what is wrong with them; from CUE also resources, and what they lack."""

    params: Mapping[str, Node]
    diagnostics: tuple[Diagnostic, ...] = ()
    resources: tuple[ResourceNode, ...] | None = None
    lost: frozenset[str] = frozenset()


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


def _find_outside(node: Node) -> Node | None:
    for item in node.walk():
        reference = item.entries.get("$ref")
        if reference is not None and not reference.text.startswith("#"):
            return reference
    return None
