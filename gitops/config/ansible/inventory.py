"""Inventory: hosts and groups as an Ansible inventory names them, with where each thing was said, and what could not be read.

Values are Nodes, so that every message has its file and line. Nothing of an inventory is executed or evaluated.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from dataclasses import dataclass, field

from gitops.config.node import Node
from gitops.model.diagnostic import Diagnostic, Place

ALL, UNGROUPED = "all", "ungrouped"
MAX_HOSTS = 20_000
_RANGE = re.compile(r"\[([0-9]+|[A-Za-z]):([0-9]+|[A-Za-z])(?::([0-9]+))?\]")
_PORT = re.compile(r"([^:\[\]]+|\[[^\]]*\]):([0-9]+)\Z")


@dataclass
class HostEntry:
    """A host: its own variables."""

    place: Place
    vars: dict[str, Node] = field(default_factory=dict[str, Node])


@dataclass
class GroupEntry:
    """A group: its own hosts, the groups below it, its variables."""

    place: Place
    hosts: dict[str, Place] = field(default_factory=dict[str, Place])
    children: dict[str, Place] = field(default_factory=dict[str, Place])
    vars: dict[str, Node] = field(default_factory=dict[str, Node])


@dataclass
class Inventory:
    """All hosts and groups. `found` are errors, for what makes no sense, and warnings, for what is left out."""

    hosts: dict[str, HostEntry] = field(default_factory=dict[str, HostEntry])
    groups: dict[str, GroupEntry] = field(default_factory=dict[str, GroupEntry])
    found: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def group(self, name: str, place: Place) -> GroupEntry:
        """Give a group, entered when it is new."""
        return self.groups.setdefault(name, GroupEntry(place))

    def add_hosts(self, pattern: str, group: str, place: Place) -> tuple[HostEntry, ...]:
        """Enter the hosts of `web[01:10].example.org:22` into a group, and give them."""
        text = self._without_port(pattern, place)
        entries: list[HostEntry] = []
        for name in self._expand(text, place):
            entry = self.hosts.setdefault(name, HostEntry(place))
            self.group(group, place).hosts.setdefault(name, place)
            entries.append(entry)
        return tuple(entries)

    def fail(self, message: str, place: Place, *, code: str = "C802", hint: str = "") -> None:
        """Note what makes no sense."""
        self.found.append(Diagnostic(code, message, place, hint=hint))

    def leave_out(self, message: str, place: Place, *, hint: str = "") -> None:
        """Note what is not carried over."""
        self.found.append(Diagnostic("C801", message, place, severity="warning", hint=hint))

    def _without_port(self, pattern: str, place: Place) -> str:
        masked = _RANGE.sub(lambda match: "x" * len(match[0]), pattern)
        match = _PORT.match(masked)
        if match is None:
            return pattern
        name = pattern[: match.end(1)]
        self.leave_out(f"the port {match[2]} of {name[:60]}", place, hint="put it into your ssh_config")
        return name[1:-1] if match[1].startswith("[") else name

    def _expand(self, pattern: str, place: Place) -> Iterable[str]:
        names = [""]
        position = 0
        for match in _RANGE.finditer(pattern):
            items = expand_range(match[1], match[2], int(match[3] or 1))
            if not items:
                self.fail(f"the range {match[0]} names nothing", place, hint="write [01:10], [a:f] or [0:20:5]")
                return ()
            if len(names) * len(items) + len(self.hosts) > MAX_HOSTS:
                self.fail(f"more than {MAX_HOSTS} hosts", place)
                return ()
            names = [f"{name}{pattern[position : match.start()]}{item}" for name in names for item in items]
            position = match.end()
        return tuple(f"{name}{pattern[position:]}" for name in names)


def expand_range(first: str, last: str, step: int) -> tuple[str, ...]:
    """List `01` to `10` with their zeros, or `a` to `f`; nothing when the ends do not fit together or there are too many."""
    if step < 1:
        return ()
    if first.isdigit() and last.isdigit():
        if len(first) > 1 and first.startswith("0") and len(first) != len(last):
            return ()
        width = len(first) if first.startswith("0") else 0
        if len(first) > 9 or len(last) > 9 or int(last) - int(first) > MAX_HOSTS * step:  # noqa: PLR2004  more digits than hosts
            return ()
        return tuple(f"{number:0{width}d}" for number in range(int(first), int(last) + 1, step))
    letters = string.ascii_letters
    if first.isdigit() or last.isdigit() or letters.index(first) > letters.index(last):
        return ()
    return tuple(letters[letters.index(first) : letters.index(last) + 1 : step])
