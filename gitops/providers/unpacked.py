"""What all kinds do alike that fill a folder with files that come together: from an archive, from a commit.

A list of what was unpacked, with digests, lies in the folder (MANIFEST): so planning needs neither source nor network, finds what was
changed by hand, and another source takes away what only the one before had. Files of other origin in the folder are left alone, and paths
that other resources manage are theirs. What may not be unpacked at all is in `gitops.executor.unpack`.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import AbstractSet, Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, TypeVar, cast

from gitops.errors import HostError, MalformedError
from gitops.model.codec import Json, decode_json
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.providers.base import BELOW, Possible, Provider, Relations, Step
from gitops.providers.directory import DirectoryProvider, DirectorySpec
from gitops.providers.file import describe_path
from gitops.providers.host import FileWrite, Host, Metadata, PathState, Unpacked
from gitops.providers.obstacles import meet
from gitops.providers.steps import describe_failure, describe_unkept, do_each, imply_parents, show_name, type_of

S = TypeVar("S")

MANIFEST = ".trueup-archive.json"
FOLDER_MODE = "0755"
MAX_LISTED = 20
FOLDERS = DirectoryProvider()
NAMES = {"symlink": "a link", "directory": "a directory", "file": "a file", "other": "a device, socket or pipe"}
Entries = Mapping[str, Unpacked]


@dataclass(frozen=True)
class Target:
    """What a Spec comes to: the folder, the name of the source that is wanted (a digest, a commit), and who owns what is unpacked."""

    path: str
    source: str
    strip: int = 0
    owner: Optional[str] = None
    group: Optional[str] = None
    is_absent: bool = False

    @property
    def manifest(self) -> str:
        """Where the list of what was unpacked is."""
        return f"{self.path}/{MANIFEST}"

    @property
    def folder(self) -> DirectorySpec:
        """The folder as a directory."""
        return DirectorySpec(self.path, owner=self.owner, group=self.group, state="absent" if self.is_absent else "present")


class UnpackedProvider(Provider[S]):
    """A kind whose things are folders full of files."""

    honours_root = True
    reach = BELOW

    @abstractmethod
    def find_mistake(self, spec: S) -> str:
        """Say what of a Spec cannot be meant; empty when nothing."""

    @abstractmethod
    def make_target(self, spec: S) -> Target:
        """Give the target of a Spec."""

    @abstractmethod
    def show(self, spec: S) -> Json:
        """Name the source for a plan's line."""

    @abstractmethod
    def bring(self, spec: S, host: Host) -> Json:
        """Give the archive (`{blob, size}`) that `Host.unpack` takes; raise HostError when it cannot be had."""

    def observe(self, specs: Sequence[S], host: Host) -> Mapping[str, State]:
        """State: type, owner, group, parents of the folder; `archive` and `strip` of the list in it; `unlisted`: what is in its place is
        none; `brought`, the files of the list, and `more_brought`, how many beyond MAX_LISTED; `wrong`, what of the list is not as it was
        unpacked, and `more`; `unkept`, what of that no undo could bring back; `linked`, files with a second name; `blocked`, what is in a
        folder's or a file's place and is neither touched nor looked behind; `below`, what stands in the way.
        """
        targets = [self.make_target(spec) for spec in specs]
        return {target.path: _observe_one(target, host) for target in targets}

    def diff(self, spec: S, state: State) -> Optional[Difference]:
        """Compare the source, and what was made of it."""
        found = self._compare(spec, state)
        is_in_place = found is not None and found.action == "update"
        found = meet(found, state, is_in_place=is_in_place)
        if found is not None and found.action != "refused" and state.get("below") and not found.obstacle:
            return replace(found, obstacle=str(state["below"]))
        return found

    def _compare(self, spec: S, state: State) -> Optional[Difference]:
        target, mistake = self.make_target(spec), self.find_mistake(spec)
        if mistake:
            return Difference("refused", reason=mistake)
        found = type_of(state)
        if found not in ("absent", "directory"):
            reason = str(state.get("reason") or f"a {found} is there, not a directory; move it away yourself")
            return Difference("refused", reason=reason)
        if target.is_absent and state.get("unlisted"):
            return Difference(
                "refused", reason=f"{MANIFEST} in it is no list that a run wrote, so it is not known what to remove"
            )
        if target.is_absent:
            is_there = bool(state.get("archive") or state.get("empty"))
            fields = [FieldChange("archive", state.get("archive"), None), *_describe_leaving(state, None)]
            stays = f"{state['blocked']}; that stays, with what lies behind it" if state.get("blocked") else ""
            return Difference("remove", tuple(fields), _join(stays, state.get("unkept"))) if is_there else None
        if found == "absent":
            return Difference("create", (FieldChange("archive", None, self.show(spec)),), implied=imply_parents(state))
        if state.get("blocked"):
            return Difference("refused", reason=f"{state['blocked']}; move it away yourself")
        changes: List[FieldChange] = []
        if (state.get("archive"), state.get("strip")) != (target.source, target.strip):
            changes.append(FieldChange("archive", state.get("archive"), self.show(spec)))
            changes.extend(_describe_leaving(state, "what of them it brings again; the rest is removed"))
        if state.get("wrong"):
            changes.append(FieldChange("content", state["wrong"], "as in the archive"))
        more = f"{state['more']} more are not listed" if state.get("more") else ""
        if state.get("unlisted"):
            more = f"{MANIFEST} in it is no list that a run wrote: what was unpacked before, and does not come again, stays"
        linked = cast("Sequence[str]", state.get("linked") or ())
        split = f"a second name (a hard link) keeps the old content of {', '.join(linked)}" if linked else ""
        return Difference("update", tuple(changes), _join(more, split, state.get("unkept"))) if changes else None

    def apply(self, steps: Sequence[Step[S]], host: Host) -> Iterator[Outcome]:
        """One after the other."""
        yield from do_each(steps, lambda step: self._do(step, host))

    def relate(self, spec: S) -> Relations:
        """As its folder, which it owns."""
        return FOLDERS.relate(self.make_target(spec).folder)

    def bound(self, spec: S) -> Sequence[Possible]:
        """As its folder."""
        return FOLDERS.bound(self.make_target(spec).folder)

    def _do(self, step: Step[S], host: Host) -> None:
        target = self.make_target(step.spec)
        listed = _read_manifest(target, host)
        old: Entries = {} if listed is None else listed.entries
        new: Dict[str, Unpacked] = {}
        if step.action != "remove":
            new = _list_wanted(target, host.unpack(self.bring(step.spec, host), target.strip), host)
        # What stands in the way goes first, then what is missing is made; the list comes last, so that a run that is cut off goes on.
        _remove(target, [path for path, item in old.items() if path not in new or new[path].type != item.type], old, host)
        if step.action == "remove":
            if listed is not None:
                _take(host, [target.manifest])
            if not host.list_names(target.path):
                _take(host, [target.path])
            return
        _make_folders(target, new, host)
        _write(target, [item for item in new.values() if item.type == "file" and not _is_right(target, item, host)], host)
        links = [item for item in new.values() if item.type == "symlink" and not _is_right(target, item, host)]
        _prepare([f"{target.path}/{item.path}" for item in links], host)
        for item in links:
            host.make_symlink(f"{target.path}/{item.path}", item.target)
        _write_list(target, new, host)


def _observe_one(target: Target, host: Host) -> State:
    state = describe_path(host.inspect(target.path), target.owner, target.group)
    if state["type"] != "directory":
        return state
    try:
        listed = _read_manifest(target, host)
        if listed is None:
            if host.inspect(target.manifest).type != "absent":
                state["unlisted"] = True
            elif not host.list_names(target.path):
                state["empty"] = True  # a run that took all away may have been cut off before it took the folder
            return state
        state["archive"], state["strip"] = listed.archive, listed.strip
        _describe_entries(target, listed, state, host)
    except (HostError, OSError) as error:
        return {"type": "unsafe", "reason": f"what was unpacked cannot be read: {describe_failure(error)}"}
    return state


def _describe_entries(target: Target, listed: _Listed, state: Dict[str, Json], host: Host) -> None:
    """Add what is to be said of what was unpacked; of a link in a folder's place nothing behind it."""
    is_other = (listed.archive, listed.strip) != (target.source, target.strip) or target.is_absent
    wrong: List[str] = []
    blocked: Dict[str, str] = {}
    replaced = _find_replaced(target, list(listed.entries), host)
    for path, item in listed.entries.items():
        if _lies_behind(path, replaced):
            continue
        found = host.inspect(f"{target.path}/{path}")
        if _is_in_the_way(found, item):
            blocked[path] = f"{show_name(path)} is {NAMES.get(found.type, found.type)} now, and was a {item.type}"
        elif not _is_as(target, item, found, host):
            wrong.append(path)
        elif not is_other:
            continue
        words = found.held or found.pinned
        if words and "below" not in state:
            state["below"] = f"{show_name(path)}: {words}"
        if found.links > 1 and not target.is_absent:
            cast("List[Json]", state.setdefault("linked", [])).append(show_name(path))
    if blocked:
        state["blocked"] = next(iter(blocked.values()))
    _list_some(state, ("wrong", "more"), wrong)
    _describe_lost(state, [f"{target.path}/{path}" for path in wrong if listed.entries[path].type == "file"], host)
    _list_some(state, ("brought", "more_brought"), [path for path, item in listed.entries.items() if item.type != "directory"])
    if "linked" in state:
        state["linked"] = cast("List[Json]", state["linked"])[:MAX_LISTED]


def _describe_lost(state: Dict[str, Json], files: Sequence[str], host: Host) -> None:
    """Add what of these no undo could bring back."""
    unkept = describe_unkept(files, host)
    if unkept:
        state["unkept"] = unkept


def _join(*words: object) -> str:
    """Join what there is to say."""
    return "; ".join(str(item) for item in words if item)


def _list_some(state: Dict[str, Json], names: Tuple[str, str], paths: Sequence[str]) -> None:
    """Add as many as are listed, and how many more there are."""
    if paths:
        state[names[0]] = [show_name(path) for path in paths[:MAX_LISTED]]
    if len(paths) > MAX_LISTED:
        state[names[1]] = len(paths) - MAX_LISTED


def _describe_leaving(state: State, after: Json) -> Iterator[FieldChange]:
    brought = cast("Sequence[str]", state.get("brought") or ())
    more = [f"and {state['more_brought']} more"] if state.get("more_brought") else []
    if brought:
        yield FieldChange("files", [*brought, *more], after)


def _is_in_the_way(found: PathState, item: Unpacked) -> bool:
    """Say whether what is there is never replaced by what was unpacked."""
    if item.type == "directory":
        return found.type not in ("absent", "directory")
    return found.type not in ("absent", "file", "symlink")


def _find_replaced(target: Target, paths: Sequence[str], host: Host) -> AbstractSet[str]:
    """Give the folders of these paths in whose place something else is, a link perhaps: nothing is looked for behind it."""
    folders = {above for path in paths for above in _above(path)}
    return {path for path in folders if host.inspect(f"{target.path}/{path}").type not in ("absent", "directory")}


def _lies_behind(path: str, places: AbstractSet[str]) -> bool:
    return any(above in places for above in _above(path))


def _above(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))


def _is_right(target: Target, item: Unpacked, host: Host) -> bool:
    """Say whether something is as it was unpacked, and belongs to whom it should."""
    return _is_as(target, item, host.inspect(f"{target.path}/{item.path}"), host)


def _is_as(target: Target, item: Unpacked, found: PathState, host: Host) -> bool:
    path = f"{target.path}/{item.path}"
    if found.type != item.type:
        return False
    if item.type == "symlink":
        return found.target == item.target
    owners = ((target.owner, found.owner, found.uid), (target.group, found.group, found.gid))
    if found.mode != item.mode or any(wanted not in (None, name, str(number)) for wanted, name, number in owners):
        return False
    return item.type == "directory" or (found.size == item.size and host.digest(path) == item.digest)


def _remove(target: Target, leaving: Sequence[str], old: Entries, host: Host) -> None:
    """Take away what only the archive before had; a folder when nothing is left in it. What has come to lie behind a link that is in a
    folder's place was never unpacked: it stays.
    """
    replaced = _find_replaced(target, leaving, host)
    for path in sorted((path for path in leaving if not _lies_behind(path, replaced)), reverse=True):
        full = f"{target.path}/{path}"
        found = host.inspect(full)
        if found.type != old[path].type or (found.type == "directory" and host.list_names(full)):
            continue
        _take(host, [full])


def _take(host: Host, paths: Sequence[str]) -> None:
    _prepare(paths, host)
    for path in paths:
        host.remove(path)


def _list_wanted(target: Target, unpacked: Sequence[Unpacked], host: Host) -> Dict[str, Unpacked]:
    """Give what shall be there, sorted: what nobody else manages, and every folder that it lies in, which an archive need not list."""
    managed = host.managed
    found = {item.path: item for item in unpacked if item.path != MANIFEST and f"{target.path}/{item.path}" not in managed}
    for path in list(found):
        parts = path.split("/")[:-1]
        for count in range(len(parts)):
            folder = "/".join(parts[: count + 1])
            found.setdefault(folder, Unpacked(folder, "directory", FOLDER_MODE))
    return dict(sorted(found.items()))


def _make_folders(target: Target, entries: Entries, host: Host) -> None:
    metadata = Metadata(target.owner or "", target.group or "", FOLDER_MODE)
    for path in ("", *(path for path, item in entries.items() if item.type == "directory")):
        full = f"{target.path}/{path}" if path else target.path
        found = host.inspect(full)
        if found.type == "absent":
            _prepare([full], host)
            host.make_directory(full, metadata)
        elif found.type != "directory":
            raise HostError(f"{show_name(full)} is no directory; move it away yourself", code="E329")
        elif path in entries and not _is_right(target, entries[path], host):
            _prepare([full], host)
            host.set_metadata(full, metadata)


def _write(target: Target, items: Sequence[Unpacked], host: Host) -> None:
    for item in items:
        found = host.inspect(f"{target.path}/{item.path}")
        if found.type not in ("absent", "file", "symlink"):
            raise HostError(f"{show_name(item.path)} is a {found.type}, not a file; move it away yourself", code="E329")
    _prepare([f"{target.path}/{item.path}" for item in items], host)
    writes = [
        FileWrite(
            f"{target.path}/{item.path}",
            {"blob": item.digest, "size": item.size},
            Metadata(target.owner or "", target.group or "", item.mode),
        )
        for item in items
    ]
    for path, reason in sorted(host.write_files(writes).items()):
        raise HostError(f"{show_name(path)}: {reason}", code="E329")


def _prepare(paths: Sequence[str], host: Host) -> None:
    for path, reason in sorted(host.prepare(paths).items()):
        raise HostError(f"{show_name(path)}: {reason}", code="E329")


@dataclass(frozen=True)
class _Listed:
    archive: str
    strip: int
    entries: Entries


def _write_list(target: Target, entries: Entries, host: Host) -> None:
    rows = [[item.path, item.type, item.mode, item.digest, item.size, item.target] for item in entries.values()]
    text = json.dumps(
        {"archive": target.source, "strip": target.strip, "entries": rows}, ensure_ascii=False, separators=(",", ":")
    )
    _prepare([target.manifest], host)
    metadata = Metadata(target.owner or "", target.group or "", "0644")
    for reason in host.write_files([FileWrite(target.manifest, text + "\n", metadata)]).values():
        raise HostError(f"{MANIFEST}: {reason}", code="E329")


def _read_manifest(target: Target, host: Host) -> Optional[_Listed]:
    """Read the list; None when there is none, or none that a run wrote: whoever owns the folder can write it, so no name is believed."""
    if host.inspect(target.path).type != "directory" or host.inspect(target.manifest).type != "file":
        return None
    try:
        table = cast(Mapping[str, Any], decode_json(host.read_text(target.manifest).encode("utf-8")))
        items = [Unpacked(*row) for row in table["entries"] if _is_row(row)]
        known = {item.path: item for item in items}
        return _Listed(str(table["archive"]), int(table["strip"]), known) if len(known) == len(table["entries"]) else None
    except (MalformedError, KeyError, TypeError, ValueError):
        return None


def _is_row(row: Any) -> bool:
    """Say whether a row has the shape of an Unpacked, and a path that does not lead out."""
    if not isinstance(row, list) or [type(value) for value in cast(List[Any], row)] != [str, str, str, str, int, str]:
        return False
    path = str(cast(List[Any], row)[0])
    return not {"", ".", ".."}.intersection(path.split("/")) and "\0" not in path
