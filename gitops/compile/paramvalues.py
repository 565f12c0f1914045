"""Values of parameters against their JSON Schema. No schema is ever fetched from anywhere.

`jsonschema` loads by name, when the first schema is looked at: it is a fifth of what compiling a project without parameters takes.
"""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from gitops.config.node import Node, to_plain

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError


@dataclass(frozen=True)
class Misfit:
    """Why a value does not fit, and the part of it that does not."""

    message: str
    node: Node


def find_misfit(schema: Node, value: Node) -> Misfit | None:
    """Compare a value with a schema that was checked; give the first thing that does not fit."""
    validator = load_jsonschema().Draft202012Validator(to_plain(schema), registry=_make_registry())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # patterns that may mean something else one day
        try:
            errors: list[ValidationError] = list(validator.iter_errors(to_plain(value)))
        except RecursionError:
            return Misfit("its schema never ends, look for a `$ref` that leads back to where it stands", value)
    return Misfit(errors[0].message[:200], value.at(errors[0].absolute_path)) if errors else None


@cache
def load_jsonschema() -> Any:
    """Give the library."""
    return importlib.import_module("jsonschema")


@cache
def _make_registry() -> Any:
    return importlib.import_module("referencing").Registry(retrieve=_refuse)


def _refuse(uri: str) -> NoReturn:
    raise importlib.import_module("referencing.exceptions").NoSuchResource(uri)
