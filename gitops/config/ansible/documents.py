"""From an Inventory to Host and Group documents, as YAML text that this program reads back as it was meant.

A host's groups become labels (`group_web: "yes"`), since selectors are over labels; a group becomes a Group that selects its label, with
the variables, and a priority that keeps Ansible's order (deeper groups win, then their priority, then the name). Variables stay text
where they hold Jinja expressions, and every `ansible_…` variable but address and connection is left out; both are said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from gitops.config.ansible.inventory import ALL, UNGROUPED, Inventory
from gitops.config.documents import NAME_HINT, RESERVED
from gitops.config.node import Node, to_plain
from gitops.config.yaml import resolve_scalar
from gitops.model.address import is_object_name
from gitops.model.diagnostic import Place

ADDRESS, CONNECTION, PRIORITY, OWN = "ansible_host", "ansible_connection", "ansible_group_priority", "ansible_"
LOCAL = ("local",)
SSH = ("ssh", "smart", "paramiko", "paramiko_ssh", "openssh")
HOSTS_A_FILE = 1000
PRIORITY_STEP = 10
LABEL = "group_"
DEPTH = 64
Document = dict[str, object]


@dataclass
class _Dumped:
    """The documents by file."""

    hosts: list[Document] = field(default_factory=list[Document])
    groups: list[Document] = field(default_factory=list[Document])


class _Dumper(yaml.SafeDumper):
    """Quotes every string that YAML 1.1 or 1.2 would read as something else; writes no aliases."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  PyYAML names it
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if isinstance(resolve_scalar(text), str) else '"')  # pyright: ignore[reportUnknownMemberType]


_Dumper.add_representer(str, _represent_text)


def write_documents(inventory: Inventory) -> dict[str, str]:
    """Give the files by name: hosts and groups; what is left out is noted in the inventory."""
    dumped = _Dumped()
    above = _find_groups_above(inventory)
    names = _rename(inventory, sorted(inventory.hosts), "host")
    members = _find_members(inventory, above)
    for old, name in names.items():
        dumped.hosts.append(_make_host(inventory, old, name, members.get(old, set())))
    dumped.groups = _make_groups(inventory, {group for found in members.values() for group in found})
    files: dict[str, str] = {}
    for start in range(0, len(dumped.hosts), HOSTS_A_FILE):
        suffix = "" if len(dumped.hosts) <= HOSTS_A_FILE else f"-{start // HOSTS_A_FILE + 1}"
        files[f"hosts{suffix}.yaml"] = _dump(dumped.hosts[start : start + HOSTS_A_FILE])
    if dumped.groups:
        files["groups.yaml"] = _dump(dumped.groups)
    return files


def _make_host(inventory: Inventory, old: str, name: str, groups: set[str]) -> Document:
    entry = inventory.hosts[old]
    variables = dict(entry.vars)
    address, connection = variables.pop(ADDRESS, None), variables.pop(CONNECTION, None)
    spec: Document = {"address": str(to_plain(address)) if address is not None else old, "connection": "ssh"}
    if connection is not None:
        spec["connection"] = _read_connection(inventory, connection)
    values = _read_variables(inventory, variables)
    if values:
        spec["vars"] = values
    labels = {f"{LABEL}{group}": "yes" for group in sorted(groups)}
    metadata: Document = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "gitops/v1", "kind": "Host", "metadata": metadata, "spec": spec}


def _read_connection(inventory: Inventory, node: Node) -> str:
    if node.text in LOCAL:
        return "local"
    if node.text not in SSH:
        inventory.leave_out(f"the connection {str(to_plain(node))[:60]!r}", node.place, hint="written as ssh")
    return "ssh"


def _make_groups(inventory: Inventory, used: set[str]) -> list[Document]:
    """Make a Group of every group that has hosts; `all` (and variables of ungrouped hosts) as well when it has variables."""
    wanted: list[str] = []
    for name, entry in sorted(inventory.groups.items()):
        if name in used or (name == ALL and entry.vars):
            wanted.append(name)
        elif name not in (ALL, UNGROUPED):
            inventory.leave_out(f"group `{name[:60]}` has no host", entry.place)
    depths = _find_depths(inventory)
    ranked = sorted(wanted, key=lambda name: (depths.get(name, 1), _read_priority(inventory, name), name))
    names = _rename(inventory, wanted, "group")
    made: dict[str, Document] = {}
    for rank, name in enumerate(item for item in ranked if item in names):
        own = inventory.groups[name].vars
        variables = _read_variables(inventory, {key: item for key, item in own.items() if key != PRIORITY})
        selector: Document = {} if name == ALL else {f"{LABEL}{name}": "yes"}
        spec: Document = {"selector": selector, "priority": PRIORITY_STEP * rank, **({"vars": variables} if variables else {})}
        made[name] = {"apiVersion": "gitops/v1", "kind": "Group", "metadata": {"name": names[name]}, "spec": spec}
    return [made[name] for name in sorted(made)]


def _read_priority(inventory: Inventory, name: str) -> int:
    node = inventory.groups[name].vars.get(PRIORITY)
    if node is None:
        return 1
    text = str(to_plain(node))
    return int(text) if text.removeprefix("-").isdigit() and text.isascii() else 1


def _read_variables(inventory: Inventory, table: Mapping[str, Node]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, node in sorted(table.items()):
        if name.startswith(OWN):
            inventory.leave_out(f"`{name[:60]}`", node.place, hint=_hint_for(name))
            continue
        if any("{{" in item.text or "{%" in item.text for item in node.walk()):
            hint = "written as text; `${vars.NAME}` refers to a variable, and templates render Jinja"
            inventory.leave_out(f"the Jinja expression in `{name[:60]}`", node.place, hint=hint)
        if any(isinstance(item.value, float) and not math.isfinite(item.value) for item in node.walk()):
            inventory.leave_out(f"`{name[:60]}`: a number that is none", node.place)
            continue
        found[name] = _escape(node)
    return found


def _hint_for(name: str) -> str:
    if name.startswith("ansible_become"):
        return "the executor needs the rights that it runs with"
    if "pass" in name:
        return "a password; use keys"
    return "how a machine is reached stands in your ssh_config"


def _escape(node: Node) -> object:
    """Give the plain value; what this program would take for a reference is escaped."""
    if isinstance(node.value, dict):
        return {key: _escape(item) for key, item in node.entries.items()}
    if isinstance(node.value, tuple):
        return [_escape(item) for item in node.items]
    return node.text.replace("${", "$${") if isinstance(node.value, str) else node.value


def _rename(inventory: Inventory, names: list[str], what: str) -> dict[str, str]:
    """Give the new names; one that cannot be made, or that another has, is an error."""
    found: dict[str, str] = {}
    taken: dict[str, str] = {}
    for old in names:
        new = old.lower().replace("_", "-").replace(":", "-").strip(".-")
        place = _place_of(inventory, old, what)
        if not is_object_name(new) or (what == "host" and new in RESERVED):
            inventory.fail(f"{old[:80]!r} cannot be the name of a {what}", place, hint=NAME_HINT)
        elif new in taken:
            inventory.fail(f"{what}s `{taken[new]}` and `{old}` would both be `{new}`", place, hint="rename one")
        else:
            found[old], taken[new] = new, old
            if new != old and what == "host":
                inventory.leave_out(f"the name {old[:80]!r}: the host is `{new}`", place)
    return found


def _place_of(inventory: Inventory, name: str, what: str) -> Place:
    return inventory.hosts[name].place if what == "host" else inventory.groups[name].place


def _find_groups_above(inventory: Inventory) -> dict[str, set[str]]:
    """Give for each group the groups above it, however far; a circle is an error."""
    parents: dict[str, list[str]] = {}
    for name, entry in inventory.groups.items():
        for child in entry.children:
            parents.setdefault(child, []).append(name)
    above: dict[str, set[str]] = {}
    for name in inventory.groups:
        seen: set[str] = set()
        stack = list(parents.get(name, ()))
        while stack:
            parent = stack.pop()
            if parent not in seen:
                seen.add(parent)
                stack.extend(parents.get(parent, ()))
        if name in seen:
            inventory.fail(f"group `{name[:60]}` is below itself", inventory.groups[name].place)
        above[name] = seen
    return above


def _find_members(inventory: Inventory, above: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Give the groups that a host is in; `all` is no label, and `ungrouped` one only when it has variables."""
    found: dict[str, set[str]] = {}
    for name, entry in inventory.groups.items():
        for host in entry.hosts:
            groups = ({name} | above[name]) - {ALL}
            found.setdefault(host, set()).update(groups)
    keeps = UNGROUPED in inventory.groups and inventory.groups[UNGROUPED].vars
    for groups in found.values():
        if UNGROUPED in groups and (len(groups) > 1 or not keeps):
            groups.discard(UNGROUPED)
    return found


def _find_depths(inventory: Inventory) -> dict[str, int]:
    """Give how deep each group lies, by its longest way down; groups under nothing lie under `all`."""
    depths = {name: 0 if name == ALL else 1 for name in inventory.groups}
    for _ in range(DEPTH):
        is_settled = True
        for name, entry in inventory.groups.items():
            for child in entry.children:
                if child in depths and depths[child] <= depths[name] and depths[name] < DEPTH:
                    depths[child], is_settled = depths[name] + 1, False
        if is_settled:
            break
    return depths


def _dump(documents: list[Document]) -> str:
    options = {"sort_keys": False, "allow_unicode": True, "default_flow_style": False, "width": 1_000_000}
    return yaml.dump_all(documents, Dumper=_Dumper, **options)  # type: ignore[call-overload]
