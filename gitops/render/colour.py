"""Colour for terminals; it only repeats what a sign already says, and is asked for by the caller."""

from __future__ import annotations

from collections.abc import Mapping

COLOURS: Mapping[str, str] = {
    "+": "32",
    "~": "33",
    "±": "31",
    "-": "31",
    "!": "31;1",
    "?": "35",
    "»": "36",
    "↻": "36",
    "✗": "31;1",
}


def paint(text: str, sign: str, *, colour: bool) -> str:
    """Give the text in the colour of its sign."""
    return f"\x1b[{COLOURS[sign]}m{text}\x1b[0m" if colour and sign in COLOURS else text


def paint_diff(line: str, *, colour: bool) -> str:
    """Give a line of a diff, what goes in red and what comes in green."""
    return paint(line, line[:1], colour=colour and line[:1] in ("+", "-"))
