"""From an Inventory to Host and Group documents, as YAML text that this program reads back as it was meant.

A host's groups become labels (`group_web: "yes"`), since selectors are over labels; a group becomes a Group that selects its label, with
the variables, and a priority that keeps Ansible's order. Files of group_vars win over every group of the inventory file, so a group with
variables in both becomes two Groups, `web` and `web-group-vars`. Variables stay text where they hold Jinja expressions, and every
`ansible_…` variable but address and connection is left out; both are said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import yaml

from gitops.config.ansible.inventory import ALL, PRIORITY, UNGROUPED, Inventory
from gitops.config.ansible.order import Order
from gitops.config.documents import NAME_HINT, RESERVED
from gitops.config.node import Node, to_plain
from gitops.config.yaml import find_hidden, resolve_scalar
from gitops.model.address import is_object_name
from gitops.model.codec import MAX_INTEGER
from gitops.model.diagnostic import Place

ADDRESS, CONNECTION, OWN = "ansible_host", "ansible_connection", "ansible_"
# Ansible sets these itself, whatever an inventory says.
SET = ("group_names", "groups", "hostvars", "inventory_hostname", "inventory_hostname_short", "play_hosts", "playbook_dir")
LOCAL = ("local",)
SSH = ("ssh", "smart", "paramiko", "paramiko_ssh", "openssh")
HOSTS_A_FILE = 1000
PRIORITY_STEP = 10
LABEL = "group_"
FILES = "-group-vars"
Document = dict[str, object]


class _Dumper(yaml.SafeDumper):
    """Quotes every string that YAML 1.1 or 1.2 would read as something else, escapes what readers do not see; writes no aliases."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  PyYAML names it
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_plain = isinstance(resolve_scalar(text), str) and find_hidden(text, "") is None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')  # pyright: ignore[reportUnknownMemberType]


_Dumper.add_representer(str, _represent_text)


def write_documents(inventory: Inventory, order: Order) -> dict[str, str]:
    """Give the files by name: hosts and groups; what is left out is noted in the inventory."""
    names = _rename(inventory, sorted(inventory.hosts), "host")
    hosts = [_make_host(inventory, order, old, name) for old, name in names.items()]
    groups = _make_groups(inventory, order)
    files: dict[str, str] = {}
    for start in range(0, len(hosts), HOSTS_A_FILE):
        suffix = "" if len(hosts) <= HOSTS_A_FILE else f"-{start // HOSTS_A_FILE + 1}"
        files[f"hosts{suffix}.yaml"] = _dump(hosts[start : start + HOSTS_A_FILE])
    if groups:
        files["groups.yaml"] = _dump(groups)
    return files


def _make_host(inventory: Inventory, order: Order, old: str, name: str) -> Document:
    address = _read_address(inventory, order.find_variable(inventory, old, ADDRESS)) or old
    spec: Document = {
        "address": address,
        "connection": _read_connection(inventory, order.find_variable(inventory, old, CONNECTION)),
    }
    values = _read_variables(inventory, inventory.hosts[old].vars)
    if values:
        spec["vars"] = values
    labels = {f"{LABEL}{group}": "yes" for group in sorted(order.members[old]) if _has_label(inventory, group)}
    metadata: Document = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "gitops/v1", "kind": "Host", "metadata": metadata, "spec": spec}


def _read_address(inventory: Inventory, node: Node | None) -> str:
    """Give the address; empty, and a warning, when it is none that stands there."""
    if node is None:
        return ""
    text = "" if isinstance(node.value, dict | tuple | None) else str(to_plain(node))
    if not text or _has_jinja(text):
        inventory.leave_out(
            f"`{ADDRESS}`: {text[:60]!r} is no address", node.place, hint="the host's name is written; put its address there"
        )
        return ""
    return text


def _read_connection(inventory: Inventory, node: Node | None) -> str:
    if node is None or node.text in SSH:
        return "ssh"
    if node.text in LOCAL:
        return "local"
    inventory.leave_out(f"`{CONNECTION}`: {str(to_plain(node))[:60]!r} is no connection here", node.place, hint="written as ssh")
    return "ssh"


def _has_label(inventory: Inventory, group: str) -> bool:
    """Say whether a group is a label: `ungrouped` is one only when it has variables."""
    entry = inventory.groups[group]
    return group != UNGROUPED or bool(entry.vars or entry.files)


def _make_groups(inventory: Inventory, order: Order) -> list[Document]:
    """Make the Groups of every group that has hosts; `all` and `ungrouped` when they have variables."""
    for name, entry in sorted(inventory.groups.items()):
        if name not in order.ranked and name != UNGROUPED:
            inventory.leave_out(f"group `{name[:60]}` has no host", entry.place)
    wanted = [name for name in order.ranked if _has_label(inventory, name) and (name != ALL or _has_variables(inventory, name))]
    names = _rename(inventory, sorted(wanted), "group")
    made: dict[str, Document] = {}
    for rank, name in enumerate(item for item in wanted if item in names):
        entry = inventory.groups[name]
        if entry.vars or not entry.files:
            made[names[name]] = _make_group(inventory, name, entry.vars, rank)
        if entry.files:
            title = f"{names[name]}{FILES}" if entry.vars else names[name]
            if title in made or (title in names.values() and entry.vars) or not is_object_name(title):
                inventory.fail(
                    f"the group_vars of `{name[:60]}` cannot be the Group `{title[:60]}`", entry.place, hint="rename the group"
                )
            made[title] = _make_group(inventory, name, entry.files, len(wanted) + rank)
    for title, document in made.items():
        document["metadata"] = {"name": title}
    return [made[title] for title in sorted(made)]


def _has_variables(inventory: Inventory, name: str) -> bool:
    return bool(inventory.groups[name].vars or inventory.groups[name].files)


def _make_group(inventory: Inventory, name: str, table: Mapping[str, Node], rank: int) -> Document:
    variables = _read_variables(inventory, table)
    selector: Document = {} if name == ALL else {f"{LABEL}{name}": "yes"}
    spec: Document = {"selector": selector, "priority": PRIORITY_STEP * rank, **({"vars": variables} if variables else {})}
    return {"apiVersion": "gitops/v1", "kind": "Group", "metadata": {}, "spec": spec}


def _read_variables(inventory: Inventory, table: Mapping[str, Node]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, node in sorted(table.items()):
        if name in (ADDRESS, CONNECTION):
            continue
        if name.startswith(OWN) or name in SET:
            inventory.leave_out(f"`{name[:60]}`", node.place, hint=_hint_for(name))
            continue
        for item in node.walk():
            _note_value(inventory, name, item)
        found[name] = _escape(node)
    return found


def _note_value(inventory: Inventory, name: str, node: Node) -> None:
    """Say what a value cannot be here."""
    if node.place not in inventory.unsafe and _has_jinja(node.text):
        hint = "written as text; `${vars.NAME}` refers to a variable, and templates render Jinja"
        inventory.leave_out(f"the Jinja expression in `{name[:60]}`", node.place, hint=hint)
    elif isinstance(node.value, float) and not math.isfinite(node.value):
        inventory.leave_out(f"`{name[:60]}`: a number that is none", node.place, hint=f"written as the text {node.value}")
    elif isinstance(node.value, int) and abs(node.value) > MAX_INTEGER:
        inventory.leave_out(f"`{name[:60]}`: the number is too large", node.place, hint="written as text")


def _has_jinja(text: str) -> bool:
    return any(mark in text for mark in ("{{", "{%", "{#"))


def _hint_for(name: str) -> str:
    if name in SET:
        return "Ansible sets it itself"
    if name == PRIORITY:
        return "it counts only for a group of the inventory file"
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
    if isinstance(node.value, float) and not math.isfinite(node.value):
        return str(node.value)
    if isinstance(node.value, int) and abs(node.value) > MAX_INTEGER:
        return str(node.value)
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


def _dump(documents: list[Document]) -> str:
    options = {"sort_keys": False, "allow_unicode": True, "default_flow_style": False, "width": 1_000_000}
    return yaml.dump_all(documents, Dumper=_Dumper, **options)  # type: ignore[call-overload]
