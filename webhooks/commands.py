"""Commands in comments: `/gitops plan`, `/gitops approve <64 hex>`, `/gitops help`. Text in, a Command out; decides nothing.

Only the first line that is not blank counts, from its first character: a quoted command (`> /gitops …`), one in the middle of a sentence
or in a code block is talk about commands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gitops.model.codec import is_digest

WORD = "/gitops"
KINDS = ("plan", "approve", "help")
HELP = (
    "Commands, alone in a comment: /gitops plan (plan again), /gitops approve DIGEST (say yes to exactly the plan with this change "
    "digest, all 64 digits), /gitops help."
)
_HEX = re.compile(r"[0-9a-fA-F]+")


@dataclass(frozen=True)
class Command:
    """What somebody asked for. `digest` is there for a well-formed approve; `problem` says why it cannot be done as written."""

    kind: str
    digest: str = ""
    problem: str = ""


def parse_command(body: str) -> Command | None:
    """Read a comment; None when it is no command."""
    lines = [line for line in body.replace("\r\n", "\n").split("\n") if line.strip()]
    words = lines[0].split() if lines and lines[0].startswith(WORD) else []
    if not words or words[0] != WORD:
        return None
    kind = words[1] if len(words) > 1 else "help"
    if kind not in KINDS:
        return Command("help", problem="there is no such command")
    if kind != "approve":
        return Command(kind)
    return _parse_approve(words[2:])


def _parse_approve(arguments: list[str]) -> Command:
    if len(arguments) != 1:
        return Command("approve", problem="it names no digest: copy the whole command from the plan")
    text = arguments[0].strip("`")
    if is_digest(text):
        return Command("approve", text)
    if _HEX.fullmatch(text):
        return Command("approve", problem="the digest is not whole: all 64 digits are needed, shorter ones can be forged")
    return Command("approve", problem="that is no digest: copy the whole command from the plan")
