"""Commands in comments: `/gitops plan`, `/gitops approve <64 hex>`, `/gitops unapprove`, `/gitops help`.

Text in, a Command out; decides nothing.

A command does something only in the first line that is not blank, from its first character: a quoted one (`> /gitops …`), one in the
middle of a sentence or in a code block is talk about commands. One that begins a later line, or comes dressed up (in a list, as code, with
capital letters, behind blanks), was meant as a command: it gets an answer, and `unapprove` counts there too, since taking back must never
fail for its form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gitops.model.codec import is_digest

WORD = "/gitops"
KINDS = ("plan", "approve", "unapprove", "help")
HELP = (
    "Commands, alone in a comment: /gitops plan (plan again), /gitops approve DIGEST (say yes to exactly the plan with this change "
    "digest, all 64 digits), /gitops unapprove (take back every yes of yours here), /gitops help."
)
BELOW = "a command counts only in the first line of a comment, one in each: write it again in a comment of its own"
NOT_BARE = (
    "a command counts only from the first character of a comment, in small letters and nothing around it: write it again so"
)
DRESS = " \t\xa0\ufeff\u200b\u2060*_`+-"
FENCES = ("```", "~~~")
_HEX = re.compile(r"[0-9a-fA-F]+")


@dataclass(frozen=True)
class Command:
    """What somebody asked for. `digest` is there for a well-formed approve; `problem` says why it cannot be done as written.

    `has_more`: commands below it were not done.
    """

    kind: str
    digest: str = ""
    problem: str = ""
    has_more: bool = False


def parse_command(body: str) -> Command | None:
    """Read what a comment asks for; None when it is no command.

    One counts: an `unapprove` wherever it stands, else the first line. What only stands below other text does nothing, and its `problem`
    says so.
    """
    lines = [line for line in body.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line.strip()]
    readable = _skip_code(lines)
    if any(found is not None and found.kind == "unapprove" for found in map(_parse_dressed, readable)):
        return Command("unapprove")
    first = _parse_line(lines[0]) if lines else None
    dressed = _parse_dressed(readable[0]) if lines and (first is None or first.is_unknown) else None
    if dressed is not None:
        return Command(dressed.kind, problem=NOT_BARE)
    below = [found for found in map(_parse_line, readable[1:]) if found is not None and not found.is_unknown]
    if first is not None:
        return Command(first.kind, first.digest, first.problem, has_more=bool(below))
    return Command(below[0].kind, problem=BELOW) if below else None


@dataclass(frozen=True)
class _Line(Command):
    is_unknown: bool = False


def _skip_code(lines: list[str]) -> list[str]:
    """Blank what stands in fenced code."""
    found: list[str] = []
    fence = ""
    for line in lines:
        mark = line.lstrip()[:3]
        is_edge = mark == fence if fence else mark in FENCES
        found.append("" if fence or is_edge else line)
        if is_edge:
            fence = "" if fence else mark
    return found


def _parse_dressed(line: str) -> _Line | None:
    """Read a line as if nothing stood around it, in small letters; None also for what is no command then."""
    found = _parse_line(line.strip(DRESS).casefold())
    return None if found is None or found.is_unknown else found


def _parse_line(line: str) -> _Line | None:
    words = line.split()
    if not line.startswith(WORD) or words[0] != WORD:
        return None
    kind = words[1] if len(words) > 1 else "help"
    if kind not in KINDS:
        return _Line("help", problem="there is no such command", is_unknown=True)
    if kind != "approve":
        return _Line(kind)
    return _parse_approve(words[2:])


def _parse_approve(arguments: list[str]) -> _Line:
    if len(arguments) != 1:
        return _Line("approve", problem="it names no digest: copy the whole command from the plan")
    text = arguments[0].strip("`")
    if is_digest(text):
        return _Line("approve", text)
    if _HEX.fullmatch(text):
        return _Line("approve", problem="the digest is not whole: all 64 digits are needed, shorter ones can be forged")
    return _Line("approve", problem="that is no digest: copy the whole command from the plan")
