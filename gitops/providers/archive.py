"""Archives: a tar or zip of the project or from the network, unpacked into a folder, file by file as if each had been declared.

A list of what was unpacked, with digests, lies in the folder (MANIFEST): so planning needs neither archive nor network, finds what was
changed by hand, and another archive takes away what only the one before had. Files of other origin in the folder are left alone, and paths
that other resources manage are theirs. What an archive may not contain is in `gitops.executor.unpack`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, cast

from gitops.errors import HostError, MalformedError
from gitops.model.attribute import attribute
from gitops.model.codec import Json, decode_json
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.providers.base import Possible, Provider, Relations, Step
from gitops.providers.directory import DirectoryProvider, DirectorySpec
from gitops.providers.download import SECONDS, find_mistake, show_source
from gitops.providers.file import describe_path
from gitops.providers.host import FileWrite, Host, Metadata, Unpacked
from gitops.providers.steps import describe_failure, do_each, imply_parents, show_name, type_of

MANIFEST = ".trueup-archive.json"
FOLDER_MODE = "0755"
MAX_LISTED = 20
MAX_STRIP = 10
FOLDERS = DirectoryProvider()
Entries = Mapping[str, Unpacked]


@dataclass(frozen=True)
class ArchiveSpec:
    """An archive that is unpacked into a folder."""

    path: str
    content: Any = attribute("content", "the archive: `source`, a file of the project; or `url`")
    url: Optional[str] = attribute("text", "where the archive is: `https://…` or `http://…`")
    sha256: Optional[str] = attribute("text", "with `url`: the SHA-256 that it must have")
    strip: int = attribute("integer", "how many leading folders of each name are taken off", default=0, bounds=(0, MAX_STRIP))
    owner: Optional[str] = attribute("text", "user name of all that is unpacked; else the running user")
    group: Optional[str] = attribute("text", "group name of all that is unpacked")
    timeout: int = attribute("integer", "seconds that fetching may take in all", default=SECONDS, bounds=(1, 86400))
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))

    @property
    def digest(self) -> str:
        """The archive's SHA-256."""
        content = cast("Json", self.content)  # pyright: ignore[reportUnknownMemberType]  decoded by hand
        return str(content["blob"]) if isinstance(content, dict) else str(self.sha256 or "")

    @property
    def manifest(self) -> str:
        """Where the list of what was unpacked is."""
        return f"{self.path}/{MANIFEST}"


class ArchiveProvider(Provider[ArchiveSpec]):
    """See the module."""

    kind = "archive"
    spec = ArchiveSpec
    summary = "an archive, unpacked into a folder"
    honours_root = True

    def observe(self, specs: Sequence[ArchiveSpec], host: Host) -> Mapping[str, State]:
        """State: type, owner, group, parents of the folder; `archive` and `strip` of the list in it; `wrong`, what of the list is not
        as it was unpacked, and `more`, how many beyond MAX_LISTED.
        """
        return {spec.path: _observe_one(spec, host) for spec in specs}

    def diff(self, spec: ArchiveSpec, state: State) -> Optional[Difference]:
        """Compare the archive, and what was made of it."""
        mistake = _find_mistake(spec)
        if mistake:
            return Difference("refused", reason=mistake)
        found = type_of(state)
        if found not in ("absent", "directory"):
            reason = str(state.get("reason") or f"a {found} is there, not a directory; move it away yourself")
            return Difference("refused", reason=reason)
        if spec.state == "absent":
            return Difference("remove", (FieldChange("archive", state["archive"], None),)) if state.get("archive") else None
        after = show_source(spec.url, spec.digest) if spec.url else f"sha256 {spec.digest[:12]}"
        if found == "absent":
            return Difference("create", (FieldChange("archive", None, after),), implied=imply_parents(state))
        changes: List[FieldChange] = []
        if (state.get("archive"), state.get("strip")) != (spec.digest, spec.strip):
            changes.append(FieldChange("archive", state.get("archive"), after))
        if state.get("wrong"):
            changes.append(FieldChange("content", state["wrong"], "as in the archive"))
        more = f"{state['more']} more are not listed" if state.get("more") else ""
        return Difference("update", tuple(changes), more) if changes else None

    def apply(self, steps: Sequence[Step[ArchiveSpec]], host: Host) -> Iterator[Outcome]:
        """One archive after the other."""
        yield from do_each(steps, lambda step: _do(step, host))

    def relate(self, spec: ArchiveSpec) -> Relations:
        """As its folder, which it owns."""
        return FOLDERS.relate(_folder_of(spec))

    def bound(self, spec: ArchiveSpec) -> Sequence[Possible]:
        """As its folder."""
        return FOLDERS.bound(_folder_of(spec))


def _folder_of(spec: ArchiveSpec) -> DirectorySpec:
    return DirectorySpec(spec.path, owner=spec.owner, group=spec.group, state=spec.state)


def _find_mistake(spec: ArchiveSpec) -> str:
    if spec.state == "absent":
        return ""
    if (spec.url is None) == (spec.content is None):
        return "either `source` names the archive, a file of the project, or `url` where it is"
    if spec.url is not None:
        return find_mistake(spec.url, spec.sha256 or "")
    if not isinstance(spec.content, dict):
        return "the archive is no binary file of the project (`source`)"
    return "`sha256` goes with `url` only" if spec.sha256 is not None else ""


def _observe_one(spec: ArchiveSpec, host: Host) -> State:
    state = describe_path(host.inspect(spec.path), spec.owner, spec.group)
    if state["type"] != "directory":
        return state
    try:
        listed = _read_manifest(spec, host)
        if listed is None:
            return state
        state["archive"], state["strip"] = listed.archive, listed.strip
        wrong = [path for path, item in listed.entries.items() if not _is_right(spec, item, host)]
    except (HostError, OSError) as error:
        return {"type": "unsafe", "reason": f"what was unpacked cannot be read: {describe_failure(error)}"}
    if wrong:
        state["wrong"] = [show_name(path) for path in wrong[:MAX_LISTED]]
        if len(wrong) > MAX_LISTED:
            state["more"] = len(wrong) - MAX_LISTED
    return state


def _is_right(spec: ArchiveSpec, item: Unpacked, host: Host) -> bool:
    """Say whether something is as it was unpacked, and belongs to whom it should."""
    path = f"{spec.path}/{item.path}"
    found = host.inspect(path)
    if found.type != item.type:
        return False
    if item.type == "symlink":
        return found.target == item.target
    owners = ((spec.owner, found.owner, found.uid), (spec.group, found.group, found.gid))
    if found.mode != item.mode or any(wanted not in (None, name, str(number)) for wanted, name, number in owners):
        return False
    return item.type == "directory" or (found.size == item.size and host.digest(path) == item.digest)


def _do(step: Step[ArchiveSpec], host: Host) -> None:
    spec = step.spec
    listed = _read_manifest(spec, host)
    old: Entries = {} if listed is None else listed.entries
    new: Dict[str, Unpacked] = {}
    if step.action != "remove":
        content = host.fetch(spec.url, spec.digest, spec.timeout) if spec.url is not None else cast(Json, spec.content)
        new = {item.path: item for item in host.unpack(content, spec.strip)}
        new.pop(MANIFEST, None)
        new = _with_folders({path: item for path, item in new.items() if f"{spec.path}/{path}" not in host.managed})
    # What stands in the way is taken away first, then what is missing is made; the list comes last, so that a run that is cut off goes on.
    _remove(spec, [path for path, item in old.items() if path not in new or new[path].type != item.type], old, host)
    if step.action == "remove":
        _take(host, [spec.manifest])
        if not host.list_names(spec.path):
            _take(host, [spec.path])
        return
    _make_folders(spec, new, host)
    _write(spec, [item for item in new.values() if item.type == "file" and not _is_right(spec, item, host)], host)
    links = [item for item in new.values() if item.type == "symlink" and not _is_right(spec, item, host)]
    _prepare([f"{spec.path}/{item.path}" for item in links], host)
    for item in links:
        host.make_symlink(f"{spec.path}/{item.path}", item.target)
    _write_list(spec, new, host)


def _remove(spec: ArchiveSpec, leaving: Sequence[str], old: Entries, host: Host) -> None:
    """Take away what only the archive before had; a folder when nothing is left in it."""
    for path in sorted(leaving, reverse=True):
        full = f"{spec.path}/{path}"
        found = host.inspect(full)
        if found.type != old[path].type or (found.type == "directory" and host.list_names(full)):
            continue
        _take(host, [full])


def _take(host: Host, paths: Sequence[str]) -> None:
    _prepare(paths, host)
    for path in paths:
        host.remove(path)


def _with_folders(entries: Entries) -> Dict[str, Unpacked]:
    """Give the entries and every folder that they lie in, which an archive need not list, sorted."""
    found = dict(entries)
    for path in entries:
        parts = path.split("/")[:-1]
        for count in range(len(parts)):
            folder = "/".join(parts[: count + 1])
            found.setdefault(folder, Unpacked(folder, "directory", FOLDER_MODE))
    return dict(sorted(found.items()))


def _make_folders(spec: ArchiveSpec, entries: Entries, host: Host) -> None:
    metadata = Metadata(spec.owner or "", spec.group or "", FOLDER_MODE)
    for path in ("", *(path for path, item in entries.items() if item.type == "directory")):
        full = f"{spec.path}/{path}" if path else spec.path
        found = host.inspect(full)
        if found.type == "absent":
            _prepare([full], host)
            host.make_directory(full, metadata)
        elif found.type != "directory":
            raise HostError(f"{show_name(full)} is no directory; move it away yourself", code="E329")
        elif path in entries and not _is_right(spec, entries[path], host):
            _prepare([full], host)
            host.set_metadata(full, metadata)


def _write(spec: ArchiveSpec, items: Sequence[Unpacked], host: Host) -> None:
    for item in items:
        found = host.inspect(f"{spec.path}/{item.path}")
        if found.type not in ("absent", "file", "symlink"):
            raise HostError(f"{show_name(item.path)} is a {found.type}, not a file; move it away yourself", code="E329")
    _prepare([f"{spec.path}/{item.path}" for item in items], host)
    writes = [
        FileWrite(
            f"{spec.path}/{item.path}",
            {"blob": item.digest, "size": item.size},
            Metadata(spec.owner or "", spec.group or "", item.mode),
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


def _write_list(spec: ArchiveSpec, entries: Entries, host: Host) -> None:
    rows = [[item.path, item.type, item.mode, item.digest, item.size, item.target] for item in entries.values()]
    text = json.dumps({"archive": spec.digest, "strip": spec.strip, "entries": rows}, ensure_ascii=False, separators=(",", ":"))
    _prepare([spec.manifest], host)
    metadata = Metadata(spec.owner or "", spec.group or "", "0644")
    for reason in host.write_files([FileWrite(spec.manifest, text + "\n", metadata)]).values():
        raise HostError(f"{MANIFEST}: {reason}", code="E329")


def _read_manifest(spec: ArchiveSpec, host: Host) -> Optional[_Listed]:
    """Read the list; None when there is none, or none that a run wrote: whoever owns the folder can write it, so no name is believed."""
    if host.inspect(spec.path).type != "directory" or host.inspect(spec.manifest).type != "file":
        return None
    try:
        table = cast(Mapping[str, Any], decode_json(host.read_text(spec.manifest).encode("utf-8")))
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
