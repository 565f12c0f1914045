"""Keys that may log in as a user: lines of the user's authorized_keys file, which is kept private.

The name is the user's. The file is `.ssh/authorized_keys` in /root or /home/NAME; `path` names another. Each declared key is one line,
known by its type and data: options and comment become as declared. Other keys stay, or with `exclusive` go; then no other resource may
edit the file. It has mode 0600 and belongs to the user, and so does its folder when it is made (0700). Links are never followed, and
of a file that is not the user's own nothing is taken over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import AbstractSet, Dict, List, Optional, Sequence, Tuple

from gitops.model.attribute import attribute
from gitops.model.codec import Json, digest_json
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.resource import Resource
from gitops.model.textedit import split_lines
from gitops.providers.base import Relations
from gitops.providers.edits import EditProvider, Place
from gitops.providers.host import Metadata
from gitops.providers.steps import compare

USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\Z")
TYPES = r"ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com"
KEY = re.compile(rf"(?:^|[ \t])(?P<type>{TYPES})[ \t]+(?P<data>AAAA[A-Za-z0-9+/]{{20,3000}}={{0,2}})(?=[ \t]|$)")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
MAX_LINE = 8000


@dataclass(frozen=True)
class SshAuthorizedKeySpec:
    """The keys of a user."""

    name: str
    keys: Tuple[str, ...] = attribute("texts", "whole lines: options (if any), type, data, comment", is_required=True)
    exclusive: bool = attribute("boolean", "no other key may log in", default=False)
    path: Optional[str] = attribute("path", "the file; else `.ssh/authorized_keys` in /root or /home/NAME")
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))

    @property
    def file(self) -> str:
        """The file's path."""
        home = "/root" if self.name == "root" else f"/home/{self.name}"
        return self.path or f"{home}/.ssh/authorized_keys"


class SshAuthorizedKeyProvider(EditProvider[SshAuthorizedKeySpec]):
    """See the module."""

    kind = "ssh_authorized_key"
    spec = SshAuthorizedKeySpec
    summary = "keys that may log in as a user"

    def locate(self, spec: SshAuthorizedKeySpec) -> Place:
        """In the user's file."""
        sought: Json = {"keys": list(spec.keys), "exclusive": spec.exclusive}
        metadata = Metadata(spec.name, "", "0600")
        return Place(spec.file, sought, spec.state == "absent", mistake=find_mistake(spec), metadata=metadata)

    def look(self, spec: SshAuthorizedKeySpec, text: str) -> Dict[str, Json]:
        """Whether some declared key is there, and whether all is as declared; how many lines they have, how many of these are altered or
        doubled, how many other keys there are, and how many lines that are no key and not blank.
        """
        wanted = {_ident(key): key.strip() for key in spec.keys}
        found = [(_ident(line), line) for line in split_lines(text)]
        own = [(ident, line) for ident, line in found if ident in wanted]
        first = dict(reversed(own))
        return {
            "there": bool(own),
            "equal": self.edit(spec, text) == text,
            "lines": len(own),
            "altered": sum(1 for ident, line in first.items() if line != wanted[ident]),
            "doubled": len(own) - len(first),
            "others": sum(1 for ident, _ in found if ident and ident not in wanted),
            "rest": sum(1 for ident, line in found if not ident and line.strip()),
        }

    def is_right(self, spec: SshAuthorizedKeySpec, state: State) -> bool:
        """All keys are as declared, in a private file of the user."""
        return state["equal"] is True and state.get("mode") == "0600" and state.get("owner") == spec.name

    def edit(self, spec: SshAuthorizedKeySpec, text: str) -> str:
        """Put the keys in, each in its place, or take them out."""
        wanted = {} if spec.state == "absent" else {_ident(key): key.strip() for key in spec.keys}
        if spec.exclusive and spec.state == "present":
            lines = list(wanted.values())
        else:
            lines = _merge(split_lines(text), {_ident(key) for key in spec.keys}, wanted)
        return text if lines == split_lines(text) else "".join(f"{line}\n" for line in lines)

    def describe(self, spec: SshAuthorizedKeySpec, state: State) -> FieldChange:
        """The keys by comment; lines that change or go are counted."""
        shown = [_show(key) for key in spec.keys]
        said = [
            _count(
                state.get("altered"),
                "of these keys has other options or another comment",
                "of these keys have other options or comments",
            ),
            _count(state.get("doubled"), "more line of these keys, which goes", "more lines of these keys, which go"),
        ]
        if spec.exclusive:
            said.append(_count(state.get("others"), "other key, which goes", "other keys, which go"))
            said.append(_count(state.get("rest"), "line that is no key, which goes", "lines that are no keys, which go"))
        return FieldChange("content", "; ".join(words for words in said if words) or None, shown)

    def diff(self, spec: SshAuthorizedKeySpec, state: State) -> Optional[Difference]:
        """Say it when only mode or owner differ; the folder that is made for the file is the user's, too, and private."""
        found = super().diff(spec, state)
        if found is None:
            return None
        if found.action == "remove" and state.get("lines"):
            words = _count(state["lines"], "line of these keys goes", "lines of these keys go")
            return replace(found, reason="; ".join(item for item in (words, found.reason) if item))
        if found.action == "update" and state.get("equal") is True and found.confidence == "exact":
            return replace(found, fields=compare((("mode", "0600"), ("owner", spec.name)), state))
        folder = spec.file.rpartition("/")[0]
        private: Dict[str, Json] = {"mode": "0700", "owner": spec.name}
        implied = tuple(Resource("directory", folder, private) if item.name == folder else item for item in found.implied)
        return replace(found, implied=implied)

    def relate(self, spec: SshAuthorizedKeySpec) -> Relations:
        """Also after the user; an exclusive file is owned, so nobody else may edit it."""
        found = super().relate(spec)
        if spec.exclusive:
            found = replace(found, owns=found.edits, edits=())
        return replace(found, wants=(*found.wants, f"user:{spec.name}"))


def find_mistake(spec: SshAuthorizedKeySpec) -> str:
    """Say what of a Spec cannot be meant; empty when nothing."""
    if not USER.match(spec.name) or spec.name in (".", ".."):
        return f"{spec.name[:40]!r} is not a user's name"
    if not spec.keys:
        return "`keys` is empty; to take keys away name them with `state: absent`, or all others with `exclusive`"
    for key in spec.keys:
        if CONTROL.search(key) or len(key) > MAX_LINE or not _ident(key):
            return f"`keys`: {_show(key)[:60]!r} is not a line with a type like `ssh-ed25519` and its data"
    if len({_ident(key) for key in spec.keys}) < len(spec.keys):
        return "`keys`: one key stands there twice"
    return ""


def _count(number: Json, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}" if number else ""


def _merge(lines: Sequence[str], known: AbstractSet[str], wanted: Dict[str, str]) -> List[str]:
    left = dict(wanted)
    merged: List[str] = []
    for line in lines:
        ident = _ident(line)
        if ident not in known:
            merged.append(line)
        elif ident in left:
            merged.append(left.pop(ident))
    return [*merged, *left.values()]


def _ident(line: str) -> str:
    """Give a key's type and data, empty for what is no key: a comment, a blank line, something else."""
    found = None if line.lstrip().startswith("#") else KEY.search(line)
    return "" if found is None else f"{found['type']} {found['data']}"


def _show(key: str) -> str:
    """Give a key's type and comment, without its data."""
    found = KEY.search(key)
    if found is None:
        return key
    comment = key[found.end() :].strip() or f"{digest_json(found['data'])[:8]}…"
    return f"{key[: found.start()].strip()} {found['type']} {comment}".strip()
