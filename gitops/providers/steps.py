"""What all providers do alike: outcomes of steps, and comparing declared attributes with a state."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List, Mapping, Sequence, Tuple

from gitops.errors import TrueupError
from gitops.model.observation import State
from gitops.model.plan import FieldChange
from gitops.model.report import Outcome
from gitops.model.resource import Resource
from gitops.providers.base import Step

PARENT_MODE = "0755"


def do_each(steps: Sequence[Step[Any]], do: Callable[[Step[Any]], None]) -> Iterator[Outcome]:
    """Do steps one by one; one that fails says why and does not stop the others."""
    for step in steps:
        try:
            do(step)
        except (TrueupError, OSError) as error:
            yield Outcome(step.address, step.action, "failed", describe_failure(error))
        else:
            yield Outcome(step.address, step.action, "changed")


def describe_failure(error: BaseException) -> str:
    """Give the words of an error for a report."""
    if isinstance(error, TrueupError):
        return error.message
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename}" if error.filename else str(error.strerror or error)
    return str(error)


def compare(wanted: Sequence[Tuple[str, Any]], state: State) -> Tuple[FieldChange, ...]:
    """List the attributes that are declared (not None) and differ from the state."""
    changes: List[FieldChange] = []
    for name, value in wanted:
        if value is not None and state.get(name) != value:
            changes.append(FieldChange(name, state.get(name), value))
    return tuple(changes)


def imply_parents(state: Mapping[str, Any]) -> Tuple[Resource, ...]:
    """Give the missing parents of a state as directory resources, outermost first."""
    parents = state.get("parents") or ()
    return tuple(Resource("directory", str(path), {"mode": PARENT_MODE}) for path in parents)


def bound_parents(path: str) -> Tuple[Resource, ...]:
    """Give every directory above a path as a resource: at most these would have to be made."""
    parts = path.split("/")[1:-1]
    return tuple(Resource("directory", "/" + "/".join(parts[: count + 1]), {"mode": PARENT_MODE}) for count in range(len(parts)))
