"""A block of lines in a file that others also write, between two marker lines that name it.

The markers are comments, `# BEGIN trueup NAME` and `# END trueup NAME`; what stands between them is as declared, the rest of the file
is left alone. Markers that are not one pair in order are refused: mend them by hand. A new block goes where `after` or `before`
say, else to the end; a file that is missing is made. No resource may own the file (`file`); owner and mode stay as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Optional, Tuple

from gitops.model.attribute import attribute
from gitops.model.codec import Json, digest_bytes
from gitops.model.observation import State
from gitops.model.plan import FieldChange
from gitops.model.textedit import Anchor, BlockEdit, find_block, put_block, take_block
from gitops.providers.edits import EditProvider, Place

NAME = re.compile(r"[^\x00-\x20\x7f][^\x00-\x1f\x7f]{0,199}\Z")
COMMENT = re.compile(r"[^\x00-\x1f\x7f]{1,16}\Z")


@dataclass(frozen=True)
class BlockSpec:
    """A block in a file."""

    name: str
    path: str = attribute("path", "the file", is_required=True)
    text: str = attribute("text", "the lines of the block", is_required=True)
    comment: str = attribute("text", "what begins a comment in this file", default="#")
    after: Optional[str] = attribute("text", "a new block goes after the last line that begins so")
    before: Optional[str] = attribute("text", "a new block goes before the first line that begins so")
    validate: Optional[Tuple[str, ...]] = attribute("argv", "a command that must accept the new file; `{path}` stands for it")
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))

    @property
    def body(self) -> Tuple[str, ...]:
        """The lines."""
        lines = self.text.split("\n")
        return tuple(lines[:-1] if not lines[-1] else lines)

    @property
    def edit(self) -> BlockEdit:
        """The edit of the text."""
        begin, end = f"{self.comment} BEGIN trueup {self.name}", f"{self.comment} END trueup {self.name}"
        return BlockEdit(begin, end, self.body, Anchor(self.after or "", self.before or ""))


class BlockProvider(EditProvider[BlockSpec]):
    """See the module."""

    kind = "block"
    spec = BlockSpec
    summary = "a block of lines in a file"
    reads_paths_only = True

    def locate(self, spec: BlockSpec) -> Place:
        """In the file, looked for by its first marker."""
        return Place(spec.path, spec.edit.begin, spec.state == "absent", spec.validate or (), find_mistake(spec))

    def look(self, spec: BlockSpec, text: str) -> Dict[str, Json]:
        """The digest and size of what is between the markers."""
        found = find_block(text, spec.edit.begin, spec.edit.end)
        return {"there": False} if found is None else {"there": True, **describe_lines(found)}

    def is_right(self, spec: BlockSpec, state: State) -> bool:
        """It has the declared content."""
        return state.get("digest") == describe_lines(spec.body)["digest"]

    def edit(self, spec: BlockSpec, text: str) -> str:
        """Put it in or take it out."""
        return take_block(text, spec.edit) if spec.state == "absent" else put_block(text, spec.edit)

    def describe(self, spec: BlockSpec, state: State) -> FieldChange:
        """Its content, as digest and size."""
        before: Json = {"digest": state["digest"], "size": state["size"]} if "digest" in state else None
        return FieldChange("content", before, describe_lines(spec.body))


def describe_lines(lines: Tuple[str, ...]) -> Dict[str, Json]:
    """Give {digest, size} of lines, each with its newline."""
    data = "".join(f"{line}\n" for line in lines).encode("utf-8")
    return {"digest": digest_bytes(data), "size": len(data)}


def find_mistake(spec: BlockSpec) -> str:
    """Say what of a Spec cannot be meant; empty when nothing."""
    if not NAME.match(spec.name):
        return "the name stands in the markers: one line of at most 200 characters that begins with no blank"
    if not COMMENT.match(spec.comment) or not spec.comment.strip():
        return "`comment` is what begins a comment, at most 16 characters"
    if "\r" in spec.text:
        return "`text` must not hold carriage returns; the lines get the file's own endings"
    if spec.after and spec.before:
        return "`after` and `before` exclude each other"
    if any(line in (spec.edit.begin, spec.edit.end) for line in spec.body):
        return "`text` holds one of the block's own markers"
    return ""
