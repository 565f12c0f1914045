"""Checks of whole hosts, made quick: what units say of themselves is found once, and a host is judged by how its units fit together.

Takes a host's units, gives the diagnostics of `check_host`. Sound is what certainly has no mistake: addresses and owned paths are
distinct, references lead somewhere, and the units hang together without a circle even if every possible automatic edge is
counted. Whatever is not certainly sound is checked in full, so that this can be wrong in one direction only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gitops.compile.checks import check_host
from gitops.compile.unit import Placed, Unit
from gitops.model.diagnostic import Diagnostic
from gitops.plan.item import Item, Preparer


@dataclass(frozen=True)
class _Links:
    """How a resource, or a unit, hangs together with others; `wants` counts every ancestor of a wanted path, `survives` are those of
    what stays up without them: which comes first is then not said here.
    """

    addresses: frozenset[str]
    needs: frozenset[str]
    notify: frozenset[str]
    provides: frozenset[str]
    removes: frozenset[str]
    wants: frozenset[str]
    survives: frozenset[str]


@dataclass(frozen=True)
class _Summary:
    """A unit as others see it."""

    links: _Links
    owns: frozenset[str]
    edits: frozenset[str]
    is_sound: bool


class HostChecker:
    """Checks the hosts of one compile; remembers each unit, and sets of units that were sound."""

    def __init__(self, preparer: Preparer) -> None:
        self._preparer = preparer
        self._summaries: dict[int, tuple[Unit, _Summary]] = {}
        self._wants: dict[str, tuple[str, ...]] = {}

    def check(self, host: str, units: Sequence[Unit], lost: frozenset[str]) -> list[Diagnostic]:
        """Find every mistake in what one host would get."""
        if _is_sound([self._summary(unit) for unit in units if unit.placed]):
            return []
        placed: list[Placed] = [item for unit in units for item in unit.placed]
        return check_host(host, placed, self._preparer, lost)

    def _summary(self, unit: Unit) -> _Summary:
        found = self._summaries.get(id(unit))
        if found is None:
            found = self._summaries[id(unit)] = (unit, self._summarise(unit))
        return found[1]

    def _summarise(self, unit: Unit) -> _Summary:
        items = [self._preparer.prepare(item.resource) for item in unit.placed]
        links = [self._link(item) for item in items]
        owns = [path for item in items for path in item.relations.owns]
        whole = _Links(
            frozenset(item.resource.address for item in unit.placed),
            frozenset[str]().union(*(item.needs for item in links)),
            frozenset[str]().union(*(item.notify for item in links)),
            frozenset[str]().union(*(item.provides for item in links)),
            frozenset[str]().union(*(item.removes for item in links)),
            frozenset[str]().union(*(item.wants for item in links)),
            frozenset[str]().union(*(item.survives for item in links)),
        )
        edits = frozenset(path for item in items for path in item.relations.edits)
        is_distinct = len(whole.addresses) == len(links) and len(set(owns)) == len(owns)
        return _Summary(whole, frozenset(owns), edits, is_distinct and _is_acyclic(links))

    def _link(self, item: Item) -> _Links:
        relations = item.relations
        provided = frozenset(relations.provides)
        is_leaving = relations.is_absent or relations.is_mask
        wants = frozenset(one for token in relations.wants for one in self._with_ancestors(token))
        return _Links(
            frozenset((item.resource.address,)),
            frozenset(item.resource.needs),
            frozenset(item.resource.notify),
            frozenset() if is_leaving else provided,
            provided if is_leaving else frozenset(),
            wants,
            wants if relations.stays_up else frozenset(),
        )

    def _with_ancestors(self, token: str) -> tuple[str, ...]:
        found = self._wants.get(token)
        if found is None:
            kind, _, path = token.partition(":")
            parts = path.split("/")[1:] if kind == "path" else []
            above = [f"path:/{'/'.join(parts[:count])}" for count in range(1, len(parts))]
            found = self._wants[token] = (token, *above)
        return found


def _is_sound(parts: Sequence[_Summary]) -> bool:
    if not all(part.is_sound for part in parts):
        return False
    if not _are_distinct([part.owns for part in parts]) or not _are_distinct([part.links.addresses for part in parts]):
        return False
    owned = frozenset[str]().union(*(part.owns for part in parts))
    if any(part.edits & owned for part in parts):
        return False
    known = frozenset[str]().union(*(part.links.addresses for part in parts))
    if not all(part.links.needs <= known and part.links.notify <= known for part in parts):
        return False
    return _is_acyclic([part.links for part in parts])


def _are_distinct(sets: Sequence[frozenset[str]]) -> bool:
    return len(frozenset[str]().union(*sets)) == sum(map(len, sets))


def _is_acyclic(parts: Sequence[_Links]) -> bool:
    """Say whether the parts certainly can be ordered; guessed edges within a part do not count, and a resource that names itself does."""
    if any(len(part.addresses) == 1 and part.addresses & (part.needs | part.notify) for part in parts):
        return False
    owner = {address: number for number, part in enumerate(parts) for address in part.addresses}
    after: list[set[int]] = [set() for _ in parts]
    _add_automatic(parts, after)
    for number, part in enumerate(parts):
        after[number].update(owner[address] for address in part.needs if address in owner)
        for address in part.notify:
            if address in owner:
                after[owner[address]].add(number)
    return _can_be_ordered(after)


def _add_automatic(parts: Sequence[_Links], after: list[set[int]]) -> None:
    providers, removers = _owners(part.provides for part in parts), _owners(part.removes for part in parts)
    for number, part in enumerate(parts):
        for token in part.wants & providers.keys():
            after[number].update(providers[token])
        for token in part.wants & removers.keys() if removers else ():
            for other in removers[token]:
                after[other].add(number)
        for token in part.survives & removers.keys() if removers else ():
            after[number].update(removers[token])


def _owners(sets: Iterable[frozenset[str]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for number, tokens in enumerate(sets):
        for token in tokens:
            found.setdefault(token, []).append(number)
    return found


def _can_be_ordered(after: list[set[int]]) -> bool:
    left = {number: others - {number} for number, others in enumerate(after)}
    while left:
        ready = [number for number, others in left.items() if not others]
        if not ready:
            return False
        for number in ready:
            del left[number]
        for others in left.values():
            others.difference_update(ready)
    return True
