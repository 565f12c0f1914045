"""Values of parameters against their JSON Schema. No schema is ever fetched from anywhere."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.exceptions import NoSuchResource

from gitops.config.node import Node, to_plain


@dataclass(frozen=True)
class Misfit:
    """Why a value does not fit, and the part of it that does not."""

    message: str
    node: Node


def find_misfit(schema: Node, value: Node) -> Misfit | None:
    """Compare a value with a schema that was checked; give the first thing that does not fit."""
    validator: Any = Draft202012Validator(cast("Any", to_plain(schema)), registry=_REGISTRY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # patterns that may mean something else one day
        try:
            errors: list[ValidationError] = list(validator.iter_errors(to_plain(value)))
        except RecursionError:
            return Misfit("its schema never ends, look for a `$ref` that leads back to where it stands", value)
    return Misfit(errors[0].message[:200], value.at(errors[0].absolute_path)) if errors else None


def _refuse(uri: str) -> NoReturn:
    raise NoSuchResource(uri)


_REGISTRY: Any = cast("Any", Registry)(retrieve=_refuse)
