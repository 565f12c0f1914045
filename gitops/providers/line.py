"""One line in a file that others also write: there once, in place of those it replaces, or not there.

`replaces` names beginnings of lines, as literal text (blanks before them do not count): the first such line becomes this one, the
others go, so exactly one is left. Without it the line is added when no line is the same. Several resources may edit one file, but
none may own it (`file`). A new line goes where `after` or `before` say, else to the end; a file that is missing is made. Owner
and mode of the file stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional, Tuple

from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.model.plan import FieldChange
from gitops.model.textedit import Anchor, LineEdit, count_line, put_line, take_line
from gitops.providers.edits import EditProvider, Place


@dataclass(frozen=True)
class LineSpec:
    """A line in a file."""

    name: str
    path: str = attribute("path", "the file", is_required=True)
    text: str = attribute("text", "the whole line", is_required=True)
    replaces: Optional[Tuple[str, ...]] = attribute("texts", "beginnings of lines that it takes the place of")
    after: Optional[str] = attribute("text", "a new line goes after the last line that begins so")
    before: Optional[str] = attribute("text", "a new line goes before the first line that begins so")
    validate: Optional[Tuple[str, ...]] = attribute("argv", "a command that must accept the new file; `{path}` stands for it")
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))

    @property
    def edit(self) -> LineEdit:
        """The edit of the text."""
        return LineEdit(self.text, self.replaces or (), Anchor(self.after or "", self.before or ""))


class LineProvider(EditProvider[LineSpec]):
    """See the module."""

    kind = "line"
    spec = LineSpec
    summary = "a line in a file"

    def locate(self, spec: LineSpec) -> Place:
        """In the file, looked for with all that it replaces."""
        sought: Json = {"text": spec.text, "replaces": list(spec.replaces or ())}
        return Place(spec.path, sought, spec.state == "absent", spec.validate or (), find_mistake(spec))

    def look(self, spec: LineSpec, text: str) -> Dict[str, Json]:
        """Count the lines that are meant, and those that are the line."""
        meant, exact = count_line(text, spec.edit)
        return {"there": meant > 0, "meant": meant, "exact": exact}

    def is_right(self, spec: LineSpec, state: State) -> bool:
        """It is there, and alone where it replaces others."""
        return state["exact"] != 0 and (not spec.replaces or state["meant"] == 1)

    def edit(self, spec: LineSpec, text: str) -> str:
        """Put it in or take it out."""
        return take_line(text, spec.edit) if spec.state == "absent" else put_line(text, spec.edit)

    def describe(self, spec: LineSpec, state: State) -> FieldChange:
        """The line; of what it replaces only how many lines they are."""
        meant = state.get("meant")
        words = None if not meant else "another line" if meant == 1 else f"{meant} lines"
        return FieldChange("content", words, spec.text)


def find_mistake(spec: LineSpec) -> str:
    """Say what of a Spec cannot be meant; empty when nothing."""
    if not spec.text.strip() or any(letter in spec.text for letter in "\r\n"):
        return "`text` must be one line that is not empty"
    if not all(prefix.strip() for prefix in spec.replaces or ()):
        return "an empty text in `replaces` would replace every line"
    if spec.after and spec.before:
        return "`after` and `before` exclude each other"
    for prefix in spec.replaces or ():
        if any(letter in prefix for letter in "\r\n"):
            return "a text in `replaces` must be the beginning of one line"
    return ""
