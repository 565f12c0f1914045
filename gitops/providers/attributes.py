"""What files and directories have beside a content: owner, group, mode, ACL, attributes, label; as observed, as declared, what differs.

With an `acl` the mode is that of the list's base entries: the machine's own shows the mask in the place of the group's permissions. What
is in an attribute on a machine is told as digest and size, as a content is.
"""

from __future__ import annotations

import stat
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, cast

from gitops.errors import MalformedError
from gitops.model.acl import Acl, base_mode, complete_acl, parse_entry, show_acl
from gitops.model.codec import Json, digest_bytes
from gitops.model.observation import State
from gitops.model.plan import FieldChange
from gitops.model.selinux import is_labelled
from gitops.providers.host import Host, Metadata
from gitops.providers.steps import compare

UNSEEN = "not looked at yet"
ATTRIBUTES = frozenset(("mode", "owner", "group", "acl", "xattrs", "selinux"))
RUNNING = "/sys/fs/selinux/enforce"
SET_ID = stat.S_ISUID | stat.S_ISGID


def observe_attributes(path: str, declared: Metadata, host: Host) -> Dict[str, Json]:
    """Give the state keys of what is declared beside owner and mode: `acl`, every entry; `xattrs`, digest and size by declared name (null:
    not there); `selinux`, the context. Each is null where the machine keeps no such thing.
    """
    if declared.acl is None and declared.xattrs is None and not declared.selinux:
        return {}
    found = host.read_attributes(path, declared)
    state: Dict[str, Json] = {}
    if declared.acl is not None:
        state["acl"] = None if found.acl is None else [str(entry) for entry in found.acl]
    if declared.xattrs is not None:
        there = found.xattrs
        state["xattrs"] = None if there is None else {name: _describe_value(there.get(name)) for name in declared.xattrs}
    if declared.selinux:
        state["selinux"] = found.selinux if runs_selinux(host) else None
    return state


def observe_place(declared: Metadata, host: Host) -> Dict[str, Json]:
    """Give the state keys of what is declared for something that is not there yet: `selinux`, null where it does not run."""
    return {"selinux": "" if runs_selinux(host) else None} if declared.selinux else {}


def runs_selinux(host: Host) -> bool:
    """Say whether SELinux runs on this machine, so that labels mean something."""
    return host.inspect(RUNNING).type == "file"


def diff_attributes(declared: Metadata, state: State) -> Tuple[FieldChange, ...]:
    """List what differs on something that is there."""
    if declared.acl is None and not declared.xattrs and not declared.selinux:
        return _compare_owner(declared, state)
    found = read_acl(state)
    plain = state if declared.acl is None else _without_list(state, found)
    return (
        *_compare_owner(declared, plain),
        *_diff_acl(declared, state, found, plain),
        *_diff_xattrs(declared, state),
        *_diff_label(declared, state),
    )


def describe_lost(declared: Metadata, state: State, changes: Sequence[FieldChange]) -> str:
    """Say what the kernel takes from a file that changes hands or content; nothing when it has none of it."""
    names = {change.name for change in changes}
    changes_hands = bool(names & {"owner", "group"})
    reasons: List[str] = []
    if changes_hands and not declared.mode and "mode" in names:
        reasons.append("a file that changes hands loses its set-id bits; declare `mode` to have them")
    if state.get("capabilities") and (changes_hands or "content" in names):
        reasons.append("it loses its capabilities (setcap)")
    return "; ".join(reasons)


def describe_new(declared: Metadata, default_mode: str) -> Tuple[FieldChange, ...]:
    """List what something new gets."""
    changes = [*_compare_owner(declared, {})]
    if declared.acl:
        after = show_acl(complete_acl(declared.acl, (), _mode_of(declared.mode or default_mode)))
        changes.append(FieldChange("acl", None, after))
    given: Dict[str, Json] = {name: text for name, text in (declared.xattrs or {}).items() if text is not None}
    if given:
        changes.append(FieldChange("xattrs", None, given))
    if declared.selinux:
        changes.append(FieldChange("selinux", None, declared.selinux))
    return tuple(changes)


def find_obstacle(declared: Metadata, state: State) -> str:
    """Say why what is declared cannot be on this machine; empty when it can."""
    if declared.acl and state.get("acl", ()) is None:
        return "the file system keeps no ACLs here; leave `acl` out, or mount it with them"
    if any(text is not None for text in (declared.xattrs or {}).values()) and state.get("xattrs", ()) is None:
        return "the file system keeps no attributes of users here; leave `xattrs` out, or mount it with them"
    if declared.selinux and state.get("selinux", "") is None:
        return "no SELinux runs on this machine; leave `selinux` out here"
    return ""


def is_unseen(declared: Metadata, state: State) -> bool:
    """Say whether something was observed before anybody declared this of it."""
    names = declared.xattrs or () if state.get("xattrs", ()) is not None else ()
    return (
        (declared.acl is not None and "acl" not in state)
        or any(name not in _xattrs_of(state) for name in names)
        or (bool(declared.selinux) and "selinux" not in state)
    )


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


def _compare_owner(declared: Metadata, state: State) -> Tuple[FieldChange, ...]:
    wanted = (("mode", declared.mode), ("owner", declared.owner), ("group", declared.group))
    changes = compare([(name, value or None) for name, value in wanted], state)
    kept = strip_set_id(state) if changes and not declared.mode and state.get("type") == "file" else ""
    return (FieldChange("mode", state.get("mode"), kept), *changes) if kept else changes


def strip_set_id(state: State) -> str:
    """Give the mode without the set-id bits, which a file loses that changes hands; empty when it has none."""
    mode = _mode_of(state.get("mode"))
    return f"{mode & ~SET_ID:04o}" if mode & SET_ID else ""


def _diff_acl(declared: Metadata, state: State, found: Optional[Acl], plain: State) -> Iterator[FieldChange]:
    if declared.acl is None:
        return
    after = show_acl(complete_acl(declared.acl, found or (), _mode_of(declared.mode or plain.get("mode"))))
    before = show_acl(found or ()) if "acl" in state else UNSEEN
    if before != after:
        yield FieldChange("acl", before, after)


def _diff_xattrs(declared: Metadata, state: State) -> Iterator[FieldChange]:
    there = _xattrs_of(state)
    before: Dict[str, Json] = {}
    after: Dict[str, Json] = {}
    for name, text in (declared.xattrs or {}).items():
        wanted = None if text is None else _describe_value(text.encode("utf-8"))
        is_seen = name in there or state.get("xattrs", ()) is None
        if not is_seen or there.get(name) != wanted:
            before[name], after[name] = there.get(name) if is_seen else UNSEEN, text
    if after:
        yield FieldChange("xattrs", before, after)


def _diff_label(declared: Metadata, state: State) -> Iterator[FieldChange]:
    if not declared.selinux:
        return
    found = state.get("selinux", UNSEEN)
    if not isinstance(found, str):
        raise MalformedError("a state's `selinux`: expected a string", code="M014")
    if not is_labelled(declared.selinux, found):
        yield FieldChange("selinux", found or None, declared.selinux)


def _xattrs_of(state: State) -> Mapping[str, Json]:
    value = state.get("xattrs")
    if value is not None and not isinstance(value, dict):
        raise MalformedError("a state's `xattrs`: expected a map", code="M014")
    return cast("Mapping[str, Json]", value or {})


def _describe_value(value: Optional[bytes]) -> Json:
    return None if value is None else {"digest": digest_bytes(value), "size": len(value)}


def _without_list(state: State, found: Optional[Acl]) -> State:
    """Give the state with the mode that its list's base entries make."""
    return {**state, "mode": f"{base_mode(_mode_of(state.get('mode')), found or ()):04o}"}


def _mode_of(text: Json) -> int:
    try:
        return int(str(text), 8)
    except ValueError as error:
        raise MalformedError(f"a state's `mode`: got {str(text)[:40]!r}", code="M014") from error
