"""YAML inventories, and the files of group_vars and host_vars: read as YAML 1.1, as Ansible does; vaulted ones are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gitops.config.ansible.inventory import ALL, Inventory
from gitops.config.node import Node, Scalar, name_type
from gitops.config.yaml import YamlError, parse_yaml, resolve_scalar
from gitops.model.diagnostic import Place

VAULT = b"$ANSIBLE_VAULT"
VAULT_HINT = "declare a secret in gitops.yaml and write `${secret.NAME}` where it is needed; take the file out for the import"
_WORDS: Mapping[str, bool] = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
_OCTAL = re.compile(r"[-+]?0[0-7]+\Z")


def read_tree(data: bytes, file: str, into: Inventory) -> None:
    """Read a YAML inventory: groups with `hosts`, `vars` and `children`."""
    root = read_table(data, file, into)
    if root is None:
        return
    stack = [(name, item, root.key_place(name)) for name, item in root.entries.items()]
    while stack:
        name, node, place = stack.pop()
        entry = into.group(name, place)
        for key, item in _table(node, f"group `{name[:60]}`", into).items():
            if key == "hosts":
                _read_hosts(item, name, into)
            elif key == "vars":
                entry.vars.update(_table(item, f"`vars` of {name[:60]}", into))
            elif key == "children":
                for child, below in _table(item, f"`children` of {name[:60]}", into).items():
                    entry.children.setdefault(child, item.key_place(child))
                    stack.append((child, below, item.key_place(child)))
            else:
                into.leave_out(
                    f"`{key[:60]}` of group `{name[:60]}`", node.key_place(key), hint="known are hosts, vars and children"
                )
    into.group(ALL, Place(file))


def read_table(data: bytes, file: str, into: Inventory) -> Node | None:
    """Give the map that a file holds; None, and an error, when it is vaulted, no YAML or no map."""
    if data.lstrip().startswith(VAULT):
        into.fail(f"{file} is vaulted", Place(file), code="C803", hint=VAULT_HINT)
        return None
    try:
        found = parse_yaml(data, file, _resolve)
    except YamlError as error:
        is_vaulted = "!vault" in error.diagnostic.message
        if is_vaulted:
            into.fail("a vaulted value", error.diagnostic.place, code="C803", hint=VAULT_HINT)
        else:
            into.found.append(error.diagnostic)
        return None
    if len(found) > 1 or (found and not isinstance(found[0].value, dict)):
        into.fail(f"{file} holds {name_type(found[0])}, expected one map", found[0].place)
        return None
    return found[0] if found else Node({}, Place(file))


def _read_hosts(node: Node, group: str, into: Inventory) -> None:
    if isinstance(node.value, str):
        into.add_hosts(node.value, group, node.place)
        return
    for pattern, variables in _table(node, f"`hosts` of {group[:60]}", into).items():
        own = _table(variables, f"the variables of {pattern[:60]}", into)
        for entry in into.add_hosts(pattern, group, node.key_place(pattern)):
            entry.vars.update(own)


def _table(node: Node, what: str, into: Inventory) -> dict[str, Node]:
    if node.value is not None and not isinstance(node.value, dict):
        into.fail(f"{what}: got {name_type(node)}, expected a map", node.place)
    return node.entries


def _resolve(text: str) -> Scalar:
    """Give a plain scalar's value in YAML 1.1: `yes` and `on` are booleans, 0644 is octal, a float has a point."""
    if text.lower() in _WORDS and text in (text.lower(), text.upper(), text.capitalize()):
        return _WORDS[text.lower()]
    if _OCTAL.match(text):
        return int(text, 8)
    value = resolve_scalar(text)
    return text if (isinstance(value, float) and "." not in text) or text.startswith("0o") else value
