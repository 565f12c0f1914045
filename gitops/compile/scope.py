"""Scope: the names that `${…}` and templates may use, and a record of what was read.

The record decides what hosts share: a block compiled for one host serves another whose values of the same names are equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gitops.compile.frozen import freeze_node, freeze_nodes
from gitops.compile.peers import NO_PEERS, Peers
from gitops.compile.written import to_readable
from gitops.config.config import Config, HostDocument
from gitops.config.node import Node
from gitops.config.reader import suggest_among
from gitops.model.diagnostic import Diagnostic, Place
from gitops.model.secret import SecretRef

ALL = "*"
PEERS = "hosts"
ROOTS = ("vars", "params", "host", "secret", "each")
ROOT_WORDS = {"vars": "variable", "params": "parameter", "each": "value of for_each", "host": "property of the host"}


class CompileError(Exception):
    """Mistakes that stop the resource they are in: one, or all that could be found at once."""

    def __init__(self, diagnostic: Diagnostic, *further: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic
        self.diagnostics = (diagnostic, *further)


def fail(code: str, message: str, place: Place, *, hint: str = "", width: int = 1) -> CompileError:
    """Make the error of one mistake."""
    return CompileError(Diagnostic(code, message, place, hint=hint, width=width))


@dataclass(frozen=True)
class Layer:
    """One place where a variable is set: the project, a group or the host."""

    source: str
    node: Node


@dataclass
class Scope:
    """What one host sees. `params` and `each` change with the module and the repetition; `reads` grows as names are used.

    `peers` are the hosts of its environment, itself included. `notes` are warnings about what was read.
    """

    host: HostDocument
    vars: Mapping[str, Node]
    secrets: Mapping[str, SecretRef]
    params: Mapping[str, Node] | None = None
    each: Mapping[str, Node] | None = None
    peers: Peers = NO_PEERS
    reads: dict[str, str] = field(default_factory=dict[str, str])
    notes: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def look_up(self, path: tuple[str, ...]) -> Node | None:
        """Give the value of a name such as ("vars", "x", "y"), or None; ("host", "name") and labels included."""
        root, first = path[0], path[1] if len(path) > 1 else ""
        if root == "host":
            return self._record(".".join(path), self._host(path))
        node = self._record(f"{root}.{first}", self._first(root, first))
        for part in path[2:]:
            if node is None:
                return None
            node = self._child(node, part)
        return node

    def names(self, root: str) -> tuple[str, ...]:
        """List the names of a root, for messages."""
        tables: dict[str, Mapping[str, object]] = {
            "vars": self.vars,
            "params": self.params or {},
            "secret": self.secrets,
            "each": self.each or {},
            "host": {"name": 1, "address": 1, "labels": 1},
        }
        return tuple(sorted(tables.get(root, {})))

    def read_all(self, root: str) -> dict[str, object]:
        """Give every name of a root with its value as templates see it, and record that all were read."""
        found = self._all(root)
        self.reads[f"{root}.{ALL}"] = freeze_nodes(found)
        return {name: to_readable(node) for name, node in found.items()}

    def read_peers(self, labels: Mapping[str, object]) -> tuple[Mapping[str, object], ...]:
        """Give the hosts of the environment that have these labels, and record which were seen; raise TypeError for what is no label."""
        key, found = self.peers.find(labels)
        self.reads[f"{PEERS}.{key}"] = found.digest
        return found.hosts

    def explain_no_peers(self, labels: Mapping[str, object]) -> str:
        """Say why no host of the whole project has these labels; empty when one does."""
        return self.peers.explain_empty(self.peers.find(labels)[0])

    def value_of(self, key: str) -> str:
        """Give what `reads` would hold for a key such as `vars.x`; used to see whether a shared block fits."""
        root, _, first = key.partition(".")
        if root == PEERS:
            return self.peers.find_again(first).digest
        if first == ALL:
            return freeze_nodes(self._all(root))
        return freeze_node(self._host(tuple(key.split("."))) if root == "host" else self._first(root, first))

    def _record(self, key: str, node: Node | None) -> Node | None:
        if key not in self.reads:
            self.reads[key] = freeze_node(node)
        return node

    def _all(self, root: str) -> dict[str, Node]:
        found = {name: self._host(("host", name)) if root == "host" else self._first(root, name) for name in self.names(root)}
        return {name: node for name, node in found.items() if node is not None}

    def _first(self, root: str, first: str) -> Node | None:
        if root == "vars":
            return self.vars.get(first)
        if root == "params":
            return None if self.params is None else self.params.get(first)
        if root == "each":
            return None if self.each is None else self.each.get(first)
        if root == "host":
            return self._host(("host", first))
        return None

    def _host(self, path: tuple[str, ...]) -> Node | None:
        place, name = self.host.place, path[1] if len(path) > 1 else ""
        if len(path) > 2:  # noqa: PLR2004  host.labels.x; labels may have dots
            label = self.host.labels.get(".".join(path[2:])) if name == "labels" else None
            return None if label is None else Node(label, place)
        if name == "labels":
            return Node({key: Node(value, place) for key, value in self.host.labels.items()}, place)
        values = {"name": self.host.name, "address": self.host.address}
        return Node(values[name], place) if name in values else None

    @staticmethod
    def _child(node: Node, part: str) -> Node | None:
        if isinstance(node.value, tuple) and part.isdigit() and int(part) < len(node.items):
            return node.items[int(part)]
        return node.entries.get(part)


def layer_variables(config: Config, host: HostDocument) -> dict[str, list[Layer]]:
    """Give every layer of every variable, the winner last: project < groups by priority and name < host."""
    layers: dict[str, list[Layer]] = {}
    sources: list[tuple[str, Mapping[str, Node]]] = [("project", config.project.vars)]
    sources.extend((f"group/{group.name}", group.vars) for group in config.groups_of(host))
    sources.append((f"host/{host.name}", host.vars))
    for source, table in sources:
        for name, node in table.items():
            layers.setdefault(name, []).append(Layer(source, node))
    return layers


class Names:
    """A root as templates see it: reading a name records it; reading them all records all.

    A name goes before a method of a map, so that a parameter may be called `items`.
    """

    def __init__(self, scope: Scope, root: str) -> None:
        self._scope = scope
        self._root = root

    def __getitem__(self, key: str) -> object:
        node = self._scope.look_up((self._root, str(key)))
        if node is None:
            raise KeyError(key)
        return to_readable(node)

    def __getattr__(self, name: str) -> object:
        node = None if name.startswith("_") else self._scope.look_up((self._root, name))
        if node is not None:
            return to_readable(node)
        if name in ("items", "keys", "values", "get"):
            return getattr(self._scope.read_all(self._root), name)
        raise AttributeError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._scope.read_all(self._root))

    def __contains__(self, name: str) -> bool:
        return self._scope.look_up((self._root, str(name))) is not None

    def __len__(self) -> int:
        return len(self._scope.read_all(self._root))

    def __repr__(self) -> str:
        return repr(self._scope.read_all(self._root))


def read_root(names: Names) -> dict[str, object]:
    """Give a root as a map; no method of it, since a variable may have any name."""
    return names._scope.read_all(names._root)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def describe_unknown(names: Names, name: str) -> tuple[str, str]:
    """Say that a root has no such name, and which it has."""
    scope, root = names._scope, names._root  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return f"unknown {ROOT_WORDS[root]} `{name[:60]}`", suggest_among(name, scope.names(root), "there are")


def as_text(value: object) -> str | None:
    """Give a scalar as it stands inside text: booleans true/false, numbers as decimals; None for what has no text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, int | str):
        return str(value)
    return None
