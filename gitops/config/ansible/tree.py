"""YAML (and JSON) inventories: groups with `hosts`, `vars` and `children`, read in the order of the file, so that the last value wins."""

from __future__ import annotations

from dataclasses import dataclass

from gitops.config.ansible.dialect import Read
from gitops.config.ansible.inventory import Inventory
from gitops.config.node import Node, name_type
from gitops.model.diagnostic import Place

PARTS = ("hosts", "vars", "children")


def read_tree(found: Read, into: Inventory) -> None:
    """Read a YAML inventory; its root is a map."""
    into.found.extend(found.notes)
    into.unsafe |= found.unsafe
    if found.root.entries.get("plugin", Node(None, found.root.place)).value:
        hint = "save `ansible-inventory --list --yaml --export` to a file, and import that"
        into.fail("the settings of an inventory plugin, no inventory", found.root.key_place("plugin"), hint=hint)
        return
    reader = _TreeReader(found, into)
    for name, node in found.root.entries.items():
        reader.read_group(name, node, found.root.key_place(name))


@dataclass(frozen=True)
class _TreeReader:
    """Reads groups within groups; how deep they nest is bounded by the document."""

    found: Read
    into: Inventory

    def read_group(self, name: str, node: Node, place: Place) -> None:
        self._check_key(name, place, "a group")
        if node.value is not None and not isinstance(node.value, dict):
            self.into.leave_out(f"group `{name[:60]}`: got {name_type(node)}, expected a map", node.place)
            return
        self.into.group(name, place)
        for key in PARTS:
            part = node.entries.get(key)
            if part is not None and not isinstance(part.value, dict | str | None):
                self.into.fail(f"`{key}` of {name[:60]}: got {name_type(part)}, expected a map", part.place)
        for key, part in node.entries.items():
            self._read_part(name, key, part, node.key_place(key))

    def _read_part(self, name: str, key: str, part: Node, place: Place) -> None:
        if key not in PARTS:
            if part.value is not None:
                hint = "known are hosts, vars and children"
                self.into.leave_out(f"`{key[:60]}` of group `{name[:60]}`", place, hint=hint)
            return
        table = {part.text: Node(None, part.place)} if isinstance(part.value, str) else part.entries
        for item, below in table.items():
            if key == "hosts":
                self._read_host(name, item, below, part.key_place(item))
            elif key == "vars" and part.key_place(item) not in self.found.odd_keys:
                self.into.set_group_variable(name, item, below)
            elif key == "children":
                self._read_child(name, item, below, part.key_place(item))

    def _read_host(self, group: str, pattern: str, node: Node, place: Place) -> None:
        self._check_key(pattern, place, "a host")
        if node.value and not isinstance(node.value, dict):
            self.into.fail(f"the variables of {pattern[:60]}: got {name_type(node)}, expected a map", node.place)
        for host in self.into.add_hosts(pattern, group, place):
            own = {key: item for key, item in node.entries.items() if node.key_place(key) not in self.found.odd_keys}
            self.into.set_host_variables(host, own)

    def _read_child(self, group: str, child: str, node: Node, place: Place) -> None:
        self.read_group(child, node, place)
        if child in self.into.groups:
            self.into.groups[group].children.setdefault(child, place)
        elif child in self.into.hosts:
            self.into.groups[group].hosts.setdefault(child, place)
        else:
            self.into.fail(f"`{child[:60]}` below {group[:60]} is neither a group nor a host", place)

    def _check_key(self, name: str, place: Place, what: str) -> None:
        if not name or place in self.found.odd_keys:
            self.into.fail(f"`{name[:60]}` cannot name {what}: it is no text", place, hint="quote it")
