"""What two sets of graphs want differently, without asking any host: resources added, removed or declared otherwise.

Takes compiled graphs, gives groups of hosts with the same changes, attributes and edges by name, Git's content as a diff. Pure, and
the same whatever order things come in. Content with secrets or declared sensitive is named, never shown. Not used by the executor.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, List, Optional, Sequence, Tuple, cast

from gitops.model.address import Address
from gitops.model.codec import Json, encode_canonical
from gitops.model.graph import Graphs
from gitops.model.plan import FieldChange, HostPlan
from gitops.model.resource import Resource
from gitops.plan.declared import compare_declared
from gitops.plan.textdiff import Differ, make_differ

DIFF_SCHEMA = "gitops/diff/v1"
CHANGES: Tuple[str, ...] = ("removed", "changed", "added")


@dataclass(frozen=True)
class ResourceDiff:
    """One address whose declaration differs; `change` is one of CHANGES."""

    address: Address
    change: str
    fields: Tuple[FieldChange, ...] = ()
    diff: Tuple[str, ...] = ()

    def to_json(self) -> Dict[str, Json]:
        """Give `{address, change, fields, diff}`."""
        fields = [item.to_json() for item in self.fields]
        return {"address": self.address, "change": self.change, "fields": fields, "diff": list(self.diff)}


@dataclass(frozen=True)
class DiffGroup:
    """The same differences on all these hosts (sorted); WHOLE alone: of the environment itself."""

    hosts: Tuple[str, ...]
    changes: Tuple[ResourceDiff, ...]

    def to_json(self) -> Dict[str, Json]:
        """Give `{hosts, changes}`."""
        return {"hosts": list(self.hosts), "changes": [item.to_json() for item in self.changes]}


@dataclass(frozen=True)
class GraphsDiff:
    """One environment's differences. `entered` and `left` are hosts that only one side has; `hosts` counts those of both."""

    environment: str
    groups: Tuple[DiffGroup, ...] = ()
    entered: Tuple[str, ...] = ()
    left: Tuple[str, ...] = ()
    hosts: int = 0

    @property
    def is_empty(self) -> bool:
        """Say whether both sides want the same."""
        return not (self.groups or self.entered or self.left)

    def to_json(self) -> Dict[str, Json]:
        """Give the object of `environments[]` in `gitops/diff/v1`."""
        return {
            "environment": self.environment,
            "groups": [group.to_json() for group in self.groups],
            "entered": list(self.entered),
            "left": list(self.left),
            "hosts": self.hosts,
        }


def diff_graphs(before: Graphs, after: Graphs, *, only_hosts: Optional[Sequence[str]] = None) -> GraphsDiff:
    """Compare two sets of graphs of one environment, on these hosts only when they are given."""
    names = sorted(set(before.hosts) | set(after.hosts))
    if only_hosts is not None:
        chosen = set(only_hosts)
        names = [name for name in names if name in chosen]
    comparing = _Comparing(before, after)
    found: Dict[bytes, Tuple[List[str], Tuple[ResourceDiff, ...]]] = {}
    for name in names:
        changes = comparing.compare(name)
        if changes:
            key = encode_canonical([change.to_json() for change in changes])
            found.setdefault(key, ([], changes))[0].append(name)
    groups = [DiffGroup(tuple(hosts), changes) for hosts, changes in found.values()]
    return GraphsDiff(
        environment=after.environment,
        groups=tuple(sorted(groups, key=lambda group: (-len(group.hosts), group.hosts))),
        entered=tuple(name for name in names if name not in before.hosts),
        left=tuple(name for name in names if name not in after.hosts),
        hosts=len(names),
    )


def add_routing(item: GraphsDiff, rerouting: HostPlan) -> GraphsDiff:
    """Give one environment's differences with that of how it is routed, judged and reached in front, under the plan's name for it."""
    changes = tuple(
        ResourceDiff(change.address, "added" if change.action == "create" else "changed", change.fields)
        for change in rerouting.changes
    )
    return replace(item, groups=(DiffGroup((rerouting.host,), changes), *item.groups))


class _Comparing:
    """Two sets of graphs; what hosts share is compared once."""

    def __init__(self, before: Graphs, after: Graphs) -> None:
        self._before = before
        self._after = after
        self._differ: Differ = make_differ(lambda digest: after.blobs.get(digest, before.blobs.get(digest)))
        self._known: Dict[Tuple[int, int], Tuple[Optional[Resource], Optional[Resource], Optional[ResourceDiff]]] = {}

    def compare(self, host: str) -> Tuple[ResourceDiff, ...]:
        """Give one host's differences: removed, changed, added, each by address."""
        old = {item.address: item for item in self._before.resources_of(host)}
        new = {item.address: item for item in self._after.resources_of(host)}
        pairs = ((old.get(address), new.get(address)) for address in sorted(set(old) | set(new)))
        found = [change for one, other in pairs for change in (self._compare_one(one, other),) if change is not None]
        return tuple(sorted(found, key=lambda change: (CHANGES.index(change.change), change.address)))

    def _compare_one(self, old: Optional[Resource], new: Optional[Resource]) -> Optional[ResourceDiff]:
        key = (id(old), id(new))
        if key not in self._known:
            self._known[key] = (old, new, self._make(old, new))
        return self._known[key][2]

    def _make(self, old: Optional[Resource], new: Optional[Resource]) -> Optional[ResourceDiff]:
        if old is None and new is not None:
            return ResourceDiff(new.address, "added", compare_declared(None, new), self._differ(None, new))
        if old is not None and new is None:
            return ResourceDiff(old.address, "removed")
        one, other = cast(Resource, old), cast(Resource, new)
        if one.to_json() == other.to_json():
            return None
        return ResourceDiff(one.address, "changed", compare_declared(one, other), self._differ(one, other))
