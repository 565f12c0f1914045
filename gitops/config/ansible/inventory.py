"""Inventory: hosts and groups as an Ansible inventory names them, with where each thing was said, and what could not be read.

Values are Nodes, so that every message has its file and line. Nothing of an inventory is executed or evaluated. `all` and `ungrouped` are
always there, as in Ansible.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gitops.config.ansible.patterns import MOST, PatternError, read_pattern
from gitops.config.node import Node, name_type, to_plain
from gitops.model.diagnostic import Diagnostic, Place

ALL, UNGROUPED = "all", "ungrouped"
PRIORITY = "ansible_group_priority"


@dataclass
class HostEntry:
    """A host: its own variables, those of host_vars over those of the inventory."""

    place: Place
    vars: dict[str, Node] = field(default_factory=dict[str, Node])


@dataclass
class GroupEntry:
    """A group: its own hosts, the groups below it, its variables: those of the inventory, and those of group_vars (`files`)."""

    place: Place
    hosts: dict[str, Place] = field(default_factory=dict[str, Place])
    children: dict[str, Place] = field(default_factory=dict[str, Place])
    vars: dict[str, Node] = field(default_factory=dict[str, Node])
    files: dict[str, Node] = field(default_factory=dict[str, Node])
    priority: int = 1


class Inventory:
    """All hosts and groups of one file, or of the files of a folder.

    `found` are errors, for what makes no sense, and warnings, for what is left out; `unsafe` the places of texts that are no templates.
    """

    def __init__(self, file: str) -> None:
        self.hosts: dict[str, HostEntry] = {}
        self.groups: dict[str, GroupEntry] = {ALL: GroupEntry(Place(file)), UNGROUPED: GroupEntry(Place(file))}
        self.groups[ALL].children[UNGROUPED] = Place(file)
        self.found: list[Diagnostic] = []
        self.unsafe: set[Place] = set()
        self._said: set[Diagnostic] = set()

    def group(self, name: str, place: Place) -> GroupEntry:
        """Give a group, entered when it is new."""
        return self.groups.setdefault(name, GroupEntry(place))

    def add_hosts(self, text: str, group: str, place: Place) -> tuple[str, ...]:
        """Enter the hosts of `web[01:10].example.org:22` into a group, and give their names."""
        try:
            pattern = read_pattern(text)
        except PatternError as error:
            self.fail(str(error), place)
            return ()
        if pattern.port:
            self.leave_out(f"the port {pattern.port} of {pattern.text[:60]}", place, hint="put it into your ssh_config")
        if pattern.empty:
            self.leave_out(f"the range {pattern.empty} names nothing", place, hint="write [01:10], [a:f] or [0:20:5]")
        if len(self.hosts) + len(pattern.names) > MOST:
            self.fail(f"more than {MOST} hosts", place)
            return ()
        if "" in pattern.names:
            self.fail("a host without a name", place)
            return ()
        for name in pattern.names:
            self.hosts.setdefault(name, HostEntry(place))
            self.group(group, place).hosts.setdefault(name, place)
        return pattern.names

    def set_group_variable(self, name: str, key: str, value: Node) -> None:
        """Set a variable of a group; its priority is none."""
        if key == PRIORITY:
            self.groups[name].priority = self._read_priority(value)
        else:
            self.groups[name].vars[key] = value

    def set_host_variables(self, name: str, table: Mapping[str, Node]) -> None:
        """Set variables of a host; when a group has its name, Ansible gives them to the group."""
        if table and name in self.groups:
            place = next(iter(table.values())).place
            self.leave_out(f"variables of the host `{name[:60]}`: they go to the group of that name", place, hint="rename one")
            for key, value in table.items():
                self.set_group_variable(name, key, value)
        else:
            self.hosts[name].vars.update(table)

    def fail(self, message: str, place: Place, *, code: str = "C802", hint: str = "") -> None:
        """Note what makes no sense."""
        self.found.append(Diagnostic(code, message, place, hint=hint))

    def leave_out(self, message: str, place: Place, *, hint: str = "") -> None:
        """Note, once, what is not carried over."""
        diagnostic = Diagnostic("C801", message, place, severity="warning", hint=hint)
        if diagnostic not in self._said:
            self._said.add(diagnostic)
            self.found.append(diagnostic)

    def _read_priority(self, node: Node) -> int:
        value = to_plain(node)
        try:
            if isinstance(value, int | float | str):
                return int(value)
        except (ValueError, OverflowError):
            pass
        self.fail(f"`{PRIORITY}` is {name_type(node)}, expected an integer", node.place)
        return 1
