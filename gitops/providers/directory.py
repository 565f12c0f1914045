"""Directories: existence, mode, owner, group, ACL, attributes, label; `purge` removes what is not managed in it; `absent` on a full
one needs `recurse`.

With `recurse` a present directory gives owner and group to all below it, `mode` to the directories, `file_mode` to the files: not to
what is managed by itself, not behind links (nor to links), not on another file system. A mount point that is not declared is left alone by
purge and recurse, and said to be; with `absent` it is refused.

`acl` names every entry beside those of `mode`: others go, an empty list takes them all away. Entries that begin with `default:` are what
new things in it get; their own base entries begin as `mode`, unless named. `acl`, `xattrs` and `selinux` are for the directory alone.

A link or a file in a directory's place is refused. What purge and recurse delete is listed under the directory's address, at most
MAX_LISTED names at once: what is not listed is not deleted, the next run goes on. Names are shown by `steps.show_name`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, cast

from gitops.errors import HostError
from gitops.model.acl import Acl
from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.providers.attributes import (
    ATTRIBUTES,
    describe_new,
    diff_attributes,
    find_obstacle,
    is_unseen,
    name_accounts,
    observe_attributes,
    observe_place,
    strip_set_id,
)
from gitops.providers.base import BELOW, Possible, Provider, Relations, Step
from gitops.providers.file import describe_path
from gitops.providers.host import Host, Metadata
from gitops.providers.obstacles import HELD, meet
from gitops.providers.steps import (
    bound_parents,
    compare,
    describe_failure,
    describe_unkept,
    do_each,
    imply_parents,
    show_name,
    type_of,
)

MAX_LISTED = 1000
MAX_NAMED = 10
NEW_MODE = "0755"


@dataclass(frozen=True)
class DirectorySpec:
    """A directory."""

    path: str
    owner: Optional[str] = attribute("text", "user name; a new directory belongs to the running user")
    group: Optional[str] = attribute("text", "group name")
    mode: Optional[str] = attribute("mode", "permissions; a new directory gets 0755")
    purge: bool = attribute("boolean", "remove everything in it that is not managed", default=False)
    recurse: bool = attribute(
        "boolean", "owner, group and mode go for all below; with `state: absent`: remove it with all that is in it", default=False
    )
    file_mode: Optional[str] = attribute("mode", "with `recurse`: permissions of the files below")
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))
    acl: Optional[Acl] = attribute(
        "directory_acl", "who may what beside owner, group and others; nobody else may: `[]` takes all such entries away"
    )
    xattrs: Optional[Mapping[str, Optional[str]]] = attribute("xattrs", "extended attributes; those not named are left alone")
    selinux: Optional[str] = attribute("selinux", "its label; what a type alone leaves out stays as the machine made it")

    @property
    def metadata(self) -> Metadata:
        """What is declared of it."""
        return replace(self.folder_metadata, acl=self.acl, xattrs=self.xattrs, selinux=self.selinux or "")

    @property
    def folder_metadata(self) -> Metadata:
        """What the directories below get."""
        return Metadata(self.owner or "", self.group or "", self.mode or "")

    @property
    def file_metadata(self) -> Metadata:
        """What the files below get."""
        return Metadata(self.owner or "", self.group or "", self.file_mode or "")

    @property
    def goes_below(self) -> bool:
        """Whether what is below it must be looked at."""
        return self.state == "present" and self.recurse


class DirectoryProvider(Provider[DirectorySpec]):
    """See the module."""

    kind = "directory"
    spec = DirectorySpec
    summary = "a directory: mode, owner, group, ACL, attributes, label, purge"
    honours_root = True
    reach = BELOW
    reads_paths_only = True

    def observe(self, specs: Sequence[DirectorySpec], host: Host) -> Mapping[str, State]:
        """State: type, mode, owner, group, parents; `acl`, `xattrs`, `selinux` when declared; `extra` (with purge) or `entries` (with
        absent): sorted names, `more`, the number of those beyond the list, and `unkept`, what no undo could bring back; with recurse
        `strays`: what is below and has not the owner, group or mode, and `more_strays`; of these `losing` set-id bits. `mounts` are what
        is left alone, with other file systems; `below` is what stands in the way further down.
        """
        return {spec.path: self._observe_one(spec, host) for spec in specs}

    def diff(self, spec: DirectorySpec, state: State) -> Optional[Difference]:
        """See DESIGN §6."""
        found = self._compare(spec, state)
        in_place = found is not None and found.action == "update"
        found = meet(found, state, is_in_place=in_place)
        if found is not None and found.action != "refused" and state.get("below") and not found.obstacle:
            return replace(found, obstacle=str(state["below"]))
        return found

    def note(self, spec: DirectorySpec, state: State) -> str:
        """Name what purge and recurse leave alone, since something is mounted there."""
        mounts = cast("Sequence[str]", state.get("mounts") or ())
        if spec.state == "absent" or not mounts:
            return ""
        more = f" and {len(mounts) - MAX_NAMED} more" if len(mounts) > MAX_NAMED else ""
        return f"left alone, as mount points or other file systems: {', '.join(mounts[:MAX_NAMED])}{more}"

    def _compare(self, spec: DirectorySpec, state: State) -> Optional[Difference]:
        found = type_of(state)
        if found not in ("absent", "directory"):
            words = {"symlink": "a link", "file": "a file"}.get(found, "something else")
            return Difference(
                "refused", reason=str(state.get("reason") or f"{words} is there, not a directory; move it away yourself")
            )
        if spec.state == "absent":
            return None if found == "absent" else self._diff_absent(spec, state)
        obstacle = find_obstacle(spec.metadata, state)
        if obstacle:
            return Difference("refused", reason=obstacle)
        if found == "absent":
            return Difference("create", describe_new(spec.metadata, NEW_MODE), implied=imply_parents(state))
        return self._diff_present(spec, state)

    def apply(self, steps: Sequence[Step[DirectorySpec]], host: Host) -> Iterator[Outcome]:
        """Make, mend, purge or remove, in order."""
        failures = host.prepare([step.spec.path for step in steps])
        yield from do_each(steps, lambda step: self._do(step, host), failures)

    def relate(self, spec: DirectorySpec) -> Relations:
        """A directory comes after its parent, its owner, its group, and all that its ACL names."""
        wants = (f"path:{spec.path.rpartition('/')[0] or '/'}", *name_accounts(spec.metadata))
        return Relations((f"path:{spec.path}",), wants, (spec.path,), spec.state == "absent")

    def bound(self, spec: DirectorySpec) -> Sequence[Possible]:
        """At most: set it and make every parent."""
        if spec.state == "absent":
            return (Possible("remove"),)
        return (Possible("set"), *(Possible("set", parent) for parent in bound_parents(spec.path)))

    def _observe_one(self, spec: DirectorySpec, host: Host) -> State:
        found = host.inspect(spec.path)
        state = describe_path(found, spec.owner, spec.group)
        if found.type != "directory":
            state.update(observe_place(spec.metadata, host))
            return state
        try:
            if spec.state == "present":
                state.update(observe_attributes(spec.path, spec.metadata, host))
            if spec.state == "present" and not spec.purge and not spec.recurse:
                return state
            if spec.goes_below:
                _describe_strays(spec, state, host)
                if not spec.purge:
                    return state
            _describe_doomed(spec, state, host)
        except (HostError, OSError) as error:
            return {"type": "unsafe", "reason": f"it cannot be listed: {describe_failure(error)}"}
        return state

    @staticmethod
    def _diff_present(spec: DirectorySpec, state: State) -> Optional[Difference]:
        changes = [*diff_attributes(spec.metadata, state)]
        if spec.goes_below and state.get("strays") != []:
            changes.append(FieldChange("recurse", state.get("strays", "not looked at yet"), None))
            if state.get("losing"):
                changes.append(FieldChange("set-id bits", state["losing"], None))
        if spec.purge and "extra" not in state:  # observed before anybody asked for it
            changes.append(FieldChange("purge", "what is not managed, not looked at yet", None))
            return Difference("update", tuple(changes), confidence="conditional")
        if spec.purge and state.get("extra"):
            changes.append(FieldChange("purge", state["extra"], None))
        is_guessed = is_unseen(spec.metadata, state) or (spec.goes_below and "strays" not in state)
        confidence = "conditional" if is_guessed else "exact"
        return Difference("update", tuple(changes), _describe_more(state), confidence) if changes else None

    @staticmethod
    def _diff_absent(spec: DirectorySpec, state: State) -> Difference:
        entries = state.get("entries")
        if entries and not spec.recurse:
            return Difference("refused", reason="the directory is not empty; `recurse: true` would remove all that is in it")
        return Difference("remove", (FieldChange("entries", entries, None),) if entries else (), _describe_more(state))

    @staticmethod
    def _do(step: Step[DirectorySpec], host: Host) -> None:
        spec = step.spec
        if step.action == "remove":
            _delete_listed(spec.path, step.state.get("entries"), host.list_names(spec.path), host)
            if not step.state.get("more"):
                _remove_empty(spec.path, host)
            return
        names = {change.name for change in step.difference.fields}
        if step.action == "create" and host.inspect(spec.path).type != "directory":
            host.make_directory(spec.path, spec.metadata)
            return
        # There already: mended, or (planned as new) made since by a package or with its user; what is not declared stays as they made it.
        if names & ATTRIBUTES:
            host.set_metadata(spec.path, spec.metadata)
        if "recurse" in names:
            _mend_listed(spec, step.state.get("strays"), host)
        if "purge" in names:
            _delete_listed(spec.path, step.state.get("extra"), _find_extra(spec.path, host), host)


def _find_extra(path: str, host: Host) -> Sequence[str]:
    """Give the names that a purge takes away: neither what is managed, or leads to it, nor what is or holds a mount point."""
    prefix = f"{path}/"
    kept = {managed[len(prefix) :].partition("/")[0] for managed in host.managed if managed.startswith(prefix)}
    kept.update(mount[len(prefix) :].partition("/")[0] for mount in host.list_mounts(path))
    return [name for name in host.list_names(path) if name not in kept]


def _describe_doomed(spec: DirectorySpec, state: Dict[str, Json], host: Host) -> None:
    """Add what purge or absent would take away, what of it stays, and what stands in the way of the rest."""
    is_absent = spec.state == "absent"
    names = host.list_names(spec.path) if is_absent else _find_extra(spec.path, host)
    mounts = [path for path in host.list_mounts(spec.path) if path != spec.path]
    state["entries" if is_absent else "extra"] = [show_name(name) for name in names[:MAX_LISTED]]
    if len(names) > MAX_LISTED:
        state["more"] = len(names) - MAX_LISTED
    unkept = describe_unkept([f"{spec.path}/{name}" for name in names[:MAX_LISTED]], host)
    if unkept:
        state["unkept"] = unkept
    if is_absent and mounts:
        state["below"] = f"{show_name(mounts[0])} is a mount point; it is not emptied, unmount it first"
        return
    _add_mounts(state, [path for path in mounts if path not in host.managed])
    for path in (f"{spec.path}/{name}" for name in names[:MAX_LISTED]):
        found = host.inspect(path)
        if found.held and "below" not in state and not state.get(HELD):
            state["below"] = f"{show_name(path)}: {found.held}"


def _describe_strays(spec: DirectorySpec, state: Dict[str, Json], host: Host) -> None:
    """Add what recurse would mend, what it leaves alone, and what stands in the way."""
    strays, left = _find_strays(spec, host)
    paths = list(strays)
    state["strays"] = [show_name(path) for path in paths[:MAX_LISTED]]
    if len(paths) > MAX_LISTED:
        state["more_strays"] = len(paths) - MAX_LISTED
    losing = [show_name(path) for path in paths[:MAX_LISTED] if strays[path].loses_set_id]
    if losing:
        state["losing"] = losing
    _add_mounts(state, left)
    blocked = next((path for path in paths[:MAX_LISTED] if strays[path].held), None)
    if blocked is not None and not state.get(HELD):
        state["below"] = f"{show_name(blocked)}: {strays[blocked].held}"


def _add_mounts(state: Dict[str, Json], paths: Sequence[str]) -> None:
    known = cast("List[str]", state.get("mounts") or [])
    found = sorted({*known, *(show_name(path) for path in paths)})
    if found:
        state["mounts"] = [*found[:MAX_LISTED]]


@dataclass(frozen=True)
class _Stray:
    held: str
    loses_set_id: bool


def _find_strays(spec: DirectorySpec, host: Host) -> Tuple[Mapping[str, _Stray], Sequence[str]]:
    """Give what is below and is not as declared, and what was not looked at; raise HostError when one of it may not be touched."""
    found: Dict[str, _Stray] = {}
    below, left = host.list_below(spec.path)
    managed = host.managed
    for path in below:
        if path in managed:
            continue
        there = host.inspect(path)
        if there.type == "unsafe":
            raise HostError(f"{show_name(path)}: {there.reason}", code="E346")
        if there.type not in ("directory", "file"):
            continue
        mode = {"directory": spec.mode, "file": spec.file_mode}[there.type]
        wanted = (("mode", mode), ("owner", spec.owner), ("group", spec.group))
        state = describe_path(there, spec.owner, spec.group)
        if compare(wanted, state):
            found[path] = _Stray(there.held, there.type == "file" and mode is None and bool(strip_set_id(state)))
    return found, left


def _mend_listed(spec: DirectorySpec, listed: Json, host: Host) -> None:
    """Mend what was listed and still needs it; raise HostError with the first that cannot be, after the rest."""
    planned = frozenset(str(name) for name in (listed if isinstance(listed, (list, tuple)) else ()))
    due = [path for path in _find_strays(spec, host)[0] if show_name(path) in planned]
    failures: Dict[str, str] = dict(host.prepare(due, has_content=False))
    for path in due:
        try:
            if path not in failures:
                is_file = host.inspect(path).type == "file"
                host.set_metadata(path, spec.file_metadata if is_file else spec.folder_metadata)
        except (HostError, OSError) as error:
            failures[path] = describe_failure(error)
    if failures:
        path, reason = sorted(failures.items())[0]
        raise HostError(f"{show_name(path)} cannot be mended: {reason}", code="E347")


def _delete_listed(path: str, listed: Json, names: Sequence[str], host: Host) -> None:
    """Delete what was listed and is still there, with all below; raise HostError with the first that cannot be deleted, after the rest."""
    planned = frozenset(str(name) for name in (listed if isinstance(listed, (list, tuple)) else ()))
    doomed = [f"{path}/{name}" for name in names if show_name(name) in planned]
    failures: Dict[str, str] = dict(host.prepare(doomed))
    for item in doomed:
        try:
            if item not in failures:
                host.remove(item, is_recursive=True)
        except (HostError, OSError) as error:
            failures[item] = describe_failure(error)
    if failures:
        item, reason = sorted(failures.items())[0]
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise HostError(f"{show_name(item)} cannot be removed: {reason}{more}", code="E130")


def _remove_empty(path: str, host: Host) -> None:
    left = host.list_names(path)
    if left:
        raise HostError(f"{show_name(left[0])} has come into it since the plan; it is not removed", code="E131")
    host.remove(path)


def _describe_more(state: State) -> str:
    more = state.get("more") or state.get("more_strays")
    words = [f"{more} more names are not listed; the next run goes on with them"] if more else []
    return "; ".join([*words, *([str(state["unkept"])] if state.get("unkept") else [])])
