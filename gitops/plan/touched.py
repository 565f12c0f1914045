"""What of a host a plan touches: the addresses that differ, and whatever hangs together with them, apart from each other.

Takes the blocks of a host before and after, and what was observed; gives the parts that must be planned and how many resources stay as
they are. Two parts of a host have no edge, no missing parent folder and no brought path in common, so that each can be planned alone, and
once for all hosts on which it is the same. What is shared between hosts is looked at once. Pure.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from gitops.model.address import Address, list_above
from gitops.model.observation import Observation, State
from gitops.model.resource import Resource
from gitops.plan.condition import judge_when
from gitops.plan.item import Item, Preparer
from gitops.plan.order import find_edges

Resources = Mapping[Address, Resource]
# Text tells 1 from true, which Python's own comparison does not.
dump_state = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
Part = Tuple[Address, ...]
Implied = Tuple[str, Address]  # a folder that is not there, and what would make it


@dataclass(frozen=True)
class Portion:
    """Resources that a host has together: a block, or those of the host alone. `name` is the same for the same resources."""

    name: str
    resources: Resources
    has_when: bool


@dataclass(frozen=True)
class Sides:
    """The portions of one host, before and after, by name."""

    before: Mapping[str, Portion]
    after: Mapping[str, Portion]


@dataclass(frozen=True)
class Touched:
    """The parts of one host that are planned, each sorted; `unchanged` counts the resources of no part that are as they should be."""

    parts: Tuple[Part, ...]
    unchanged: int


class Toucher:
    """See the module; keeps what hosts share, for one plan of a fleet."""

    def __init__(self, preparer: Preparer) -> None:
        self._preparer = preparer
        self._quiet: Dict[int, Tuple[Resource, str]] = {}
        self._implied: Dict[int, Tuple[Resource, str, Tuple[str, ...]]] = {}
        self._differing: Dict[Tuple[FrozenSet[str], FrozenSet[str]], Tuple[FrozenSet[Address], Resources]] = {}
        self._signatures: Dict[str, int] = {}
        self._known: Dict[Tuple[object, ...], int] = {}
        self._parts: Dict[Tuple[object, ...], Tuple[Part, ...]] = {}

    def find(self, sides: Sides, observation: Optional[Observation]) -> Touched:
        """Find what is touched. Raises what a provider raises of a state that was made up."""
        kept = [portion for name, portion in sides.after.items() if name in sides.before]
        differing, same = self._compare(sides)
        touched: Set[Address] = set(differing)
        counted: Dict[Address, int] = {}
        unchanged = 0
        for portion in kept:
            if observation is not None and portion.name in observation.as_released and not portion.has_when:
                unchanged += len(portion.resources)
            else:
                unchanged += self._look(portion.resources, observation, touched, counted)
        unchanged += self._look(same, observation, touched, counted)
        if not touched:
            return Touched((), unchanged)
        parts = self._find_parts(sides, touched, observation)
        untouched = (address for part in parts for address in part if address not in touched)
        # What was counted without a look counts for one: a block that is as released has no conditions.
        return Touched(parts, unchanged - sum(counted.get(address, 1) for address in untouched))

    def _compare(self, sides: Sides) -> Tuple[FrozenSet[Address], Resources]:
        """Give the addresses that only one side has or that are declared otherwise, and what stands in another portion unchanged."""
        gone = frozenset(name for name in sides.before if name not in sides.after)
        come = frozenset(name for name in sides.after if name not in sides.before)
        found = self._differing.get((gone, come))
        if found is None:
            before = {address: item for name in gone for address, item in sides.before[name].resources.items()}
            after = {address: item for name in come for address, item in sides.after[name].resources.items()}
            same = {
                address: item
                for address, item in after.items()
                if address in before and self._preparer.are_same(before[address], item)
            }
            found = frozenset(address for address in (*before, *after) if address not in same), same
            self._differing[gone, come] = found
        return found

    def _look(
        self, resources: Resources, observation: Optional[Observation], touched: Set[Address], counted: Dict[Address, int]
    ) -> int:
        """Count what is as it should be, and add what is not; what is declared as before and was never observed stays as it is."""
        if observation is None:
            return len(resources)
        total = 0
        for address, resource in resources.items():
            count = self._look_at(resource, observation)
            if count is None:
                touched.add(address)
            else:
                counted[address] = count
                total += count
        return total

    def _look_at(self, resource: Resource, observation: Observation) -> Optional[int]:
        """Give how many a resource counts for among those that stay as they are; None when it does not."""
        if resource.when:
            condition = judge_when(resource, observation)
            if condition.state in ("unmet", "failed"):
                return None if condition.state == "failed" else 0
        state = observation.states.get(resource.address)
        if state is None:
            return 1
        seen = dump_state(state)
        known = self._quiet.get(id(resource))
        if known is not None and known[1] == seen:
            return 1
        item = self._preparer.prepare(resource)
        if item.diff(item.provider.foresee(item.spec, state, ())) is not None:
            return None
        self._quiet[id(resource)] = (resource, seen)
        return 1

    def _find_parts(self, sides: Sides, touched: Set[Address], observation: Optional[Observation]) -> Tuple[Part, ...]:
        missing: FrozenSet[Implied] = frozenset()
        if observation is not None:
            missing = frozenset(
                (folder, address)
                for portion in sides.after.values()
                for address in touched.intersection(portion.resources)
                for folder in self._find_implied(portion.resources[address], observation.states.get(address))
            )
        signature = tuple(sorted(self._sign(portion) for portion in sides.after.values()))
        key = (signature, frozenset(touched), missing)
        found = self._parts.get(key)
        if found is None:
            found = self._parts[key] = self._join(sides, touched, missing)
        return found

    def _find_implied(self, resource: Resource, state: Optional[State]) -> Tuple[str, ...]:
        """Name the folders that would have to be made for it."""
        if state is None:
            return ()
        seen = dump_state(state)
        known = self._implied.get(id(resource))
        if known is None or known[1] != seen:
            item = self._preparer.prepare(resource)
            difference = item.diff(item.provider.foresee(item.spec, state, ()))
            implied = () if difference is None else tuple(folder.name for folder in difference.implied)
            known = self._implied[id(resource)] = (resource, seen, implied)
        return known[2]

    def _sign(self, portion: Portion) -> int:
        """Give a number that is equal for portions whose resources have equal addresses and relations."""
        found = self._signatures.get(portion.name)
        if found is None:
            rows = tuple(sorted(self._preparer.relate(resource) for resource in portion.resources.values()))
            found = self._signatures[portion.name] = self._known.setdefault(rows, len(self._known))
        return found

    def _join(self, sides: Sides, touched: Set[Address], missing: FrozenSet[Implied]) -> Tuple[Part, ...]:
        resources = [resource for portion in sides.after.values() for resource in portion.resources.values()]
        items = self._preparer.prepare_all(resources)
        joins = [(edge.before, edge.after) for edge in find_edges(items)]
        joins.extend(_join_below(items, missing))
        joins.extend(_join_brought(items, touched, missing))
        return tuple(sorted(_find_joined(touched, joins)))


def _join_below(items: Sequence[Item], missing: FrozenSet[Implied]) -> Iterable[Tuple[Address, Address]]:
    """Join all that lie in, or are, or would make, one folder that is not there: who comes first makes it."""
    first: Dict[str, Address] = {}
    for folder, address in sorted(missing):
        yield first.setdefault(folder, address), address
    for item in items:
        for path in item.relations.paths:
            for folder in first.keys() & {path, *list_above(path)}:
                yield first[folder], item.resource.address


def _join_brought(items: Sequence[Item], touched: Set[Address], missing: FrozenSet[Implied]) -> Iterable[Tuple[Address, Address]]:
    """Join each that may bring a path with all that lies there, or makes a folder there."""
    bringers: Dict[str, List[Address]] = {}
    for item in items:
        if item.resource.address in touched:
            for path in item.relations.brings:
                bringers.setdefault(path, []).append(item.resource.address)
    if not bringers:
        return
    places = [(path, item.resource.address) for item in items for path in item.relations.paths]
    for path, address in (*places, *missing):
        for place in (path, *list_above(path)):
            for bringer in bringers.get(place, ()):
                yield bringer, address


def _find_joined(touched: Set[Address], joins: Iterable[Tuple[Address, Address]]) -> List[Part]:
    """Give the connected sets that hold something touched; what is there no longer hangs on nothing."""
    beside: Dict[Address, List[Address]] = {}
    for one, other in joins:
        beside.setdefault(one, []).append(other)
        beside.setdefault(other, []).append(one)
    seen: Set[Address] = set()
    parts: List[Part] = []
    for start in touched:
        if start in seen:
            continue
        part: List[Address] = []
        stack = [start]
        while stack:
            address = stack.pop()
            if address not in seen:
                seen.add(address)
                part.append(address)
                stack.extend(beside.get(address, ()))
        parts.append(tuple(sorted(part)))
    return parts
