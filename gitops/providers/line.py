"""One line in a file that others also write: there once, in place of those it replaces, or not there.

`replaces` names beginnings of lines, as literal text (blanks before them do not count): the first such line becomes this one, the
others go, so exactly one is left. Without it the line is added when no line is the same. Several resources may edit one file, but
none may own it (`file`). A new line goes where `after` or `before` say, else to the end; a file that is missing is made. Owner
and mode of the file stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.model.textedit import Anchor, LineEdit
from gitops.providers.edits import LineEditProvider, Place


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
    def line(self) -> LineEdit:
        """The edit of the text."""
        return LineEdit(self.text, self.replaces or (), Anchor(self.after or "", self.before or ""))


class LineProvider(LineEditProvider[LineSpec]):
    """See the module."""

    kind = "line"
    spec = LineSpec
    summary = "a line in a file"
    reads_paths_only = True

    def locate(self, spec: LineSpec) -> Place:
        """In the file, looked for with all that it replaces."""
        sought: Json = {"text": spec.text, "replaces": list(spec.replaces or ())}
        return Place(spec.path, sought, spec.state == "absent", spec.validate or (), find_mistake(spec))

    def line_of(self, spec: LineSpec) -> LineEdit:
        """The line as declared."""
        return spec.line


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
