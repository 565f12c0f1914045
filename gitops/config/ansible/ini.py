"""INI inventories: `[group]`, `[group:children]`, `[group:vars]`, a host a line with `key=value` behind it."""

from __future__ import annotations

import ast
import re
import shlex
from typing import cast

from gitops.config.ansible.inventory import ALL, UNGROUPED, Inventory
from gitops.config.node import Node, from_plain
from gitops.config.yaml import decode_text
from gitops.model.diagnostic import Diagnostic, Place

_SECTION = re.compile(r"\[([^:\]]+)(?::(\w+))?\]\s*(?:[#;].*)?\Z")
SECTIONS = ("hosts", "children", "vars")
LONGEST_LITERAL = 10_000


def read_ini(data: bytes, file: str, into: Inventory) -> None:
    """Read an INI inventory."""
    text = decode_text(data, file)
    if isinstance(text, Diagnostic):
        into.found.append(text)
        return
    group, section = UNGROUPED, "hosts"
    for number, raw in enumerate(text.splitlines(), start=1):
        line, place = raw.strip(), Place(file, number)
        if not line or line[0] in "#;":
            continue
        match = _SECTION.match(line)
        if match is None:
            _read_line(line, place, (group, section), into)
            continue
        group, section = match[1].strip(), match[2] or "hosts"
        into.group(group, place)
        if section not in SECTIONS:
            into.fail(f"unknown section [{group[:60]}:{section[:60]}]", place, hint="[group], [group:children] or [group:vars]")
    for name, entry in list(into.groups.items()):
        for child, place in entry.children.items():
            if child not in into.groups:
                into.fail(f"group `{name[:60]}` has the unknown child `{child[:60]}`", place)
    into.group(ALL, Place(file))


def _read_line(line: str, place: Place, section: tuple[str, str], into: Inventory) -> None:
    """Read what stands in a section; that of an unknown one was told already."""
    group, kind = section
    if kind == "hosts":
        _read_host(line, group, place, into)
    elif kind == "children":
        into.group(group, place).children.setdefault(line.split("#", maxsplit=1)[0].strip(), place)
    elif kind == "vars":
        _read_variable(line, place, into.group(group, place).vars, into)


def _read_host(line: str, group: str, place: Place, into: Inventory) -> None:
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        into.fail(f"not a line of an inventory: {str(error).lower()}", place)
        return
    entries = into.add_hosts(words[0], group, place) if words else ()
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if not equals or not name:
            into.fail(f"{word[:60]!r} behind a host, expected key=value", place)
            continue
        for entry in entries:
            entry.vars[name] = read_value(value, place)


def _read_variable(line: str, place: Place, into: dict[str, Node], inventory: Inventory) -> None:
    name, equals, value = line.partition("=")
    if not equals or not name.strip():
        inventory.fail(f"{line[:60]!r} among variables, expected key=value", place)
        return
    into[name.strip()] = read_value(value.strip(), place)


def read_value(text: str, place: Place) -> Node:
    """Give a value as Ansible reads it in INI: a Python literal when it is one, else text."""
    if len(text) <= LONGEST_LITERAL:
        try:
            return from_plain(_plain(ast.literal_eval(text)), place)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            pass
    return Node(text, place)


def _plain(value: object) -> object:
    """Refuse (TypeError) literals that are no plain data: bytes, sets, complex numbers, maps with other keys than strings."""
    if isinstance(value, dict):
        table = cast("dict[object, object]", value)
        if not all(isinstance(key, str) for key in table):
            raise TypeError
        return {str(key): _plain(item) for key, item in table.items()}
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[object]", value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError
