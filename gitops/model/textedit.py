"""Lines and blocks in a text that others also write: what is there, and the text with one of them put in or taken out.

Takes the whole text, gives a whole text; what is already so comes back unchanged, byte for byte, so every edit is idempotent by
construction. Only literal text is compared, never a pattern: no input can make it slow. Line endings (also CRLF) stay as they are;
a text that is changed ends with a newline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from gitops.errors import MalformedError


@dataclass(frozen=True)
class Anchor:
    """Where something new goes: after the last line, or before the first one, that begins so; at the end when there is none."""

    after: str = ""
    before: str = ""


@dataclass(frozen=True)
class LineEdit:
    """One line, and the lines whose place it takes: those with these beginnings (blanks before do not count), or this first word."""

    text: str
    replaces: Tuple[str, ...] = ()
    anchor: Anchor = Anchor()
    first_word: str = ""

    @property
    def is_single(self) -> bool:
        """Whether it takes the place of others, so that just one is left."""
        return bool(self.replaces or self.first_word)

    def is_meant(self, line: str) -> bool:
        """Say whether a line is this one, or one whose place it takes."""
        if self.first_word and line.split(None, 1)[:1] == [self.first_word]:
            return True
        return line == self.text or any(begins(line, prefix) for prefix in self.replaces)


@dataclass(frozen=True)
class BlockEdit:
    """Lines between two marker lines that nobody else writes."""

    begin: str
    end: str
    body: Tuple[str, ...]
    anchor: Anchor = Anchor()


def begins(line: str, prefix: str) -> bool:
    """Say whether a line begins with a text, blanks before either left out; nothing begins with nothing."""
    wanted = prefix.lstrip()
    return bool(wanted) and line.lstrip().startswith(wanted)


def split_lines(text: str) -> List[str]:
    """Give the lines without their endings."""
    return [_bare(line) for line in _split(text)]


def count_line(text: str, edit: LineEdit) -> Tuple[int, int]:
    """Give how many lines are meant by an edit, and how many of them are exactly its line."""
    lines = split_lines(text)
    return sum(edit.is_meant(line) for line in lines), sum(line == edit.text for line in lines)


def put_line(text: str, edit: LineEdit) -> str:
    """Give the text with the line: in the place of the first line that it replaces (the others go), else at its anchor."""
    lines = _split(text)
    meant = [place for place, line in enumerate(lines) if edit.is_meant(_bare(line))]
    exact = [place for place in meant if _bare(lines[place]) == edit.text]
    if exact and (not edit.is_single or len(meant) == 1):
        return text
    if not meant:
        return _insert(text, lines, [edit.text], edit.anchor)
    kept = (exact or meant)[0]
    written = lines[kept] if exact else edit.text + _ending(lines)
    found = [written if place == kept else line for place, line in enumerate(lines) if place == kept or place not in set(meant)]
    return _join(found)


def take_line(text: str, edit: LineEdit) -> str:
    """Give the text without the line and all that it replaces."""
    lines = _split(text)
    left = [line for line in lines if not edit.is_meant(_bare(line))]
    return text if len(left) == len(lines) else _join(left)


def find_block(text: str, begin: str, end: str) -> Optional[Tuple[str, ...]]:
    """Give the lines between the markers, None without markers; raise MalformedError when the markers are not one pair in order."""
    lines = split_lines(text)
    span = _span(lines, begin, end)
    return None if span is None else tuple(lines[span[0] + 1 : span[1]])


def put_block(text: str, edit: BlockEdit) -> str:
    """Give the text with the block: in its old place when it has one, else at its anchor."""
    lines = _split(text)
    span = _span([_bare(line) for line in lines], edit.begin, edit.end)
    whole = [edit.begin, *edit.body, edit.end]
    if span is None:
        return _insert(text, lines, whole, edit.anchor)
    first, last = span
    if [_bare(line) for line in lines[first : last + 1]] == whole:
        return text
    ending = _ending(lines)
    return _join([*lines[:first], *(line + ending for line in whole), *lines[last + 1 :]])


def take_block(text: str, edit: BlockEdit) -> str:
    """Give the text without the block and its markers."""
    lines = _split(text)
    span = _span([_bare(line) for line in lines], edit.begin, edit.end)
    return text if span is None else _join([*lines[: span[0]], *lines[span[1] + 1 :]])


def _span(lines: Sequence[str], begin: str, end: str) -> Optional[Tuple[int, int]]:
    begins_at = [place for place, line in enumerate(lines) if line == begin]
    ends_at = [place for place, line in enumerate(lines) if line == end]
    if not begins_at and not ends_at:
        return None
    if len(begins_at) != 1 or len(ends_at) != 1 or begins_at[0] > ends_at[0]:
        raise MalformedError(
            f"the markers `{begin}` and `{end}` are not there once each, in order; mend them by hand", code="M030"
        )
    return begins_at[0], ends_at[0]


def _insert(text: str, lines: Sequence[str], new: Sequence[str], anchor: Anchor) -> str:
    ending = _ending(lines)
    place = _find_place([_bare(line) for line in lines], anchor)
    kept = list(lines)
    if place == len(kept) and kept and not text.endswith("\n") and ending:
        kept[-1] = _bare(kept[-1]) + ending
    return _join([*kept[:place], *(line + ending for line in new), *kept[place:]])


def _find_place(lines: Sequence[str], anchor: Anchor) -> int:
    if anchor.after:
        return max((place + 1 for place, line in enumerate(lines) if begins(line, anchor.after)), default=len(lines))
    return next((place for place, line in enumerate(lines) if begins(line, anchor.before)), len(lines))


def _split(text: str) -> List[str]:
    """Split at newlines only; a carriage return stays with its line."""
    lines = text.split("\n")
    return lines[:-1] if not lines[-1] else lines


def _join(lines: Sequence[str]) -> str:
    return "\n".join(lines) + ("\n" if lines else "")


def _ending(lines: Sequence[str]) -> str:
    return "\r" if lines and lines[0].endswith("\r") else ""


def _bare(line: str) -> str:
    return line[:-1] if line.endswith("\r") else line
