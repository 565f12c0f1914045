"""The plan of one host: what must be done to bring what was observed to what is desired.

Takes resources, an observation (None: never observed, then every answer is an upper bound) and the baseline: what the host was
last approved or made to be. Gives changes in the order they would be made, and the Scope that an approval must cover. Pure.
"""

from __future__ import annotations

from typing import (
    AbstractSet,
    Dict,
    FrozenSet,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from gitops.errors import MalformedError
from gitops.model.address import Address
from gitops.model.facts import is_met
from gitops.model.observation import Observation, State
from gitops.model.plan import Change, Difference, HostPlan
from gitops.model.resource import Resource
from gitops.model.scope import REMOVED, Effect, HostScope, Intent
from gitops.plan.item import Item, Preparer
from gitops.plan.laws import check_difference
from gitops.plan.order import Edge, close_over, find_edges, order_items
from gitops.plan.risk import judge_risk

Baseline = Mapping[Address, Resource]

UNSETTLING_KINDS = frozenset(("package", "command"))


def plan_host(
    host: str,
    resources: Sequence[Resource],
    *,
    observation: Optional[Observation],
    baseline: Baseline,
    preparer: Preparer,
    only: AbstractSet[Address] = frozenset(),
) -> HostPlan:
    """Plan one host. `only` restricts to these addresses and what they need; unknown ones raise MalformedError."""
    items = preparer.prepare_all(resources)
    edges = find_edges(items)
    wanted = _select(items, edges, only)
    planning = _Planning(observation, baseline, preparer, edges)
    for item in order_items(items, edges):
        if item.resource.address in wanted:
            planning.visit(item)
    known = {item.resource.address for item in items}
    unmanaged = () if only else tuple(sorted(address for address in baseline if address not in known))
    intents = find_intents(
        [item.resource for item in items if item.resource.address in wanted],
        baseline,
        preparer,
    )
    return HostPlan(
        host=host,
        observed=None if observation is None else observation.at,
        changes=tuple(planning.changes),
        unchanged=planning.unchanged,
        unmanaged=unmanaged,
        reported=tuple(planning.reported),
        implied=tuple(planning.implied[address] for address in sorted(planning.implied)),
        scope=HostScope(
            intents | frozenset((address, REMOVED) for address in unmanaged),
            frozenset(planning.effects),
        ),
    )


def find_intents(resources: Sequence[Resource], baseline: Baseline, preparer: Preparer) -> FrozenSet[Intent]:
    """Give (address, desired digest) of every resource that the baseline does not already desire exactly so."""
    found: Set[Intent] = set()
    for resource in resources:
        before = baseline.get(resource.address)
        if before is None or preparer.desired_of(before) != preparer.desired_of(resource):
            found.add((resource.address, preparer.desired_of(resource)))
    return frozenset(found)


class _Planning:
    """One walk over a host's items in order; keeps what earlier items mean for later ones."""

    def __init__(
        self,
        observation: Optional[Observation],
        baseline: Baseline,
        preparer: Preparer,
        edges: Sequence[Edge],
    ) -> None:
        self.changes: List[Change] = []
        self.reported: List[Change] = []
        self.implied: Dict[Address, Resource] = {}
        self.effects: Set[Effect] = set()
        self.unchanged = 0
        self._observation = observation
        self._baseline = baseline
        self._preparer = preparer
        self._before: Dict[Address, List[Edge]] = {}
        for edge in edges:
            self._before.setdefault(edge.after, []).append(edge)
        self._changed: Dict[Address, Tuple[str, str]] = {}
        self._refused: Set[Address] = set()

    def visit(self, item: Item) -> None:
        """Plan one item, given what was planned for those before it."""
        address = item.resource.address
        if self._observation is not None and not is_met(item.resource.when, self._observation.facts):
            return
        if self._is_blocked(item):
            return
        state = None if self._observation is None else self._observation.states.get(address)
        if state is None:
            self._expect_anything(item)
            return
        difference = item.provider.diff(item.spec, state)
        classification = self._classify(item, state)
        is_planned = difference is not None and self._plan_own(item, check_difference(address, difference), classification)
        if not self._plan_refresh(item, difference) and not is_planned:
            self.unchanged += 1

    def _is_blocked(self, item: Item) -> bool:
        address = item.resource.address
        blocking = [
            edge.before for edge in self._before.get(address, ()) if edge.before in self._refused and edge.reason != "notify"
        ]
        if blocking:
            reason = f"depends on {blocking[0]}, which is refused"
            self._refuse(address, reason, self._class_by_graph(item), causes=(blocking[0],))
        return bool(blocking)

    def _refuse(
        self,
        address: Address,
        reason: str,
        classification: str,
        *,
        causes: Tuple[Address, ...] = (),
    ) -> None:
        self._refused.add(address)
        self.changes.append(Change(address, "refused", classification, causes=causes, reason=reason))

    def _plan_own(self, item: Item, difference: Difference, classification: str) -> bool:
        address = item.resource.address
        if difference.action == "refused":
            self._refuse(address, difference.reason, classification)
            return True
        change = self._make_change(item, difference, classification)
        if classification == "corrective" and item.resource.drift == "report":
            self.reported.append(change)
            return True
        for parent in difference.implied:
            self._plan_parent(parent, change)
        self._record(change)
        return True

    def _make_change(self, item: Item, difference: Difference, classification: str) -> Change:
        address, confidence = item.resource.address, difference.confidence
        if confidence == "exact" and self._is_unsettled(address):
            confidence = "conditional"
        return Change(
            address=address,
            action=difference.action,
            classification=classification,
            confidence=confidence,
            risk=judge_risk(
                address,
                action=difference.action,
                classification=classification,
                confidence=confidence,
            ),
            after="" if difference.action == "remove" else item.resource.after,
            fields=difference.fields,
            causes=self._notifiers(address) if difference.action == "run" else (),
            reason=difference.reason,
        )

    def _plan_parent(self, parent: Resource, child: Change) -> None:
        address = parent.address
        if address in self.implied or address in self._changed:
            return
        self.implied[address] = parent
        risk = judge_risk(
            address,
            action="create",
            classification=child.classification,
            confidence="exact",
        )
        reason = f"parent of {child.address}"
        self._record(
            Change(
                address,
                "create",
                child.classification,
                risk=risk,
                after=parent.after,
                causes=(child.address,),
                reason=reason,
            )
        )

    def _plan_refresh(self, item: Item, difference: Optional[Difference]) -> bool:
        address, refresh = item.resource.address, item.relations.refresh
        causes = self._notifiers(address)
        if not causes or not refresh or address in self._refused or _absorbs_refresh(difference):
            return False
        classes = {self._changed[cause][0] for cause in causes}
        classification = "corrective" if classes == {"corrective"} else self._class_of_cause(classes)
        self._record(
            Change(
                address=address,
                action=refresh,
                classification=classification,
                confidence="conditional",
                risk=judge_risk(
                    address,
                    action=refresh,
                    classification=classification,
                    confidence="conditional",
                ),
                after=item.resource.after if refresh == "run" else "",
                causes=causes,
                reason="because " + ", ".join(causes) + (" changes" if len(causes) == 1 else " change"),
            )
        )
        return True

    def _expect_anything(self, item: Item) -> None:
        """Plan an address never observed: one line, and every effect that it may need; none when it was approved before."""
        address, classification = item.resource.address, self._class_by_graph(item)
        possible = [] if classification == "corrective" else list(item.provider.bound(item.spec))
        for one in possible:
            self._add_effect(one.resource or item.resource, one.verb)
        if self._notifiers(address) and item.relations.refresh:
            self._add_effect(item.resource, item.relations.refresh)
        if not possible:
            self.unchanged += 1
            return
        verb = possible[0].verb
        change = Change(
            address=address,
            action="create" if verb == "set" else verb,
            classification=classification,
            confidence="conditional",
            risk=judge_risk(
                address,
                action="create",
                classification=classification,
                confidence="conditional",
            ),
            after="" if verb == "remove" else item.resource.after,
            reason="never observed here: at most this",
            is_upper_bound=True,
        )
        self.changes.append(change)
        self._changed[address] = (classification, change.action)

    def _add_effect(self, resource: Resource, verb: str) -> None:
        after = resource.after if verb in ("set", "replace", "run") else ""
        self.effects.add((resource.address, verb, after))

    def _record(self, change: Change) -> None:
        self.changes.append(change)
        self._changed.setdefault(change.address, (change.classification, change.action))
        if change.classification != "corrective":
            self.effects.add((change.address, change.verb, change.after))

    def _notifiers(self, address: Address) -> Tuple[Address, ...]:
        edges = self._before.get(address, ())
        return tuple(edge.before for edge in edges if edge.reason == "notify" and edge.before in self._changed)

    def _is_unsettled(self, address: Address) -> bool:
        edges = self._before.get(address, ())
        return any(edge.before in self._changed and edge.before.partition(":")[0] in UNSETTLING_KINDS for edge in edges)

    def _class_by_graph(self, item: Item) -> str:
        before = self._baseline.get(item.resource.address)
        if before is None:
            return "initial"
        same = self._preparer.desired_of(before) == self._preparer.desired_of(item.resource)
        return "corrective" if same else "intentional"

    def _classify(self, item: Item, state: State) -> str:
        by_graph = self._class_by_graph(item)
        if by_graph != "intentional":
            return by_graph
        before = self._preparer.prepare(self._baseline[item.resource.address])
        drift = before.provider.diff(before.spec, state)
        return "intentional" if drift is None or drift.confidence != "exact" else "conflict"

    @staticmethod
    def _class_of_cause(classes: Set[str]) -> str:
        return next(name for name in ("conflict", "intentional", "initial") if name in classes)


def _absorbs_refresh(difference: Optional[Difference]) -> bool:
    return difference is not None and (difference.is_refresh or difference.action == "run")


def _select(items: Sequence[Item], edges: Sequence[Edge], only: AbstractSet[Address]) -> AbstractSet[Address]:
    known = {item.resource.address for item in items}
    missing = sorted(only - known)
    if missing:
        raise MalformedError(f"no resource {missing[0]} on this host", code="U010")
    return close_over(sorted(only), edges) if only else known
