"""Node: a value of a document with the place where it stands.

A raw tree of scalars, lists and maps; keys have places of their own. `${…}` stands unexpanded in strings. Floats exist here (a
template may show one) but never in what is digested. A number knows how it was written where its text would be another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from gitops.model.codec import Json
from gitops.model.diagnostic import Place

Scalar = None | bool | int | float | str


class SpelledFloat(float):
    """A number as another program wrote it, on its way to a Node."""

    spelling: str

    def __new__(cls, spelling: str) -> SpelledFloat:
        """Read one."""
        found = super().__new__(cls, spelling)
        found.spelling = spelling
        return found


@dataclass(frozen=True, slots=True)
class Node:
    """`value` is a scalar, a tuple of Nodes or a dict of Nodes; `keys` are the places of a map's keys; `width` underlines it.

    `origin` is where the value was written that `${…}` brought here; None when it stands here itself. `written` is a number as it
    was written (`3.10`), where text would show another (`3.1`); else empty.
    """

    value: Scalar | tuple[Node, ...] | dict[str, Node]
    place: Place
    width: int = 1
    keys: Mapping[str, Place] = field(default_factory=dict[str, Place])
    origin: Place | None = field(default=None, compare=False)
    written: str = ""

    @property
    def entries(self) -> dict[str, Node]:
        """The map's entries; empty for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> tuple[Node, ...]:
        """The list's items; empty for anything else."""
        return self.value if isinstance(self.value, tuple) else ()

    @property
    def text(self) -> str:
        """The string; empty for anything else."""
        return self.value if isinstance(self.value, str) else ""

    def key_place(self, key: str) -> Place:
        """Give the place of a key, or of the map."""
        return self.keys.get(key, self.place)

    def at(self, path: Iterable[str | int]) -> Node:
        """Give what keys and positions lead to, as far as there is something."""
        node = self
        for part in path:
            if isinstance(part, str) and part in node.entries:
                node = node.entries[part]
            elif isinstance(part, int) and part < len(node.items):
                node = node.items[part]
        return node

    def walk(self) -> Iterator[Node]:
        """Give this node and all below it."""
        stack: list[Node] = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(node.items)
            stack.extend(node.entries.values())


def to_plain(node: Node) -> object:
    """Give plain Python values; floats stay floats."""
    if isinstance(node.value, dict):
        return {key: to_plain(item) for key, item in node.entries.items()}
    if isinstance(node.value, tuple):
        return [to_plain(item) for item in node.items]
    return node.value


def to_json(node: Node) -> Json:
    """Give plain JSON; a float becomes its shortest decimal text, since what is digested has none."""
    if isinstance(node.value, dict):
        return {key: to_json(item) for key, item in node.entries.items()}
    if isinstance(node.value, tuple):
        return [to_json(item) for item in node.items]
    return repr(node.value) if isinstance(node.value, float) else node.value


def from_plain(value: object, place: Place, width: int = 1) -> Node:
    """Give a Node of plain values, all standing at one place (results of CUE, defaults)."""
    if isinstance(value, dict):
        table = cast("dict[str, object]", value)
        return Node({str(key): from_plain(item, place, width) for key, item in table.items()}, place, width)
    if isinstance(value, list | tuple):
        items = cast("list[object]", value)
        return Node(tuple(from_plain(item, place, width) for item in items), place, width)
    if isinstance(value, SpelledFloat):
        return Node(float(value), place, width, written=find_written(float(value), value.spelling))
    if value is None or isinstance(value, bool | int | float | str):
        return Node(value, place, width)
    raise TypeError(f"no node for {type(value).__name__}")


def find_written(value: Scalar, text: str) -> str:
    """Give the text that a number was written as, if its own text is another; empty for all else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return text if is_number and repr(value) != text else ""


def name_type(node: Node) -> str:
    """Say what a node is, for messages."""
    value = node.value
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return f"the number {node.written[:60] or value}"
    if isinstance(value, str):
        return f"the string {value[:60]!r}"
    return "a map" if isinstance(value, dict) else "a list"
