"""Where things come from: each variable's layers, each address's declaration, block, names read and edges with their reasons.

Takes what a compile remembers of one host, gives frozen nouns with places. Reads nothing else and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gitops.compile.compile import Compiled, CompiledHost
from gitops.compile.unit import Placed, Unit
from gitops.compile.variables import resolve_variables
from gitops.config.config import Config
from gitops.config.node import to_json
from gitops.model.address import Address
from gitops.model.codec import Json, digest_bytes
from gitops.model.diagnostic import Place
from gitops.model.graph import Block
from gitops.plan.item import Preparer
from gitops.plan.order import find_edges
from gitops.providers.registry import PROVIDERS

EXPLANATION_SCHEMA = "gitops/explanation/v1"


@dataclass(frozen=True)
class LayerExplained:
    """One place where a variable is set; the last of a variable wins."""

    source: str
    place: Place
    value: Json


@dataclass(frozen=True)
class VariableExplained:
    """A variable: its value when all references are filled in, and its layers, the winner last."""

    name: str
    value: Json
    layers: tuple[LayerExplained, ...]

    def to_json(self) -> dict[str, Json]:
        """Give `{name, value, layers: [{source, file, line, value, wins}]}`."""
        last = len(self.layers) - 1
        layers: list[Json] = [
            {
                "source": layer.source,
                "file": layer.place.file,
                "line": layer.place.line,
                "value": layer.value,
                "wins": number == last,
            }
            for number, layer in enumerate(self.layers)
        ]
        return {"name": f"vars.{self.name}", "value": self.value, "layers": layers}


@dataclass(frozen=True)
class EdgeExplained:
    """One edge of an address: which way, to what, why, and where it was written (None: automatic)."""

    direction: str
    other: Address
    reason: str
    token: str
    place: Place | None

    def to_json(self) -> dict[str, Json]:
        """Give `{direction, address, reason}` and, when there are any, `token`, `file` and `line`."""
        table: dict[str, Json] = {"direction": self.direction, "address": self.other, "reason": self.reason}
        if self.token:
            table["token"] = self.token
        if self.place is not None:
            table |= {"file": self.place.file, "line": self.place.line}
        return table


@dataclass(frozen=True)
class AddressExplained:
    """A resource: who declares it where, in which block (empty: the host's own part), shared by how many hosts, what that part reads."""

    address: Address
    source: str
    place: Place
    block: str
    sharing: int
    reads: tuple[str, ...]
    edges: tuple[EdgeExplained, ...]

    def to_json(self) -> dict[str, Json]:
        """Give the object of `addresses[]`."""
        return {
            "address": self.address,
            "source": self.source,
            "file": self.place.file,
            "line": self.place.line,
            "block": self.block or None,
            "shared_by": self.sharing,
            "reads": list(self.reads),
            "edges": [edge.to_json() for edge in self.edges],
        }


@dataclass(frozen=True)
class Explanation:
    """All that is known of one host."""

    host: str
    place: Place
    environment: str
    groups: tuple[tuple[str, Place], ...]
    variables: tuple[VariableExplained, ...]
    addresses: tuple[AddressExplained, ...]

    def to_json(self) -> dict[str, Json]:
        """Give the document `gitops/explanation/v1`."""
        groups: list[Json] = [{"name": name, "file": place.file, "line": place.line} for name, place in self.groups]
        return {
            "schema": EXPLANATION_SCHEMA,
            "host": self.host,
            "file": self.place.file,
            "line": self.place.line,
            "environment": self.environment,
            "groups": groups,
            "variables": [item.to_json() for item in self.variables],
            "addresses": [item.to_json() for item in self.addresses],
        }


def explain_host(config: Config, compiled: Compiled, name: str) -> Explanation:
    """Explain one host; raise KeyError when there is none of that name."""
    host = compiled.hosts[name]
    groups = tuple((group.name, group.place) for group in config.groups_of(host.document))
    return Explanation(
        host=name,
        place=host.document.place,
        environment=host.environment,
        groups=groups,
        variables=_explain_variables(config, host),
        addresses=_explain_addresses(compiled, host),
    )


def _explain_variables(config: Config, host: CompiledHost) -> tuple[VariableExplained, ...]:
    values, _ = resolve_variables(host.document, host.layers, config.project.secrets)
    return tuple(
        VariableExplained(
            name,
            to_json(values[name]),
            tuple(LayerExplained(layer.source, layer.node.place, to_json(layer.node)) for layer in layers),
        )
        for name, layers in sorted(host.layers.items())
    )


def _explain_addresses(compiled: Compiled, host: CompiledHost) -> tuple[AddressExplained, ...]:
    edges = _explain_edges(host.placed)
    sharing: dict[int, int] = {}
    for other in compiled.hosts.values():
        for unit in other.units:
            sharing[id(unit)] = sharing.get(id(unit), 0) + (other.environment == host.environment)
    found: list[AddressExplained] = []
    for unit in (*host.units, host.own):
        is_own = unit is host.own
        block = "" if is_own or not unit.placed else _block_digest(unit)
        reads = tuple(sorted(unit.reads))
        for item in unit.placed:
            address = item.resource.address
            count = 1 if is_own else sharing[id(unit)]
            found.append(AddressExplained(address, unit.name, item.place, block, count, reads, edges.get(address, ())))
    return tuple(sorted(found, key=lambda item: item.address))


def _block_digest(unit: Unit) -> str:
    resources = tuple(item.resource for item in unit.placed)
    return digest_bytes(Block(unit.name, resources).to_bytes())


def _explain_edges(placed: Iterable[Placed]) -> Mapping[Address, tuple[EdgeExplained, ...]]:
    known = {item.resource.address: item for item in placed}
    preparer = Preparer(PROVIDERS)
    found: dict[Address, list[EdgeExplained]] = {}
    for edge in find_edges(preparer.prepare_all(item.resource for item in known.values())):
        writer, other = (edge.after, edge.before) if edge.reason == "needs" else (edge.before, edge.after)
        place = None if edge.reason == "automatic" else known[writer].edges.get(other)
        found.setdefault(edge.after, []).append(EdgeExplained("after", edge.before, edge.reason, edge.token, place))
        found.setdefault(edge.before, []).append(EdgeExplained("before", edge.after, edge.reason, edge.token, place))
    return {address: tuple(edges) for address, edges in found.items()}
