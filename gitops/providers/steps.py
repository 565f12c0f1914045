"""What all providers do alike: outcomes of steps, and comparing declared attributes with a state."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List, Mapping, Sequence, Tuple

from gitops.errors import MalformedError, TrueupError
from gitops.model.limits import DEFAULTS, MIB
from gitops.model.observation import State
from gitops.model.plan import FieldChange
from gitops.model.report import Outcome
from gitops.model.resource import Resource
from gitops.providers.base import Step
from gitops.providers.host import Host

PARENT_MODE = "0755"
PATH_TYPES = ("absent", "file", "directory", "symlink", "other", "unsafe")


def type_of(state: State) -> str:
    """Give what was found at a path; raise MalformedError for a state that says nothing of the kind (a host may report anything)."""
    found = state.get("type")
    if found not in PATH_TYPES:
        raise MalformedError("a state has no known `type`", code="M014")
    return str(found)


FIRST_PRINTABLE, DELETE = 0x20, 0x7F
NO_FAILURES: Mapping[str, str] = {}


def do_each(
    steps: Sequence[Step[Any]], do: Callable[[Step[Any]], None], failures: Mapping[str, str] = NO_FAILURES
) -> Iterator[Outcome]:
    """Do steps one by one; one that fails says why and does not stop the others. `failures` names those (by their thing) that may not
    be done at all, as `Host.prepare` gives them.
    """
    for step in steps:
        reason = failures.get(step.address.partition(":")[2])
        if reason:
            yield Outcome(step.address, step.action, "failed", reason)
            continue
        try:
            do(step)
        except (TrueupError, OSError) as error:
            yield Outcome(step.address, step.action, "failed", describe_failure(error))
        else:
            yield Outcome(step.address, step.action, "changed")


def describe_failure(error: BaseException) -> str:
    """Give the words of an error for a report; names of temporary files and numbers of open ones are left out, they
    mean nothing to people.
    """
    words = str(error)
    if isinstance(error, TrueupError):
        words = error.message
    elif isinstance(error, OSError):
        is_named = isinstance(error.filename, str) and error.filename and not error.filename.startswith(".gitops-")
        words = f"{error.strerror or error}: {error.filename}" if is_named else str(error.strerror or error)
    return words.encode("utf-8", "backslashreplace").decode("utf-8")


def show_name(name: str) -> str:
    """Give a file's name for documents and people: bytes that are not UTF-8 and control characters as escapes, a backslash doubled;
    two names never look the same.
    """
    doubled = name.replace("\\", "\\\\")
    shown = doubled.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(
        f"\\x{ord(letter):02x}" if ord(letter) < FIRST_PRINTABLE or ord(letter) == DELETE else letter for letter in shown
    )


def compare(wanted: Sequence[Tuple[str, Any]], state: State) -> Tuple[FieldChange, ...]:
    """List the attributes that are declared (not None) and differ from the state."""
    changes: List[FieldChange] = []
    for name, value in wanted:
        if value is not None and state.get(name) != value:
            changes.append(FieldChange(name, state.get(name), value))
    return tuple(changes)


def imply_parents(state: Mapping[str, Any]) -> Tuple[Resource, ...]:
    """Give the missing parents of a state as directory resources, outermost first."""
    parents = dict.fromkeys(state.get("parents") or ())
    return tuple(Resource("directory", str(path), {"mode": PARENT_MODE}) for path in parents)


def bound_parents(path: str) -> Tuple[Resource, ...]:
    """Give every directory above a path as a resource: at most these would have to be made."""
    parts = path.split("/")[1:-1]
    return tuple(Resource("directory", "/" + "/".join(parts[: count + 1]), {"mode": PARENT_MODE}) for count in range(len(parts)))


def describe_unkept(paths: Sequence[str], host: Host) -> str:
    """Say which of these, or of what is below them, are too large to be kept for an undo; empty when none is."""
    large: List[str] = []
    for path in paths:
        below = [path, *(host.list_below(path)[0] if host.inspect(path).type == "directory" else ())]
        large.extend(show_name(item) for item in below if host.inspect(item).size > DEFAULTS.image_bytes)
    if not large:
        return ""
    more = f" and {len(large) - 1} more" if len(large) > 1 else ""
    return f"larger than {DEFAULTS.image_bytes // MIB} MiB and not kept, so it cannot be undone: {large[0]}{more}"
