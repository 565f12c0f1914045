"""Regular files: content, mode, owner, group, ACL, attributes, label; absent.

A file without content manages only existence and metadata; what is not declared is left alone. A link in its place is replaced,
never followed; a directory or device is refused. Content with secrets is compared on the machine: the state then has `matches`,
the digest of the content with its references, when what is there is what the references give.

`acl` names every entry beside those of `mode`: others go, an empty list takes them all away. A mask that is not named lets everything
through. With an `acl`, `mode` is what owner, group and others may; the machine itself shows the mask in the place of the group's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from sys import intern
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, cast

from gitops.errors import HostError
from gitops.model.acl import Acl
from gitops.model.attribute import attribute
from gitops.model.codec import Json, digest_bytes, digest_json
from gitops.model.limits import DEFAULTS, MIB
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.model.secret import Text, text_to_json
from gitops.providers.attributes import (
    describe_lost,
    describe_new,
    diff_attributes,
    find_obstacle,
    is_unseen,
    name_accounts,
    observe_attributes,
    observe_place,
)
from gitops.providers.base import ITSELF, Possible, Provider, Relations, Step
from gitops.providers.host import FileWrite, Host, Metadata, PathState
from gitops.providers.obstacles import describe_holds, describe_names, meet
from gitops.providers.steps import bound_parents, describe_failure, do_each, imply_parents, type_of

NEW_MODE = "0644"
PRIVATE_MODE = "0600"


@dataclass(frozen=True)
class FileSpec:
    """A regular file."""

    path: str
    content: Any = attribute("content", "what is in it; instead `source` (a file of the project) or `template` (Jinja2)")
    owner: Optional[str] = attribute("text", "user name; a new file belongs to the running user")
    group: Optional[str] = attribute("text", "group name")
    mode: Optional[str] = attribute("mode", "permissions; a new file gets 0644, one with a secret 0600")
    sensitive: bool = attribute("boolean", "never show the content, not even its digest", default=False)
    validate: Optional[Tuple[str, ...]] = attribute("argv", "a command that must accept the new file; `{path}` stands for it")
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))
    acl: Optional[Acl] = attribute(
        "acl", "who may what beside owner, group and others; nobody else may: `[]` takes all such entries away"
    )
    xattrs: Optional[Mapping[str, Optional[str]]] = attribute("xattrs", "extended attributes; those not named are left alone")
    selinux: Optional[str] = attribute("selinux", "its label; what a type alone leaves out stays as the machine made it")

    @property
    def content_json(self) -> Json:
        """The content as the graph holds it; None when not declared."""
        if self._is_plain:
            return cast("str", self.content[0])
        if self.content is None or isinstance(self.content, dict):
            return cast("Json", self.content)  # pyright: ignore[reportUnknownMemberType]  decoded by hand
        return text_to_json(cast(Text, self.content))

    @property
    def is_secret(self) -> bool:
        """Whether the content must not be seen: it holds a secret or is declared sensitive."""
        content = None if self._is_plain else self.content_json
        return self.sensitive or (isinstance(content, dict) and "parts" in content)

    @property
    def _is_plain(self) -> bool:
        """Whether the content is one string, as nearly all are: asked many times of each file."""
        content = self.content
        return type(content) is tuple and len(cast("Text", content)) == 1 and type(cast("Text", content)[0]) is str

    @property
    def metadata(self) -> Metadata:
        """What is declared beside the content."""
        return Metadata(self.owner or "", self.group or "", self.mode or "", self.acl, self.xattrs, self.selinux or "")


class FileProvider(Provider[FileSpec]):
    """See the module."""

    kind = "file"
    unrelated = frozenset(("content",))
    spec = FileSpec
    summary = "a regular file: content, mode, owner, group, ACL, attributes, label"
    honours_root = True
    reach = ITSELF
    reads_paths_only = True

    def observe(self, specs: Sequence[FileSpec], host: Host) -> Mapping[str, State]:
        """State: type, mode, owner, group, parents; `acl`, `xattrs`, `selinux` when declared; size and digest of content (no digest of a
        large file of another size), or `matches` when it is secret; `kept` says where what is there would be kept for an undo, when
        that is not simply on disk: `memory`, `nowhere`, `too large`. What `describe_holds` adds, where there is something to say.
        """
        return {spec.path: self._observe_one(spec, host) for spec in specs}

    def diff(self, spec: FileSpec, state: State) -> Optional[Difference]:
        """See DESIGN §6 for what is replaced and what is refused."""
        found = self._compare(spec, state)
        is_in_place = found is not None and found.action == "update" and not _has_content(found)
        return meet(found, state, is_in_place=is_in_place)

    def _compare(self, spec: FileSpec, state: State) -> Optional[Difference]:
        found = type_of(state)
        if found in ("unsafe", "directory", "other"):
            if spec.state == "absent" and found == "directory":
                return Difference("refused", reason="a directory is there; remove it with `directory:` and `state: absent`")
            return Difference(
                "refused", reason=str(state.get("reason") or f"{_article(str(found))} is there; move it away yourself")
            )
        if spec.state == "absent":
            return None if found == "absent" else Difference("remove", reason=_describe_keeping(state))
        metadata = spec.metadata
        obstacle = find_obstacle(metadata, state)
        if obstacle:
            return Difference("refused", reason=obstacle)
        if found == "absent":
            return Difference("create", self._new_fields(spec), implied=imply_parents(state))
        if found == "symlink":
            return Difference("replace", self._new_fields(spec), reason=f"a link to {state.get('target')} is there")
        changes = (*self._content_changes(spec, state), *diff_attributes(metadata, state))
        if not changes:
            return None
        update = Difference("update", changes, confidence="conditional" if is_unseen(metadata, state) else "exact")
        has_content = _has_content(update)
        reasons = (
            _describe_keeping(state) if has_content else "",
            describe_names(state, is_split=has_content),
            describe_lost(metadata, state, changes),
        )
        return replace(update, reason="; ".join(reason for reason in reasons if reason))

    def apply(self, steps: Sequence[Step[FileSpec]], host: Host) -> Iterator[Outcome]:
        """Write all files of the batch beside their places, flush once, rename; metadata alone is set in place."""
        small = {step.spec.path for step in steps if step.action == "update" and not self._needs_write(step)}
        large = [step.spec for step in steps if step.spec.path not in small]
        failures = dict(host.prepare(sorted(small), has_content=False))
        failures.update(host.prepare([spec.path for spec in large if not spec.is_secret]))
        failures.update(host.prepare([spec.path for spec in large if spec.is_secret], is_sensitive=True))
        writes = [step for step in steps if step.action != "remove" and self._needs_write(step)]
        failures.update(host.write_files([self._make_write(step.spec) for step in writes if step.spec.path not in failures]))
        written = {step.address for step in writes}
        for step in writes:
            reason = failures.get(step.spec.path)
            yield Outcome(step.address, step.action, "failed" if reason else "changed", reason or "")
        rest = [step for step in steps if step.address not in written]
        yield from do_each(rest, lambda step: self._do_small(step, host), failures)

    def relate(self, spec: FileSpec) -> Relations:
        """A file comes after its parent directory, its owner, its group, and all that its ACL names."""
        wants = (intern(f"path:{spec.path.rpartition('/')[0] or '/'}"),)
        if spec.owner or spec.group or spec.acl:
            wants = (*wants, *name_accounts(spec.metadata))
        return Relations((f"path:{spec.path}",), wants, (spec.path,), spec.state == "absent")

    def bound(self, spec: FileSpec) -> Sequence[Possible]:
        """At most: set or replace it, and make every parent."""
        if spec.state == "absent":
            return (Possible("remove"),)
        return (Possible("set"), Possible("replace"), *(Possible("set", parent) for parent in bound_parents(spec.path)))

    def _observe_one(self, spec: FileSpec, host: Host) -> State:
        found = host.inspect(spec.path, wants=lambda size: spec.content is not None and _may_match(spec, size))
        if found == NOTHING and spec.selinux is None:
            return NO_FILE
        state = describe_path(found, spec.owner, spec.group)
        if found.type != "file":
            state.update(observe_place(spec.metadata, host))
            return state
        if found.size > DEFAULTS.image_bytes:
            state["kept"] = "too large"
        elif spec.is_secret:
            state["kept"] = "memory" if host.keeps_sensitive else "nowhere"
        try:
            if spec.state == "present" and (spec.acl is not None or spec.xattrs is not None or spec.selinux):
                state.update(observe_attributes(spec.path, spec.metadata, host))
            if spec.content is None:
                return state
            digest = found.digest or (host.digest(spec.path) if _may_match(spec, found.size) else "")
        except (HostError, OSError) as error:
            return {"type": "unsafe", "reason": f"it cannot be read: {describe_failure(error)}"}
        content = spec.content_json
        if spec.is_secret:
            state["matches"] = digest_json(content) if digest == host.digest_content(content) else ""
        else:
            state["size"] = found.size
            if digest:
                state["digest"] = digest
        return state

    def _content_changes(self, spec: FileSpec, state: State) -> Iterator[FieldChange]:
        content = spec.content_json
        if content is None:
            return
        if spec.is_secret:
            if state.get("matches") != digest_json(content):
                yield FieldChange("content", "other secret content", "secret content")
            return
        wanted = describe_content(content)
        if state.get("digest") != wanted["digest"]:
            yield FieldChange("content", {"digest": state.get("digest"), "size": state.get("size")}, wanted)

    def _new_fields(self, spec: FileSpec) -> Tuple[FieldChange, ...]:
        changes: List[FieldChange] = []
        content = spec.content_json
        if content is not None:
            changes.append(FieldChange("content", None, "secret content" if spec.is_secret else describe_content(content)))
        if spec.is_secret and spec.mode is None:
            changes.append(FieldChange("mode", None, PRIVATE_MODE))
        return (*changes, *describe_new(spec.metadata, PRIVATE_MODE if spec.is_secret else NEW_MODE))

    @staticmethod
    def _needs_write(step: Step[FileSpec]) -> bool:
        return step.action in ("create", "replace") or _has_content(step.difference)

    @staticmethod
    def _make_write(spec: FileSpec) -> FileWrite:
        return FileWrite(spec.path, spec.content_json, spec.metadata, spec.validate or (), spec.is_secret)

    @staticmethod
    def _do_small(step: Step[FileSpec], host: Host) -> None:
        if step.action == "remove":
            host.remove(step.spec.path)
        else:
            host.set_metadata(step.spec.path, step.spec.metadata)


def describe_path(found: PathState, owner: Optional[str] = None, group: Optional[str] = None) -> Dict[str, Json]:
    """Give the state keys that all paths share; who is declared by number is described by number."""
    if found.type == "unsafe":
        return {"type": "unsafe", "reason": found.reason}
    if found.type == "absent":
        return {"type": "absent", "parents": list(found.parents), **describe_holds(found)}
    state: Dict[str, Json] = {"type": found.type, "mode": found.mode, **describe_holds(found)}
    state["owner"] = owner if owner == str(found.uid) else found.owner
    state["group"] = group if group == str(found.gid) else found.group
    if found.type == "symlink":
        state["target"] = found.target
    return state


def describe_content(content: Json) -> Dict[str, Json]:
    """Give {digest, size} of a content without secrets."""
    if isinstance(content, dict):
        return {"digest": content["blob"], "size": content["size"]}
    data = str(content).encode("utf-8")
    return {"digest": digest_bytes(data), "size": len(data)}


NOTHING = PathState("absent")
NO_FILE: State = describe_path(NOTHING)  # of many new files, all the same


def _may_match(spec: FileSpec, size: int) -> bool:
    """Say whether a file's size lets it be what is wanted. Small ones are read all the same: what is there shows whether somebody
    changed it, or only the config did. A large one of another size is not: its size is up to whoever may write there.
    """
    content = spec.content_json
    if spec.is_secret and isinstance(content, dict) and "parts" in content:
        return size <= DEFAULTS.blob_bytes
    wanted = content["size"] if isinstance(content, dict) else len(str(content).encode("utf-8"))
    return size == wanted or size <= (DEFAULTS.hashed_bytes if wanted else DEFAULTS.download_bytes)


def _has_content(difference: Difference) -> bool:
    return any(change.name == "content" for change in difference.fields)


def _describe_keeping(state: State) -> str:
    """Say where what is there goes, when it is not simply kept on disk."""
    words = {
        "memory": "the secret that is there is kept in memory only: it can be undone until the machine restarts",
        "nowhere": "the secret that is there is kept nowhere: this cannot be undone",
        "too large": f"what is there is larger than {DEFAULTS.image_bytes // MIB} MiB and is not kept: this cannot be undone",
    }
    return words.get(str(state.get("kept")), "")


def _article(kind: str) -> str:
    return "a directory" if kind == "directory" else "a device, socket or pipe"
