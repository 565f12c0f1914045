"""Laws of one host's whole set of resources: one address once, one owner for a path, references that exist, no cycles."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gitops.compile.unit import EVERYTHING, Placed
from gitops.config.reader import suggest
from gitops.model.address import Address
from gitops.model.diagnostic import Diagnostic
from gitops.plan.item import Preparer
from gitops.plan.order import Edge, find_cycle, find_edges


def check_host(host: str, placed: Sequence[Placed], preparer: Preparer, lost: Collection[str] = ()) -> list[Diagnostic]:
    """Find every mistake in what one host would get; of references to `lost` resources nothing is said."""
    found = _check_addresses(placed)
    if EVERYTHING not in lost:
        found.extend(_check_references(host, placed, lost))
    unique = list({item.resource.address: item for item in placed}.values())
    found.extend(_check_owners(unique, preparer))
    edges = find_edges(preparer.prepare_all(item.resource for item in unique))
    cycle = find_cycle(edges)
    if cycle:
        found.append(_describe_cycle(cycle, unique))
    return found


def _check_addresses(placed: Sequence[Placed]) -> list[Diagnostic]:
    first: dict[Address, Placed] = {}
    found: list[Diagnostic] = []
    for item in placed:
        other = first.setdefault(item.resource.address, item)
        if other is not item:
            places = sorted((other.place, item.place))
            message = f"`{item.resource.address}` is declared twice for one host"
            found.append(Diagnostic("C202", message, places[1], related=(places[0],), hint="keep one"))
    return found


def _check_owners(placed: Sequence[Placed], preparer: Preparer) -> list[Diagnostic]:
    owners: dict[str, Placed] = {}
    found: list[Diagnostic] = []
    for item in placed:
        for path in preparer.prepare(item.resource).relations.owns:
            other = owners.setdefault(path, item)
            if other is not item:
                first, second = sorted((other, item), key=lambda one: one.place)
                message = f"{path} has two owners: {first.resource.address} and {second.resource.address}"
                found.append(Diagnostic("C203", message, second.place, related=(first.place,), hint="keep one"))
    for item in placed:
        for path in preparer.prepare(item.resource).relations.edits:
            owner = owners.get(path)
            if owner is not None:
                message = f"{path} is owned by {owner.resource.address} and edited by {item.resource.address}"
                hint = "write the whole file, or let every part of it be edited"
                found.append(Diagnostic("C203", message, item.place, related=(owner.place,), hint=hint))
    return found


def _check_references(host: str, placed: Sequence[Placed], lost: Collection[str]) -> list[Diagnostic]:
    known = {item.resource.address for item in placed}
    found: list[Diagnostic] = []
    for item in placed:
        for address, place in item.edges.items():
            if address not in known and address not in lost:
                message = f"{item.resource.address} refers to `{address}`, which {host} does not have"
                found.append(Diagnostic("C201", message, place, hint=suggest(address, known), width=len(address)))
    return found


def _describe_cycle(cycle: Sequence[Edge], placed: Sequence[Placed]) -> Diagnostic:
    by_address = {item.resource.address: item for item in placed}
    path = " → ".join([*(edge.before for edge in cycle), cycle[0].before])
    places = sorted(
        {
            place
            for edge in cycle
            for item in (by_address[edge.before], by_address[edge.after])
            for address, place in item.edges.items()
            if address in (edge.before, edge.after)
        }
    )
    place = places[0] if places else by_address[cycle[0].before].place
    notes = (path, "remove one of: " + ", ".join(str(item) for item in places)) if places else (path,)
    return Diagnostic("C210", "dependency cycle", place, notes=notes)
