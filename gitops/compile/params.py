"""Parameters of modules: checked against their JSON Schema, defaults filled in. A schema with a mistake is not used."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gitops.compile.paramvalues import find_misfit
from gitops.compile.unit import EVERYTHING
from gitops.config.config import Module, ModuleUse, ResourceNode
from gitops.config.node import Node
from gitops.config.reader import suggest
from gitops.model.diagnostic import Diagnostic


@dataclass(frozen=True)
class Filled:
    """The parameters of one use with their defaults (also `frozen`) and mistakes; from CUE also resources, and what they lack."""

    params: Mapping[str, Node]
    diagnostics: tuple[Diagnostic, ...] = ()
    resources: tuple[ResourceNode, ...] | None = None
    lost: frozenset[str] = frozenset()
    frozen: str = ""


def fill_params(module: Module, use: ModuleUse, given: Mapping[str, Node], broken: Collection[str] = ()) -> Filled:
    """Give the parameters of one use (already interpolated); with a mistake it has no resources.

    Of parameters whose schemas are `broken`, which was told, nothing is known.
    """
    found: list[Diagnostic] = []
    filled: dict[str, Node] = {}
    for name, node in given.items():
        if name not in module.params:
            hint = suggest(name, module.params) or "it takes: " + (", ".join(sorted(module.params)) or "none")
            found.append(Diagnostic("C207", f"module `{module.name}` has no parameter `{name[:60]}`", node.place, hint=hint))
    for name, schema in module.params.items():
        if name in broken:
            continue
        node = given.get(name)
        default = schema.entries.get("default")
        if node is None:
            if default is None:
                message = f"module `{module.name}` needs the parameter `{name}`"
                found.append(Diagnostic("C207", message, use.place, width=use.width, hint="give it in `params`"))
            else:
                filled[name] = default
            continue
        misfit = find_misfit(schema, node)
        if misfit is not None:
            message = f"parameter `{name}` of module `{module.name}`: {misfit.message}"
            found.append(Diagnostic("C207", message, misfit.node.place, width=misfit.node.width))
        filled[name] = node
    if found or broken:
        return Filled(filled, tuple(found), (), frozenset((EVERYTHING,)))
    return Filled(filled)
