"""Escape what came from outside: terminals obey control characters, Markdown obeys almost everything.

Names, paths, reasons and diffs come from repositories and hosts that an attacker may write. In a terminal control and
bidirectional characters become visible; in Markdown mentions, references, links, tables and fences are neutralised (DESIGN §4).
Forges also look at the *rendered* text for mentions, issue numbers and addresses, so that an entity or a backslash is not enough:
a zero-width space breaks these.
"""

from __future__ import annotations

import re
import unicodedata

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f"
    "\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
_TRAILING = re.compile(r"[ \t]+\Z")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>~&$])")
_AT_START = re.compile(r"(?:(\s*)([-+=#!])|(\s*\d+)([.)]))")
_REFERENCE = re.compile(r"(?i)(?:(?<=@)|(?<=#)|(?<=:)(?=//)|(?<=www)(?=\.)|(?<=GH-)(?=\d)|(?<=!)(?=\d))")
_FENCE = re.compile(r"`{3,}")
_TICKS = re.compile(r"`+")
BREAK = "\u200b"


def escape_terminal(text: str) -> str:
    r"""Give one line for a terminal: control and invisible direction characters as `\x1b`, tabs kept."""
    return escape_line(text.replace("\n", "\\n"))


def escape_line(text: str) -> str:
    """Give a line for a terminal; characters that look like nothing, like a blank or like another spelling of a letter are shown."""
    shown = _CONTROL.sub(_show, text)
    if shown.isascii() or unicodedata.is_normalized("NFC", shown):
        return shown
    return "".join(
        one if unicodedata.is_normalized("NFC", one) and not unicodedata.combining(one) else _spell(one) for one in shown
    )


def escape_diff_line(text: str) -> str:
    """Give a line of a diff; blanks at the end of what is added or taken are shown."""
    shown = escape_line(text)
    if text[:1] not in ("+", "-"):
        return shown
    return shown[:1] + _TRAILING.sub(lambda found: "".join(map(_spell, found[0])), shown[1:])


def code_span(text: str) -> str:
    """Give Markdown code that shows exactly this text, in a table cell too; nothing in it links, mentions or ends it early."""
    shown = escape_terminal(text).replace("\t", " ")
    if (
        "|" in shown or not shown.strip(" ") or shown[0] == " " or shown[-1] == " "
    ):  # what code would strip, or a table would split
        return f"<code>{plain_markdown(text)}</code>"
    longest = max((len(run) for run in _TICKS.findall(shown)), default=0)
    if not longest:
        return f"`{shown}`"
    marks = "`" * (longest + 1)
    return f"{marks} {shown} {marks}"


def plain_markdown(text: str) -> str:
    """Give text that Markdown shows as it is: every character with a meaning escaped, mentions and links dead."""
    shown = _REFERENCE.sub(BREAK, escape_terminal(text).replace("\t", " "))
    shown = _MARKDOWN.sub(r"\\\1", shown).replace("|", "&#124;")
    start = _AT_START.match(shown)  # what would begin a list, a heading or a rule
    if start is None:
        return shown
    return f"{start[1] or start[3] or ''}\\{start[2] or start[4]}{shown[start.end() :]}"


def fence(text: str, language: str = "") -> str:
    """Give a fenced block whose fence is longer than any in the text; invisible characters are shown."""
    escape = escape_diff_line if language == "diff" else escape_line
    shown = "\n".join(escape(line) for line in text.split("\n"))
    longest = max((len(run) for run in _FENCE.findall(shown)), default=2)
    marks = "`" * (longest + 1 if longest > 2 else 3)  # noqa: PLR2004  a fence has at least three marks
    return f"{marks}{language}\n{shown}\n{marks}"


def link(words: str, url: str) -> str:
    """Give a link of our own; nothing for what is not a plain web address."""
    if not re.fullmatch(r"https?://[^\s<>\"'`\\|()\[\]]+", url):
        return ""
    return f"[{words}]({url})"


def escape_html(text: str) -> str:
    """Escape for HTML text and quoted attributes."""
    for mark, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        text = text.replace(mark, name)
    return text


def _show(found: re.Match[str]) -> str:
    return _spell(found[0])


def _spell(character: str) -> str:
    code = ord(character)
    if code > 0xFFFF:  # noqa: PLR2004  beyond four hex digits
        return f"\\U{code:08x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004  one byte
