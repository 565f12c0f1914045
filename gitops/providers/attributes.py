"""What files and directories have beside a content: owner, group, mode, ACL; as observed, as declared, what differs.

With an `acl` the mode is that of the list's base entries: the machine's own shows the mask in the place of the group's permissions.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from gitops.errors import MalformedError
from gitops.model.acl import Acl, base_mode, complete_acl, parse_entry, show_acl
from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.model.plan import FieldChange
from gitops.providers.host import Host, Metadata
from gitops.providers.steps import compare

UNSEEN = "not looked at yet"
ATTRIBUTES = frozenset(("mode", "owner", "group", "acl"))


def observe_attributes(path: str, declared: Metadata, host: Host) -> Dict[str, Json]:
    """Give the state keys of what is declared beside owner and mode: `acl`, every entry (null: the file system keeps none)."""
    if declared.acl is None:
        return {}
    found = host.read_attributes(path, declared)
    return {"acl": None if found.acl is None else [str(entry) for entry in found.acl]}


def diff_attributes(declared: Metadata, state: State) -> Tuple[FieldChange, ...]:
    """List what differs on something that is there."""
    found = read_acl(state)
    wanted = (("mode", declared.mode), ("owner", declared.owner), ("group", declared.group))
    plain = _without_list(state, found) if declared.acl is not None else state
    changes: List[FieldChange] = [*compare([(name, value or None) for name, value in wanted], plain)]
    if declared.acl is None:
        return tuple(changes)
    after = show_acl(complete_acl(declared.acl, found or (), _mode_of(declared.mode or plain.get("mode"))))
    before = UNSEEN if "acl" not in state else show_acl(found or ())
    if before != after:
        changes.append(FieldChange("acl", before, after))
    return tuple(changes)


def describe_new(declared: Metadata, default_mode: str) -> Tuple[FieldChange, ...]:
    """List what something new gets."""
    wanted = (("mode", declared.mode), ("owner", declared.owner), ("group", declared.group))
    changes = [*compare([(name, value or None) for name, value in wanted], {})]
    if declared.acl:
        after = show_acl(complete_acl(declared.acl, (), _mode_of(declared.mode or default_mode)))
        changes.append(FieldChange("acl", None, after))
    return tuple(changes)


def find_obstacle(declared: Metadata, state: State) -> str:
    """Say why what is declared cannot be on this machine; empty when it can."""
    if declared.acl and state.get("type") != "absent" and state.get("acl", ()) is None:
        return "the file system keeps no ACLs here; leave `acl` out, or mount it with them"
    return ""


def is_unseen(declared: Metadata, state: State) -> bool:
    """Say whether something was observed before anybody declared this of it."""
    return declared.acl is not None and "acl" not in state


def name_accounts(declared: Metadata) -> Tuple[str, ...]:
    """Give the tokens of every user and group that is named."""
    names = [("user", declared.owner), ("group", declared.group)]
    names.extend((entry.tag, entry.name) for entry in declared.acl or ())
    return tuple(dict.fromkeys(f"{kind}:{name}" for kind, name in names if name))


def read_acl(state: State) -> Optional[Acl]:
    """Read a state's list; raise MalformedError for anything else (a host may report anything)."""
    value = state.get("acl")
    if value is None:
        return None
    try:
        if not isinstance(value, (list, tuple)):
            raise ValueError("expected a list")
        return tuple(parse_entry(str(item)) for item in value)
    except ValueError as error:
        raise MalformedError(f"a state's `acl`: {error}", code="M014") from error


def _without_list(state: State, found: Optional[Acl]) -> State:
    """Give the state with the mode that its list's base entries make."""
    return {**state, "mode": f"{base_mode(_mode_of(state.get('mode')), found or ()):04o}"}


def _mode_of(text: Json) -> int:
    try:
        return int(str(text), 8)
    except ValueError as error:
        raise MalformedError(f"a state's `mode`: got {str(text)[:40]!r}", code="M014") from error
