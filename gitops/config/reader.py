"""MapReader: takes known keys from a map Node and collects every mistake instead of stopping at the first.

The door of the config room: each `take` checks a type and gives a valid default when it is wrong, so that one mistake does not
cause others. `finish` reports keys that nobody knows, with the nearest that somebody does.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from gitops.config.node import Node, name_type
from gitops.model.diagnostic import Diagnostic, Place

T = TypeVar("T")
MOST_NAMED = 12


class Findings:
    """A growing list of diagnostics; `lost` are the addresses that broken resources would have had."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []
        self.lost: set[str] = set()

    def add(self, code: str, message: str, place: Place, *, hint: str = "", width: int = 1) -> None:
        """Add an error."""
        self.found.append(Diagnostic(code, message, place, hint=hint, width=width))

    def add_diagnostic(self, diagnostic: Diagnostic) -> None:
        """Add any diagnostic."""
        self.found.append(diagnostic)


class MapReader:
    """Reads one map; `what` names it in messages (`the Host document`)."""

    def __init__(self, node: Node, what: str, findings: Findings) -> None:
        self.node = node
        self.findings = findings
        self._what = what
        self._known: set[str] = set()
        if not isinstance(node.value, dict):
            findings.add("C105", f"{what}: got {name_type(node)}, expected a map", node.place, width=node.width)

    def get(self, key: str) -> Node | None:
        """Take a value of any type; null counts as absent."""
        self._known.add(key)
        node = self.node.entries.get(key)
        return None if node is None or node.value is None else node

    def require(self, key: str, expected: str) -> Node | None:
        """Take a value that must be there."""
        node = self.get(key)
        if node is None and isinstance(self.node.value, dict):
            self.findings.add("C106", f"{self._what}: `{key}` is missing, expected {expected}", self.node.place)
        return node

    def text(self, key: str, default: str = "", *, is_required: bool = False) -> str:
        """Take a string."""
        node = self.require(key, "a string") if is_required else self.get(key)
        if node is None:
            return default
        if not isinstance(node.value, str):
            return self._wrong(key, node, "a string", default)
        return node.value

    def integer(self, key: str, default: int) -> int:
        """Take an integer."""
        node = self.get(key)
        if node is None:
            return default
        if not isinstance(node.value, int) or isinstance(node.value, bool):
            return self._wrong(key, node, "an integer", default)
        return node.value

    def flag(self, key: str, *, default: bool) -> bool:
        """Take a boolean."""
        node = self.get(key)
        if node is None:
            return default
        if not isinstance(node.value, bool):
            return self._wrong(key, node, "true or false", default)
        return node.value

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        """Take one of some strings."""
        node = self.get(key)
        if node is None:
            return default
        if node.value not in choices:
            return self._wrong(key, node, "one of " + ", ".join(choices), default)
        return node.text

    def table(self, key: str) -> Mapping[str, Node]:
        """Take a map, empty when absent."""
        node = self.get(key)
        if node is None:
            return {}
        if not isinstance(node.value, dict):
            return self._wrong(key, node, "a map", {})
        return node.entries

    def sequence(self, key: str) -> tuple[Node, ...]:
        """Take a list, empty when absent."""
        node = self.get(key)
        if node is None:
            return ()
        if not isinstance(node.value, tuple):
            return self._wrong(key, node, "a list", ())
        return node.items

    def texts(self, key: str) -> tuple[str, ...]:
        """Take a list of strings."""
        found: list[str] = []
        for item in self.sequence(key):
            if isinstance(item.value, str):
                found.append(item.value)
            else:
                self._wrong(key, item, "a list of strings", None)
        return tuple(found)

    def finish(self, ignore: Iterable[str] = ()) -> None:
        """Report every key that was not taken."""
        allowed = self._known | set(ignore)
        for key in self.node.entries:
            if key not in allowed:
                self.findings.add_diagnostic(unknown_key(key, allowed, self._what, self.node.key_place(key)))

    def _wrong(self, key: str, node: Node, expected: str, default: T) -> T:
        self.findings.add(
            "C105", f"{self._what}: `{key}` is {name_type(node)}, expected {expected}", node.place, width=node.width
        )
        return default


def unknown_key(key: str, known: Iterable[str], what: str, place: Place) -> Diagnostic:
    """Make the diagnostic of a key that nobody knows."""
    ordered = sorted(known)
    return Diagnostic(
        "C104",
        f"unknown key `{key[:80]}` in {what}",
        place,
        hint=suggest(key, ordered),
        width=len(key),
        notes=(f"{what} takes: {', '.join(ordered)}",),
    )


def suggest(name: str, known: Iterable[str]) -> str:
    """Give `did you mean …?` or nothing."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else ""


def suggest_among(name: str, known: Iterable[str], words: str) -> str:
    """Give `did you mean …?`, else which there are: `words: a, b`."""
    ordered = sorted(known)
    return suggest(name, ordered) or f"{words}: {_list(ordered)}"


def suggest_and_list(name: str, known: Iterable[str], words: str) -> str:
    """Give `did you mean …?` where something is near, and which there are."""
    ordered = sorted(known)
    return f"{suggest(name, ordered)} {words}: {_list(ordered)}".strip()


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more or "none"
