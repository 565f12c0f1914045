"""An inventory's own file, and its files of variables: bytes to what they hold, as Ansible decides what a file is.

A file whose name ends in `.yml`, `.yaml` or `.json`, or has no ending, is YAML (or JSON) when that gives a map; every other one is INI.
"""

from __future__ import annotations

import re
from pathlib import PurePath

from gitops.config.ansible.dialect import read_values
from gitops.config.ansible.ini import read_ini
from gitops.config.ansible.inventory import Inventory
from gitops.config.ansible.tree import read_tree
from gitops.config.node import Node, name_type
from gitops.model.diagnostic import Diagnostic, has_errors

YAML_ENDINGS = (".yml", ".yaml", ".json")
_KEY = re.compile(rb"[^\s=\[]+:(\s|\Z)")
# A vault, and what is too large to read: nothing that another reading would mend.
FINAL = ("C803", "C603", "C604", "C605")


def read_inventory(data: bytes, file: str, found: Inventory) -> None:
    """Read an inventory file into what was found before it; what it says again counts."""
    suffix = PurePath(file).suffix
    before = len(found.found)
    if suffix not in ("", *YAML_ENDINGS):
        read_ini(data, file, found)
        return
    values = read_values(data, file)
    if isinstance(values, Diagnostic):
        problem = values
    elif values.root.entries:
        read_tree(values, found)
        return
    else:
        problem = Diagnostic("C802", f"{file} holds {name_type(values.root)}, expected one map of groups", values.root.place)
    if problem.code not in FINAL:
        read_ini(data, file, found)
        if not has_errors(found.found[before:]) or not (suffix or _looks_like_yaml(data)):
            return
        del found.found[before:]
    found.found.append(problem)


def read_variables(data: bytes, file: str, into: Inventory) -> dict[str, Node]:
    """Give the variables of a file of group_vars or host_vars; one that holds nothing has none."""
    found = read_values(data, file)
    if isinstance(found, Diagnostic):
        into.found.append(found)
        return {}
    if found.root.value and not found.root.entries:
        into.fail(f"{file} holds {name_type(found.root)}, expected one map", found.root.place)
    into.found.extend(found.notes)
    into.unsafe |= found.unsafe
    return {key: item for key, item in found.root.entries.items() if found.root.key_place(key) not in found.odd_keys}


def _looks_like_yaml(data: bytes) -> bool:
    lines = (line.split(b"#")[0].strip() for line in data.splitlines())
    first = next((line for line in lines if line), b"")
    return first in (b"---", b"{") or _KEY.match(first) is not None
