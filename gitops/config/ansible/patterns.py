"""The names of hosts as an inventory writes them: `web[01:10:2].example.org:22` is ten names at most, and a port.

Takes a text, gives names; raises PatternError for what Ansible refuses. A port counts only behind what could be a host's name.
"""

from __future__ import annotations

import ipaddress
import re
import string
from dataclasses import dataclass

MOST = 20_000
LONGEST = 1000
_RANGE = re.compile(r"\[([^\[\]]*)\]")
_PORTS = (re.compile(r"\[(.+)\]:([0-9]+)\Z"), re.compile(r"((?:[^:\[\]]|\[[^\]]*\])*):([0-9]+)\Z"))
_ADDRESSABLE = re.compile(r"\[(?:[0-9]+:[0-9]+|[a-z]:[a-z])(?::[0-9]+)?\]", re.IGNORECASE)
_LABEL = re.compile(r"\w[\w-]*(?<![_-])\Z")
_LETTERS = string.ascii_letters


class PatternError(ValueError):
    """A pattern that Ansible refuses; the text says why."""


@dataclass(frozen=True)
class Pattern:
    """The names that a pattern stands for, its text without the port, the port; `empty` is the first range that holds nothing."""

    names: tuple[str, ...]
    text: str
    port: str = ""
    empty: str = ""


def read_pattern(text: str) -> Pattern:
    """Give the names; raise PatternError."""
    if len(text) > LONGEST:
        raise PatternError(f"a name of {len(text)} characters")
    name, port = _split_port(text)
    names, empty, rest = [""], "", name
    while "[" in rest and names:
        match = _RANGE.search(rest)
        if match is None or rest.index("[") != match.start() or "]" in rest[: match.start()] or "|" in rest:
            raise PatternError(f"{rest[:60]!r} is no range: write [01:10], [a:f] or [0:20:5]")
        items = expand_range(match[1])
        empty = empty or (match[0] if not items else "")
        if len(names) * len(items) > MOST:
            raise PatternError(f"more than {MOST} hosts")
        names = [f"{before}{rest[: match.start()]}{item}" for before in names for item in items]
        rest = rest[match.end() :]
    return Pattern(tuple(f"{before}{rest}" for before in names), name, port, empty)


def expand_range(text: str) -> tuple[str, ...]:
    """List `01:10` with its zeros, `:3` from 0, `a:f`, or every second of `0:20:2`; raise PatternError for what is no range."""
    first, last, step = _split_range(text)
    width = len(first) if len(first) > 1 and first.startswith("0") else 0
    if width and width != len(last):
        raise PatternError(f"the range [{text[:60]}] needs ends of one length")
    if first in _LETTERS and last in _LETTERS and step:
        low, high = _LETTERS.index(first), _LETTERS.index(last)
        if low > high:
            raise PatternError(f"the range [{text[:60]}] goes backwards")
        return tuple(item.zfill(width) for item in _LETTERS[low : high + 1 : step])
    try:
        numbers = range(int(first), int(last) + 1, step)
    except ValueError:
        raise PatternError(f"[{text[:60]}] is no range: write [01:10], [a:f] or [0:20:5]") from None
    if numbers and (abs(numbers[-1]) > 10**18 or len(numbers) > MOST):
        raise PatternError(f"the range [{text[:60]}] names more than {MOST} hosts")
    return tuple(str(number).zfill(width) for number in numbers)


def _split_range(text: str) -> tuple[str, str, int]:
    first, colon, rest = text.partition(":")
    last, has_step, step = rest.partition(":")
    if not colon or not last or ":" in step or len(text) > 60:  # noqa: PLR2004  no range that names hosts is longer
        raise PatternError(f"[{text[:60]}] is no range: write [01:10], [a:f] or [0:20:5]")
    try:
        return first or "0", last, int(step) if has_step else 1
    except ValueError:
        raise PatternError(f"[{text[:60]}] is no range: {step[:60]!r} is no step") from None


def _split_port(text: str) -> tuple[str, str]:
    """Take the port off; where what is before it is no name or address, it is a part of the name."""
    name, port = text, ""
    for form in _PORTS:
        match = form.match(name)
        if match is not None:
            name, port = match[1], match[2]
    return (name, port) if port and _is_host(_ADDRESSABLE.sub("1", name)) else (text, "")


def _is_host(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return all(_LABEL.match(label) for label in name.split("."))
    return "%" not in name
