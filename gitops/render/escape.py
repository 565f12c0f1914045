"""Escape what came from outside: terminals obey control characters, Markdown obeys almost everything.

Names, paths, reasons and diffs come from repositories and hosts that an attacker may write. In a terminal control and
bidirectional characters become visible; in Markdown mentions, links, tables and fences are neutralised (DESIGN §4).
"""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~@&:/])")
_FENCE = re.compile(r"`{3,}")


def escape_terminal(text: str) -> str:
    r"""Give one line for a terminal: control and invisible direction characters as `\x1b`, tabs kept."""
    return _CONTROL.sub(_show, text.replace("\n", "\\n"))


def escape_line(text: str) -> str:
    """Give a line of a diff for a terminal."""
    return _CONTROL.sub(_show, text)


def code_span(text: str) -> str:
    """Give Markdown code that holds exactly this text, in a table cell too; nothing in it links, mentions or ends it early."""
    shown = escape_terminal(text).replace("|", "\\|") if "`" not in text else ""
    if shown:
        return f"`{shown}`"
    return (
        "<code>"
        + escape_html(escape_terminal(text)).replace("|", "&#124;").replace("`", "&#96;").replace("@", "&#64;")
        + "</code>"
    )


def plain_markdown(text: str) -> str:
    """Give text that Markdown shows as it is: every character with a meaning escaped, mentions and links dead."""
    shown = escape_terminal(text)
    return _MARKDOWN.sub(lambda found: "&#64;\u200b" if found[1] == "@" else "\\" + found[1], shown)


def fence(text: str, language: str = "") -> str:
    """Give a fenced block whose fence is longer than any in the text."""
    longest = max((len(run) for run in _FENCE.findall(text)), default=2)
    marks = "`" * (longest + 1 if longest > 2 else 3)  # noqa: PLR2004  a fence has at least three marks
    return f"{marks}{language}\n{text}\n{marks}"


def escape_html(text: str) -> str:
    """Escape for HTML text and quoted attributes."""
    for mark, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        text = text.replace(mark, name)
    return text


def _show(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004  one byte
