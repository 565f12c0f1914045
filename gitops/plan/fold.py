"""Fold the plans of hosts by change: each change once, with the hosts on which it is equal, dangerous ones first.

Takes what is planned and on which hosts, gives groups (a set of hosts, and the changes that are equal on exactly these) and the parts in
which variants stand. What differs from host to host in content alone is one change, once there are more variants than a person would read
beside each other; conflicts, refusals, what takes something away, and what is more than a low risk, are shown each. Pure, and the same
whatever order things come in.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Dict, Iterable, List, Mapping, Sequence, Tuple

from gitops.model.address import Address
from gitops.model.addressed import ReadPart
from gitops.model.codec import Json, encode_canonical
from gitops.model.fleetplan import ChangeGroup, FleetPlan
from gitops.model.plan import Change, FieldChange, HostPlan, Variation
from gitops.model.variants import Variant, read_index, read_variants, write_variants

ACTION_ORDER = ("refused", "remove", "replace", "run", "update", "create", "restart", "reload")
CLASS_ORDER = ("conflict", "corrective", "intentional", "initial")
SHOWN_VARIANTS = 4
FOLDED_ACTIONS = frozenset(("create", "update"))
CONTENT = frozenset(("content", "declared content"))  # the fields of which a change may have another value on each host

Names = Tuple[str, ...]
Shape = Tuple[object, ...]


@dataclass(frozen=True)
class Share:
    """What is planned alike on these hosts (sorted): a whole host's plan, or a part of it."""

    hosts: Names
    plan: HostPlan


@dataclass(frozen=True)
class Folded:
    """Groups, and the parts that their changes name by digest."""

    groups: Tuple[ChangeGroup, ...] = ()
    parts: Mapping[str, bytes] = field(default_factory=dict[str, bytes])


def fold_plans(plans: Sequence[HostPlan]) -> Folded:
    """Fold whole hosts' plans."""
    return fold_shares([Share((plan.host,), plan) for plan in plans])


def fold_shares(shares: Iterable[Share]) -> Folded:
    """Fold what is planned: the group with the worst change first, then the larger one, then by name."""
    rows = _Rows()
    for share in shares:
        rows.add(share)
    parts: Dict[str, bytes] = {}
    changes: Dict[Names, List[Change]] = {}
    for hosts, change in rows.fold(parts):
        changes.setdefault(hosts, []).append(change)
    unmanaged: Dict[Names, List[Address]] = {}
    for address, sets in rows.unmanaged.items():
        unmanaged.setdefault(_join(sets), []).append(address)
    groups = [
        ChangeGroup(hosts, order_changes(changes.get(hosts, ())), tuple(sorted(unmanaged.get(hosts, ()))))
        for hosts in dict.fromkeys((*changes, *unmanaged))
    ]
    return Folded(tuple(sorted(groups, key=_group_key)), parts)


def open_address(plan: FleetPlan, address: Address) -> Tuple[ChangeGroup, ...]:
    """Give what a plan, with its parts, does at one address, each variant apart, whatever else it does on those hosts left out."""
    groups = (*plan.groups, *plan.silent, *plan.reported)
    rows = ((group.hosts, change) for group in groups for change in group.changes if change.address == address)
    found = [row for hosts, change in rows for row in _open(hosts, change, plan.parts.__getitem__)]
    kept = [group.hosts for group in plan.groups if address in group.unmanaged]
    changed: Dict[Names, List[Change]] = {}
    for hosts, change in found:
        changed.setdefault(hosts, []).append(change)
    opened = [ChangeGroup(hosts, order_changes(changes)) for hosts, changes in changed.items()]
    return tuple(sorted([*opened, *(ChangeGroup(hosts, (), (address,)) for hosts in kept)], key=_group_key))


def _open(hosts: Names, change: Change, read: ReadPart) -> Iterable[Tuple[Names, Change]]:
    if change.differs is None:
        return ((hosts, change),)
    index = read_index(change.differs.index, read)
    return ((item.hosts, item.apply_to(change)) for item in read_variants(index, range(len(index.hosts)), read))


def order_changes(changes: Iterable[Change]) -> Tuple[Change, ...]:
    """Put refused and destructive ones first, then conflicts, then by address; a restart stands behind the rest."""
    return tuple(sorted(changes, key=_change_key))


class _Rows:
    """Changes by shape (all but content) and by content, each with the sets of hosts that have it."""

    def __init__(self) -> None:
        self.unmanaged: Dict[Address, List[Names]] = {}
        self._shapes: Dict[Shape, Dict[Shape, Tuple[Change, List[Names]]]] = {}

    def add(self, share: Share) -> None:
        """Take one in."""
        for address in share.plan.unmanaged:
            self.unmanaged.setdefault(address, []).append(share.hosts)
        for change in share.plan.changes:
            shape, content = _shape_of(change)
            variants = self._shapes.setdefault(shape, {})
            variants.setdefault(content, (change, []))[1].append(share.hosts)

    def fold(self, parts: Dict[str, bytes]) -> Iterable[Tuple[Names, Change]]:
        """Give each change that is shown, with its hosts; what is not shown goes into the parts."""
        for variants in self._shapes.values():
            rows = [(_join(sets), change) for change, sets in variants.values()]
            if len(rows) <= SHOWN_VARIANTS or not _may_fold(rows[0][1]):
                yield from rows
                continue
            rows.sort(key=lambda row: (-len(row[0]), row[0]))
            index, more = write_variants([Variant(hosts, item.after, item.fields, item.diff) for hosts, item in rows])
            parts.update(more)
            hosts, sample = rows[0]
            yield _join([names for names, _ in rows]), replace(sample, differs=Variation(len(rows), hosts[0], index))


def _may_fold(change: Change) -> bool:
    return change.action in FOLDED_ACTIONS and change.classification != "conflict" and change.risk == "low"


def _shape_of(change: Change) -> Tuple[Shape, Shape]:
    """Give all that must be equal for two changes to be variants of one, and the rest."""
    said = [item for item in change.fields if item.name not in CONTENT]
    content = [item for item in change.fields if item.name in CONTENT]
    shape = (
        change.address,
        change.action,
        change.classification,
        change.confidence,
        change.risk,
        change.causes,
        change.reason,
        change.is_upper_bound,
        change.is_behind,
        tuple(item.name for item in change.fields),
        _freeze(said),
    )
    return shape, (change.after, change.diff, _freeze(content))


def _freeze(fields: Sequence[FieldChange]) -> bytes:
    rows: List[Json] = [[item.before, item.after] for item in fields]
    return encode_canonical(rows) if rows else b""


def _join(sets: Sequence[Names]) -> Names:
    return sets[0] if len(sets) == 1 else tuple(sorted({name for names in sets for name in names}))


def _group_key(group: ChangeGroup) -> Tuple[Tuple[int, int], int, Names]:
    worst = min((_change_key(change)[:2] for change in group.changes), default=(len(ACTION_ORDER), 0))
    return worst, -len(group.hosts), group.hosts


def _change_key(change: Change) -> Tuple[int, int, str, str]:
    return (
        ACTION_ORDER.index(change.action),
        CLASS_ORDER.index(change.classification),
        change.address,
        change.action,
    )
