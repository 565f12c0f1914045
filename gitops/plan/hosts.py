"""Plan the hosts of a fleet by what is touched on each, and once what is touched alike on many.

Takes graphs and observations, gives each host's plan as parts: hosts with equal parts have the same objects. Whatever hangs together on a
host is one part (`gitops.plan.touched`); a part is planned as a host that had nothing else. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from gitops.errors import BugError, MalformedError
from gitops.model.address import Address
from gitops.model.codec import Json
from gitops.model.graph import Graphs
from gitops.model.observation import Observation
from gitops.model.plan import Change, HostPlan
from gitops.model.resource import Resource
from gitops.plan.declared import add_declared, make_compare
from gitops.plan.host import plan_host
from gitops.plan.item import Preparer
from gitops.plan.risk import has_loss, judge_risk
from gitops.plan.textdiff import ReadBlob, add_diffs_by, make_differ
from gitops.plan.touched import Part, Portion, Resources, Sides, Toucher, dump_state

# What a state made up makes of a provider.
UNREADABLE = (BugError, MalformedError, LookupError, TypeError, ValueError, AttributeError, RecursionError)


@dataclass(frozen=True)
class PlannedHost:
    """One host's plan as the parts that it is made of; `unchanged` counts the resources of all of the host."""

    host: str
    observed: Optional[datetime]
    parts: Tuple[HostPlan, ...]
    unchanged: int


def as_one_part(plan: HostPlan) -> PlannedHost:
    """Take a whole plan for one part."""
    return PlannedHost(plan.host, plan.observed, (plan,), plan.unchanged)


class HostsPlanner:
    """The hosts' plans one after another, with what they share: prepared resources, compared contents, planned parts.

    `only` restricts to these addresses and what they need, on the hosts that have one of them; `serial` is the release (0: unknown).
    """

    def __init__(
        self,
        desired: Graphs,
        released: Graphs,
        observations: Mapping[str, Observation],
        preparer: Preparer,
        *,
        only: Sequence[Address] = (),
        serial: int = 0,
    ) -> None:
        self._desired = desired
        self._released = released
        self._observations = observations
        self._preparer = preparer
        self._only = only
        self._serial = serial
        self._missing = set(only)
        self._differ = make_differ(_reader(released, desired))
        self._compare = make_compare()
        self._toucher = Toucher(preparer)
        self._portions: Dict[str, Portion] = {}
        self._planned: Dict[Tuple[object, ...], HostPlan] = {}

    def plan(self, name: str) -> PlannedHost:
        """Plan one host; one that has none of the wanted addresses is left alone."""
        if self._only:
            return self.plan_whole(name)
        observation = self._observations.get(name)
        try:
            return self._plan_parts(name, observation)
        except UNREADABLE:
            return self.plan_whole(name)

    def plan_whole(self, name: str) -> PlannedHost:
        """Plan all that a host has, in one part."""
        before, after = _by_address(self._released.resources_of(name)), _by_address(self._desired.resources_of(name))
        only = tuple(address for address in self._only if address in after)
        self._missing -= set(only)
        if self._only and not only:
            return PlannedHost(name, None, (), 0)
        observation = self._observations.get(name)
        try:
            plan = self._plan(before, after, observation, only)
        except UNREADABLE:
            # A host says what it wants of itself. What cannot be read counts as never observed (all it may need is approved); one host
            # must not stop the plans of the others. A mistake of ours, or of the config, comes again.
            observation = None
            plan = self._plan(before, after, None, only)
        return PlannedHost(name, None if observation is None else observation.at, (plan,), plan.unchanged)

    def check_only(self) -> None:
        """Raise MalformedError for a wanted address that no planned host has."""
        if self._missing:
            raise MalformedError(f"no resource {sorted(self._missing)[0]} on any of these hosts", code="U010")

    def _plan_parts(self, name: str, observation: Optional[Observation]) -> PlannedHost:
        sides = self._divide(name)
        touched = self._toucher.find(sides, observation)
        observed = None if observation is None else observation.at
        if not touched.parts:
            return PlannedHost(name, observed, (), touched.unchanged)
        before, after = _join(sides.before), _join(sides.after)
        parts = tuple(self._plan_part(part, before, after, observation) for part in touched.parts)
        return PlannedHost(name, observed, parts, touched.unchanged + sum(part.unchanged for part in parts))

    def _plan_part(self, part: Part, before: Resources, after: Resources, observation: Optional[Observation]) -> HostPlan:
        old = {address: before[address] for address in part if address in before}
        new = {address: after[address] for address in part if address in after}
        key = (
            *(id(before.get(address)) for address in part),
            *(id(after.get(address)) for address in part),
            _describe_seen(part, (*old.values(), *new.values()), observation),
            self._is_late(observation),
        )
        found = self._planned.get(key)
        if found is None:
            found = self._planned[key] = self._plan(old, new, observation, ())
        return found

    def _plan(self, before: Resources, after: Resources, observation: Optional[Observation], only: Sequence[Address]) -> HostPlan:
        plan = plan_host(
            "", tuple(after.values()), observation=observation, baseline=before, preparer=self._preparer, only=frozenset(only)
        )
        if self._is_late(observation):
            paths = {address: self._preparer.prepare(resource).relations.paths for address, resource in after.items()}
            plan = replace(plan, changes=tuple(_excuse(change, paths.get(change.address, ())) for change in plan.changes))
        plan = add_diffs_by(self._differ, plan, before, after)
        return add_declared(plan, before, after, self._compare, self._differ)

    def _is_late(self, observation: Optional[Observation]) -> bool:
        return observation is not None and 0 < observation.serial < self._serial

    def _divide(self, name: str) -> Sides:
        """Give what the host has on each side; what is its own has one name when nothing of it is declared otherwise."""
        before, after = self._open_all(self._released, name), self._open_all(self._desired, name)
        old, new = _open_own(self._released, name, "before"), _open_own(self._desired, name, "after")
        if self._are_same(old.resources, new.resources):
            new = old
        for own, side in ((old, before), (new, after)):
            if own.resources:
                side[own.name] = own
        return Sides(before, after)

    def _are_same(self, old: Resources, new: Resources) -> bool:
        return old.keys() == new.keys() and all(self._preparer.are_same(item, new[address]) for address, item in old.items())

    def _open_all(self, graphs: Graphs, name: str) -> Dict[str, Portion]:
        graph = graphs.hosts.get(name)
        return {} if graph is None else {digest: self._open(graphs, digest) for digest in graph.blocks}

    def _open(self, graphs: Graphs, digest: str) -> Portion:
        found = self._portions.get(digest)
        if found is None:
            found = self._portions[digest] = _make_portion(digest, graphs.blocks[digest].resources)
        return found


def _make_portion(name: str, resources: Sequence[Resource]) -> Portion:
    return Portion(name, _by_address(resources), any(resource.when for resource in resources))


def _open_own(graphs: Graphs, name: str, side: str) -> Portion:
    graph = graphs.hosts.get(name)
    return _make_portion(f"own of {name} {side}", () if graph is None else graph.resources)


def _describe_seen(part: Part, resources: Sequence[Resource], observation: Optional[Observation]) -> str:
    """Give a text that is equal where the same was seen of all that a part hangs on."""
    if observation is None:
        return ""
    seen: List[Json] = [observation.states.get(address) for address in part]
    for name in sorted({name for resource in resources for name in resource.when}):
        probe = observation.probes.get(name)
        seen.append([name, observation.facts.get(name), None if probe is None else probe.to_json()])
    return dump_state(seen)


def _excuse(change: Change, paths: Sequence[str]) -> Change:
    """Blame nobody for a difference on a host that was seen before it had the release: it may only be late."""
    if change.classification not in ("corrective", "conflict"):
        return change
    classification = "intentional" if change.classification == "conflict" else change.classification
    risk = judge_risk(
        change.address,
        action=change.action,
        classification=classification,
        confidence=change.confidence,
        paths=paths,
        is_lossy=has_loss(change.fields),
    )
    return replace(change, classification=classification, risk=risk, is_behind=True)


def _join(portions: Mapping[str, Portion]) -> Resources:
    return {address: item for portion in portions.values() for address, item in portion.resources.items()}


def _by_address(resources: Sequence[Resource]) -> Dict[Address, Resource]:
    return {resource.address: resource for resource in resources}


def _reader(released: Graphs, desired: Graphs) -> ReadBlob:
    def read(digest: str) -> Optional[bytes]:
        return desired.blobs.get(digest, released.blobs.get(digest))

    return read
