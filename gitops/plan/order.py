"""Edges and order: what must come before what on one host.

Edges come from `needs`, from `notify`, and from the tokens of `Provider.relate` (automatic). A wanted path is provided by the
nearest declared ancestor. Otherwise the order is by address, the same everywhere. Pure.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Dict, Iterable, Iterator, List, Mapping, Sequence, Set, Tuple

from gitops.errors import MalformedError
from gitops.model.address import Address
from gitops.model.graph import Graphs
from gitops.model.resource import Resource
from gitops.plan.item import Item, Preparer

REASONS = ("needs", "notify", "automatic")
HOLDING_KINDS = frozenset(("directory", "symlink"))  # what lies in one cannot be there before it


@dataclass(frozen=True, order=True)
class Edge:
    """`before` is done first. `reason` is one of REASONS; `token` names the automatic relation."""

    before: Address
    after: Address
    reason: str
    token: str = ""


@dataclass(frozen=True)
class Arranged:
    """The items of one host in the order in which they are done, and the edges between them."""

    items: Tuple[Item, ...]
    edges: Tuple[Edge, ...]


def arrange(resources: Iterable[Resource], preparer: Preparer) -> Arranged:
    """Prepare and order what one host has; raise MalformedError for whatever no host could plan (C103, C210)."""
    items = preparer.prepare_all(resources)
    edges = find_edges(items)
    return Arranged(order_items(items, edges), edges)


def check_graphs(graphs: Graphs, preparer: Preparer) -> None:
    """Raise MalformedError naming the first host that could not plan what it would get: no such graph may be released."""
    alike: Dict[Tuple[Tuple[str, ...], Tuple[int, ...]], str] = {}
    for host, graph in sorted(graphs.hosts.items()):
        alike.setdefault((graph.blocks, tuple(map(id, graph.resources))), host)
    for host in alike.values():
        try:
            arrange(graphs.resources_of(host), preparer)
        except MalformedError as error:
            raise MalformedError(f"{host} could not plan this: {error.message}", code=error.code) from error


def find_edges(items: Sequence[Item]) -> Tuple[Edge, ...]:
    """List all edges between these items, sorted; references to addresses that are not among them are left out.

    What a person says goes before what is guessed: an automatic edge gives way to `needs` or `notify` the other way round; but for that
    of a folder to what lies in it, which is no guess.
    """
    known = {item.resource.address: item for item in items}
    providers = _providers_of(items)
    edges: Set[Edge] = set()
    for address, item in known.items():
        edges.update(Edge(other, address, "needs") for other in item.resource.needs if other in known)
        edges.update(Edge(address, other, "notify") for other in item.resource.notify if other in known)
        for token in item.relations.wants:
            edges.update(_automatic(item, provider, token) for provider in _providing(token, providers) if provider is not item)
    said = {(edge.after, edge.before) for edge in edges if edge.reason != "automatic"}
    return tuple(
        sorted(
            edge
            for edge in edges
            if edge.reason != "automatic"
            or (edge.before, edge.after) not in said
            or _lies_in(known[edge.after], known[edge.before])
        )
    )


def order_items(items: Sequence[Item], edges: Sequence[Edge]) -> Tuple[Item, ...]:
    """Give the items in an order that keeps every edge; raise MalformedError (C210) naming a cycle when there is none."""
    known = {item.resource.address: item for item in items}
    followers, waiting = _adjacency(known, edges)
    ready = [address for address in known if not waiting[address]]
    heapq.heapify(ready)
    ordered: List[Item] = []
    while ready:
        address = heapq.heappop(ready)
        ordered.append(known[address])
        for follower in followers[address]:
            waiting[follower].discard(address)
            if not waiting[follower]:
                heapq.heappush(ready, follower)
    if len(ordered) < len(known):
        cycle = find_cycle(edges)
        path = " → ".join([edge.before for edge in cycle] + [cycle[0].before])
        raise MalformedError(f"dependency cycle: {path}", code="C210")
    return tuple(ordered)


def find_cycle(edges: Sequence[Edge]) -> Tuple[Edge, ...]:
    """Give the edges of one shortest cycle through the smallest address that lies on any, or nothing; deterministic."""
    outgoing: Dict[Address, List[Edge]] = {}
    for edge in sorted(edges):
        outgoing.setdefault(edge.before, []).append(edge)
    for start in sorted(outgoing):
        found = _path_back(start, outgoing)
        if found:
            return found
    return ()


def close_over(wanted: Sequence[Address], edges: Sequence[Edge]) -> Set[Address]:
    """Give the wanted addresses and all that must come before them (but not what merely notifies them)."""
    before: Dict[Address, List[Address]] = {}
    for edge in edges:
        if edge.reason != "notify":
            before.setdefault(edge.after, []).append(edge.before)
    found: Set[Address] = set()
    stack = list(wanted)
    while stack:
        address = stack.pop()
        if address not in found:
            found.add(address)
            stack.extend(before.get(address, ()))
    return found


def _lies_in(inner: Item, outer: Item) -> bool:
    """Say whether one thing must be there for the other to be made in it."""
    if outer.resource.kind not in HOLDING_KINDS or outer.relations.is_absent or inner.relations.is_absent:
        return False
    return any(path.startswith(f"{folder}/") for folder in outer.relations.owns for path in inner.relations.paths)


def _providers_of(items: Sequence[Item]) -> Mapping[str, List[Item]]:
    found: Dict[str, List[Item]] = {}
    for item in items:
        for token in item.relations.provides:
            found.setdefault(token, []).append(item)
    return found


def _providing(token: str, providers: Mapping[str, List[Item]]) -> Sequence[Item]:
    for candidate in _with_ancestors(token):
        if candidate in providers:
            return providers[candidate]
    return ()


def _with_ancestors(token: str) -> Iterator[str]:
    yield token
    kind, _, path = token.partition(":")
    while kind == "path" and path.count("/") > 1:
        path = path.rpartition("/")[0]
        yield f"path:{path}"


def _automatic(wanting: Item, providing: Item, token: str) -> Edge:
    """What is taken away goes after what wants it, unless that stays up without it: then it is not there when that is looked at."""
    first, second = providing.resource.address, wanting.resource.address
    if (providing.relations.is_absent or providing.relations.is_mask) and not wanting.relations.stays_up:
        first, second = second, first
    return Edge(first, second, "automatic", token)


def _adjacency(
    known: Mapping[Address, Item], edges: Sequence[Edge]
) -> Tuple[Mapping[Address, List[Address]], Dict[Address, Set[Address]]]:
    followers: Dict[Address, List[Address]] = {address: [] for address in known}
    waiting: Dict[Address, Set[Address]] = {address: set() for address in known}
    for edge in edges:
        if edge.before not in waiting[edge.after]:  # two may be joined twice, by a notification and by their kinds
            followers[edge.before].append(edge.after)
            waiting[edge.after].add(edge.before)
    return followers, waiting


def _path_back(start: Address, outgoing: Mapping[Address, Sequence[Edge]]) -> Tuple[Edge, ...]:
    came_by: Dict[Address, Edge] = {}
    level = [start]
    while level:
        following: List[Address] = []
        for address in level:
            for edge in outgoing.get(address, ()):
                if edge.after == start:
                    return _walk_back(edge, start, came_by)
                if edge.after not in came_by:
                    came_by[edge.after] = edge
                    following.append(edge.after)
        level = following
    return ()


def _walk_back(last: Edge, start: Address, came_by: Mapping[Address, Edge]) -> Tuple[Edge, ...]:
    path = [last]
    while path[-1].before != start:
        path.append(came_by[path[-1].before])
    return tuple(reversed(path))
