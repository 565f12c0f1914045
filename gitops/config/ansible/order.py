"""Who is in which group, and who wins: the order in which Ansible lays variables over each other.

Takes a read Inventory, gives the groups of every host, and all groups, the winner last: deeper ones over higher ones, then by priority,
then by name. Files of group_vars win over what the inventory file says of any group, and the host's own variables over both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gitops.config.ansible.inventory import ALL, UNGROUPED, GroupEntry, Inventory
from gitops.config.node import Node


@dataclass(frozen=True)
class Order:
    """`ranked` are all groups but those without hosts, the winner last; `members` the groups of each host, `all` left out."""

    ranked: tuple[str, ...]
    members: Mapping[str, frozenset[str]]

    def find_variable(self, inventory: Inventory, host: str, name: str) -> Node | None:
        """Give the value that counts for a host."""
        own = inventory.hosts[host].vars.get(name)
        if own is not None:
            return own
        mine = [inventory.groups[group] for group in reversed(self.ranked) if group == ALL or group in self.members[host]]
        for table in (*(group.files for group in mine), *(group.vars for group in mine)):
            if name in table:
                return table[name]
        return None


def find_order(inventory: Inventory) -> Order | None:
    """Give the order; None, and an error, when a group is below itself."""
    _settle_ungrouped(inventory)
    above = _find_above(inventory)
    if above is None:
        return None
    members = _find_members(inventory, above)
    depths = _find_depths(inventory.groups, above)
    used = {ALL}.union(*members.values())
    ranked = sorted(used, key=lambda name: (depths[name], inventory.groups[name].priority, name))
    return Order(tuple(ranked), members)


def _settle_ungrouped(inventory: Inventory) -> None:
    """Put into `ungrouped` the hosts that are in no other group; of a host with a group's name, Ansible puts the group there.

    When `ungrouped` is below a group other than `all`, the hosts that the file puts into it leave both, as in Ansible.
    """
    is_below = any(UNGROUPED in entry.children for name, entry in inventory.groups.items() if name != ALL)
    grouped = {host for name, entry in inventory.groups.items() if name not in (ALL, UNGROUPED) for host in entry.hosts}
    ungrouped = inventory.groups[UNGROUPED]
    for name, host in inventory.hosts.items():
        if name in inventory.groups:
            inventory.leave_out(f"the host `{name[:60]}` has the name of a group", host.place, hint="rename one")
        if name in grouped or (is_below and name in ungrouped.hosts):
            ungrouped.hosts.pop(name, None)
        elif name in inventory.groups and name not in ungrouped.hosts:
            ungrouped.children.setdefault(name, host.place)
        else:
            ungrouped.hosts.setdefault(name, host.place)


def _find_above(inventory: Inventory) -> dict[str, frozenset[str]] | None:
    """Give for each group those above it, however far; `all` is above every other."""
    parents: dict[str, set[str]] = {name: set() for name in inventory.groups}
    for name, entry in inventory.groups.items():
        for child in entry.children:
            parents[child].add(name)
    above: dict[str, frozenset[str]] = {}
    for name, entry in inventory.groups.items():
        seen: set[str] = set()
        stack = list(parents[name])
        while stack:
            parent = stack.pop()
            if parent not in seen:
                seen.add(parent)
                stack.extend(parents[parent])
        if name in seen or (name == ALL and seen):
            inventory.fail(f"group `{name[:60]}` is below itself", entry.place, hint="`all` is above every group")
            return None
        above[name] = frozenset(seen)
    for parent in parents[UNGROUPED] - {ALL}:
        place = inventory.groups[parent].children[UNGROUPED]
        inventory.leave_out(f"`{UNGROUPED}` below `{parent[:60]}`", place, hint="hosts of other groups leave it in Ansible")
    return above


def _find_members(inventory: Inventory, above: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Give the groups of each host, without `all`."""
    found: dict[str, set[str]] = {name: set() for name in inventory.hosts}
    for group, entry in inventory.groups.items():
        for host in entry.hosts:
            found[host] |= {group} | above[group]
    return {name: frozenset(groups - {ALL}) for name, groups in found.items()}


def _find_depths(groups: Mapping[str, GroupEntry], above: Mapping[str, frozenset[str]]) -> dict[str, int]:
    """Give how deep each group lies, by its longest way down; groups under nothing lie under `all`."""
    depths: dict[str, int] = {}
    for name in sorted(groups, key=lambda name: len(above[name])):
        parents = [depths[parent] for parent in above[name] if name in groups[parent].children]
        depths[name] = 0 if name == ALL else 1 + max(parents, default=0)
    return depths
