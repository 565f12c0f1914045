"""Numbers as they were written: text shows what stands in the config, or nothing.

`3.10`, `1e3` and `0644` are numbers whose own text is another (`3.1`, `1000.0`, `644`). They compute, compare and check as numbers. As
text they are an error at the place where they are set, since nobody can tell whether a version or a mode was meant. What is
computed from one is a plain number.
"""

from __future__ import annotations

from gitops.config.node import Node
from gitops.model.diagnostic import Diagnostic, Place


class AlteredNumberError(Exception):
    """A template would print a number otherwise than it is written."""

    def __init__(self, node: Node) -> None:
        super().__init__(f"the number {node.written}")
        self.node = node


class _Written:
    """What templates see of such a number: no text of its own, though formats that say how to write it are fine."""

    node: Node

    def _refuse(self) -> str:
        raise AlteredNumberError(self.node)

    __str__ = __repr__ = _refuse


class WrittenInt(_Written, int):
    """A whole number."""

    def __format__(self, spec: str) -> str:
        """Write it as the spec says; without one it has no text."""
        return format(int(self), spec) if spec else self._refuse()


class WrittenFloat(_Written, float):
    """Any other number."""

    def __format__(self, spec: str) -> str:
        """Write it as the spec says; without one it has no text."""
        return format(float(self), spec) if spec else self._refuse()


def to_readable(node: Node) -> object:
    """Give plain values for templates; numbers that would read otherwise than they are written know that."""
    if isinstance(node.value, dict):
        return {key: to_readable(item) for key, item in node.entries.items()}
    if isinstance(node.value, tuple):
        return [to_readable(item) for item in node.items]
    if not node.written:
        return node.value
    found = WrittenInt(node.value) if isinstance(node.value, int) else WrittenFloat(node.value or 0)
    found.node = node
    return found


def tell_altered(node: Node, use: Place) -> Diagnostic:
    """Say where a number stands that a text would show otherwise."""
    written = node.written[:60]
    message = f"the number `{written}` is used in text, where it would read `{node.value!r:.60}`"
    return Diagnostic(
        "C223", message, node.origin or node.place, hint=f'quote it: "{written}"', width=len(written), related=(use,)
    )
