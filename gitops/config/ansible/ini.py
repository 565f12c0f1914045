"""INI inventories: `[group]`, `[group:children]`, `[group:vars]`, a host a line with `key=value` behind it."""

from __future__ import annotations

import ast
import re
import shlex
import warnings
from codecs import BOM_UTF8
from dataclasses import dataclass
from typing import cast

from gitops.config.ansible.dialect import LONGEST_NUMBER, show_key
from gitops.config.ansible.inventory import UNGROUPED, Inventory
from gitops.config.node import Node
from gitops.config.yaml import decode_text
from gitops.model.diagnostic import Diagnostic, Place

_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?\Z")
_NAME = re.compile(r"([^:\]\s]+)\s*(?:#.*)?\Z")
SECTIONS = ("hosts", "children", "vars")
LONGEST_LITERAL = 100_000


def read_ini(data: bytes, file: str, into: Inventory) -> None:
    """Read an INI inventory."""
    text = decode_text(data, file)
    if isinstance(text, Diagnostic):
        into.found.append(text)
        return
    if data.startswith(BOM_UTF8):
        into.leave_out(
            "the byte order mark: for Ansible it is a part of the first name", Place(file, 1), hint="save the file without it"
        )
    declared = set(into.groups)  # of the files before, too
    group, section = UNGROUPED, "hosts"
    for number, raw in enumerate(text.splitlines(), start=1):
        line, place = raw.strip(), Place(file, number)
        if not line or line[0] in "#;":
            continue
        match = _SECTION.match(line)
        if match is None:
            _read_line(line, place, (group, section), into)
            continue
        group, section = match[1], match[2] or "hosts"
        into.group(group, place)
        if section not in SECTIONS:
            into.fail(f"unknown section [{group[:60]}:{section[:60]}]", place, hint="[group], [group:children] or [group:vars]")
        elif section != "vars":
            declared.add(group)
    _check_declared(declared, into)


def _check_declared(declared: set[str], into: Inventory) -> None:
    """Say which groups have variables, or are below another, and are named by no section of hosts or children."""
    for name, entry in into.groups.items():
        if name not in declared:
            into.fail(f"[{name[:60]}:vars]: there is no group `{name[:60]}`", entry.place, hint=f"add a section [{name[:60]}]")
        for child, place in entry.children.items():
            if child not in into.groups:
                into.fail(f"group `{name[:60]}` has the unknown child `{child[:60]}`", place)


def _read_line(line: str, place: Place, section: tuple[str, str], into: Inventory) -> None:
    """Read what stands in a section; that of an unknown one was told already."""
    group, kind = section
    if line.startswith("[") and line.endswith("]"):
        into.fail(f"{line[:60]!r} is no section", place, hint="[group], [group:children] or [group:vars], without blanks")
    elif kind == "hosts":
        _read_host(line, group, place, into)
    elif kind == "children":
        match = _NAME.match(line)
        if match is None:
            into.fail(f"{line[:60]!r} among children, expected the name of a group", place)
        else:
            into.group(group, place).children.setdefault(match[1], place)
    elif kind == "vars":
        name, equals, value = line.partition("=")
        if not equals:
            into.fail(f"{line[:60]!r} among variables, expected key=value", place)
            return
        into.set_group_variable(group, name.strip(), read_value(value.strip(), name.strip(), place, into))


def _read_host(line: str, group: str, place: Place, into: Inventory) -> None:
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        into.fail(f"not a line of an inventory: {str(error).lower()}", place)
        return
    if words[0].strip().endswith(":") or words[0].strip() == "---":
        into.fail(f"{words[0][:60]!r} is no host", place, hint="is it YAML?")
        return
    variables: dict[str, Node] = {}
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if not equals:
            into.fail(f"{word[:60]!r} behind a host, expected key=value", place)
            continue
        variables[name] = read_value(value, name, place, into)
    for host in into.add_hosts(words[0], group, place):
        into.set_host_variables(host, variables)


def read_value(text: str, name: str, place: Place, into: Inventory) -> Node:
    """Give a value as Ansible reads it in INI: a Python literal when it is one, else text. Tuples and sets are lists."""
    if len(text) > LONGEST_LITERAL:
        hint = "put it into group_vars or host_vars"
        into.leave_out(f"`{name[:60]}`: {len(text)} characters are taken as text", place, hint=hint)
        return Node(text, place)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes such as '\d'
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return Node(text, place)
    except (TypeError, MemoryError, RecursionError):
        into.fail(f"`{name[:60]}`: {text[:60]!r} looks like a value of Python and is none", place, hint="put it into group_vars")
        return Node(text, place)
    return _Literal(name, place, into).make_node(value)


@dataclass(frozen=True)
class _Literal:
    """A Python literal as Ansible takes it for the value of a variable."""

    name: str
    place: Place
    into: Inventory

    def make_node(self, value: object) -> Node:
        if isinstance(value, dict):
            table = cast("dict[object, object]", value)
            return Node({self._read_key(key): self.make_node(item) for key, item in table.items()}, self.place)
        if isinstance(value, set):
            self._note("a set is written as a list", "its order is that of this run; write a list")
        if isinstance(value, list | tuple | set):
            return Node(tuple(self.make_node(item) for item in cast("list[object]", value)), self.place)
        if isinstance(value, bytes | str):
            return Node(self._read_text(value), self.place)
        if value is ...:
            return Node("...", self.place)
        if isinstance(value, int) and value.bit_length() > LONGEST_NUMBER:
            self.into.fail(f"`{self.name[:60]}`: a number of {value.bit_length()} bits", self.place, hint="quote it")
            return Node(None, self.place)
        return Node(value if value is None or isinstance(value, bool | int | float) else str(value), self.place)

    def _read_key(self, key: object) -> str:
        text = self._read_text(key) if isinstance(key, str) else show_key(key)
        if key is ... or isinstance(key, complex):
            self.into.fail(f"`{self.name[:60]}`: {text} as a key, which Ansible refuses", self.place)
        elif not isinstance(key, str):
            self._note(f"the key {text[:60]} is no text in Ansible; here keys are text", "quote it")
        return text

    def _read_text(self, value: bytes | str) -> str:
        """Give the text; bytes are read as UTF-8. Halves of characters (surrogates), and bytes that are no text, stay escapes."""
        data = value if isinstance(value, bytes) else value.encode("utf-8", "backslashreplace")
        text = data.decode("utf-8", "backslashreplace")
        if text != value and text.encode("utf-8") != value:
            self._note("a half of a character is written as its escape", "write the character itself")
        return text

    def _note(self, message: str, hint: str) -> None:
        self.into.leave_out(f"`{self.name[:60]}`: {message}", self.place, hint=hint)
