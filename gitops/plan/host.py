"""The plan of one host: what must be done to bring what was observed to what is desired.

Takes resources, an observation (None: never observed, then every answer is an upper bound) and the baseline: what the host was
last approved or made to be. Gives changes in the order they would be made, and the Scope that an approval must cover. Pure.
"""

from __future__ import annotations

from dataclasses import replace
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
from gitops.model.address import Address, list_above, make_address
from gitops.model.observation import Observation, State
from gitops.model.plan import Change, Difference, HostPlan
from gitops.model.resource import Resource
from gitops.model.scope import REMOVED, Effect, HostScope, Intent
from gitops.plan.condition import MET, Condition, judge_when
from gitops.plan.item import Item, Preparer
from gitops.plan.laws import check_difference
from gitops.plan.order import Edge, arrange, close_over
from gitops.plan.risk import has_loss, judge_risk
from gitops.providers.base import Foreseen

Baseline = Mapping[Address, Resource]

UNSETTLING_KINDS = frozenset(("package", "command"))
CLEARING_KINDS = UNSETTLING_KINDS | {"mount", "external"}  # what may take an obstacle away
STATEFUL_VERBS = ("set", "replace", "run")


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
    arranged = arrange(resources, preparer)
    items, edges = arranged.items, arranged.edges
    wanted = _select(items, edges, only)
    planning = _Planning(observation, baseline, preparer, edges)
    planning.items = items
    for item in items:
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
        notes=planning.notes,
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
        if before is None or not preparer.are_same(before, resource):
            found.add((resource.address, preparer.desired_of(resource)))
    return frozenset(found)


class _Planning:
    """One walk over a host's items in order; keeps what earlier items mean for later ones.

    Effects hold more than the lines show where healing may come between plan and apply: an agent puts drift back to the released
    state, so what the change needs from *there* is listed too (the plain verb, and the refresh that it brings).
    """

    def __init__(
        self,
        observation: Optional[Observation],
        baseline: Baseline,
        preparer: Preparer,
        edges: Sequence[Edge],
    ) -> None:
        self.items: Sequence[Item] = ()
        self.changes: List[Change] = []
        self.reported: List[Change] = []
        self.notes: Dict[Address, str] = {}
        self.implied: Dict[Address, Resource] = {}
        self.effects: Set[Effect] = set()
        self.unchanged = 0
        self._observation = observation
        self._baseline = baseline
        self._preparer = preparer
        self._before: Dict[Address, List[Edge]] = {}
        for edge in edges:
            self._before.setdefault(edge.after, []).append(edge)
        self._shown: Set[Address] = set()
        self._planned: Dict[Address, Foreseen] = {}
        self._brought: Set[str] = set()
        self._changed: Dict[Address, Set[str]] = {}
        self._refused: Set[Address] = set()
        self._settled: Optional[Dict[Address, Optional[Resource]]] = None

    def _find_settled(self) -> Mapping[Address, Optional[Resource]]:
        """Give the directories that the baseline needs already: making them again is healing, whoever asks for it now."""
        if self._settled is None:
            self._settled = {}
            self._settle(self._settled)
        return self._settled

    def _settle(self, settled: Dict[Address, Optional[Resource]]) -> None:
        for item in self.items:
            is_met = self._judge(item.resource).state == "met"
            if self._class_by_graph(item) == "corrective" and is_met and not item.relations.is_absent:
                for path in item.relations.paths:
                    for parent in list_above(path):
                        settled.setdefault(make_address("directory", parent), None)
                if item.resource.kind == "directory":
                    settled[item.resource.address] = item.resource

    def visit(self, item: Item) -> None:
        """Plan one item, given what was planned for those before it."""
        address = item.resource.address
        condition = self._judge(item.resource)
        if condition.state == "unmet" or self._is_blocked(item):
            return
        if condition.state == "failed":
            self._refuse(address, condition.reason, self._class_by_graph(item))
            return
        state = None if self._observation is None else self._observation.states.get(address)
        if state is None:
            self._expect_anything(item, condition)
            return
        foreseen = item.provider.foresee(item.spec, state, self._list_before(address))
        difference = item.diff(foreseen)
        if difference is not None:
            difference = self._meet_obstacle(item, check_difference(address, difference, item.relations.paths))
            difference = _restrict(difference, condition)
        difference = self._add_note(address, difference, item.provider.note(item.spec, foreseen))
        classification = self._classify(item, state)
        is_planned = difference is not None and self._plan_own(item, difference, classification)
        if not self._plan_refresh(item, difference) and not is_planned:
            self.unchanged += 1

    def _judge(self, resource: Resource) -> Condition:
        return MET if self._observation is None else judge_when(resource, self._observation)

    def _is_blocked(self, item: Item) -> bool:
        address = item.resource.address
        blocking = [
            edge.before for edge in self._before.get(address, ()) if edge.before in self._refused and edge.reason != "notify"
        ]
        if blocking:
            reason = f"depends on {blocking[0]}, which is refused"
            self._refuse(address, reason, self._class_by_graph(item), causes=(blocking[0],))
        return bool(blocking)

    def _is_blocked_by_notifier(self, item: Item) -> bool:
        """Refuse what a run would leave undone, since it comes after what notifies it."""
        address = item.resource.address
        notifiers = [edge.before for edge in self._before.get(address, ()) if edge.before in self._refused]
        if notifiers:
            reason = f"is notified by {notifiers[0]}, which is refused"
            self._refuse(address, reason, self._class_by_graph(item), causes=(notifiers[0],))
        return bool(notifiers)

    def _add_note(self, address: Address, difference: Optional[Difference], note: str) -> Optional[Difference]:
        """Say what is left alone: with what is done, or where nothing is."""
        if note and difference is None:
            self.notes[address] = note
        return replace(difference, reason=_join(difference.reason, note)) if note and difference is not None else difference

    def _meet_obstacle(self, item: Item, difference: Difference) -> Difference:
        """Refuse what the machine stands in the way of; where something before it may clear the way, that is not sure. The way of what
        writes no paths itself, but runs programs, anything may clear.
        """
        if not difference.obstacle or difference.action == "refused":
            return difference
        if not self._comes_after(item.resource.address, CLEARING_KINDS if item.relations.paths else None):
            return Difference("refused", reason=difference.obstacle)
        confidence = "conditional" if difference.confidence == "exact" else difference.confidence
        words = f"{difference.obstacle}: this fails if nothing before it changes that"
        return replace(difference, confidence=confidence, reason=_join(difference.reason, words))

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
        if classification == "corrective" and item.resource.drift == "report":
            self.reported.append(self._make_change(item, difference, classification))
            return True
        if difference.action == "refused":
            self._refuse(address, difference.reason, classification)
            return True
        if self._is_blocked_by_notifier(item):
            return True
        change = self._make_change(item, difference, classification)
        for parent in difference.implied:
            self._plan_parent(parent, change)
        self._record(change)
        self._planned[address] = Foreseen(address, change.action, item.relations)
        if change.action == "create":
            self._brought.update(item.relations.brings)
        return True

    def _make_change(self, item: Item, difference: Difference, classification: str) -> Change:
        address, confidence = item.resource.address, difference.confidence
        if confidence == "exact" and (self._comes_after(address, UNSETTLING_KINDS) or self._is_brought(item.relations.paths)):
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
                paths=item.relations.paths,
                is_lossy=has_loss(difference.fields),
            ),
            after="" if difference.action in ("remove", "refused") else item.resource.after,
            fields=difference.fields,
            causes=self._notifiers(address) if difference.action == "run" else (),
            reason=difference.reason,
        )

    def _plan_parent(self, parent: Resource, child: Change) -> None:
        address = parent.address
        is_link = make_address("symlink", parent.name) in self._shown  # a link of this run leads on from there
        if is_link or address in self.implied or address in self._shown:
            return
        settled = self._find_settled()
        is_settled = address in settled
        made = settled.get(address) or parent
        classification = "corrective" if is_settled else child.classification
        confidence = "conditional" if self._is_brought((parent.name,)) else "exact"
        self.implied[address] = made
        self._record(
            Change(
                address=address,
                action="create",
                classification=classification,
                confidence=confidence,
                risk=judge_risk(address, action="create", classification=classification, confidence=confidence),
                after=made.after,
                causes=(child.address,),
                reason=f"parent of {child.address}",
            )
        )

    def _plan_refresh(self, item: Item, difference: Optional[Difference]) -> bool:
        """Plan what notifications ask for; what the item's own change does anyway is an effect without a line."""
        address, refresh = item.resource.address, item.relations.refresh
        if not refresh or address in self._refused:
            return False
        classes, causes = self._classes_of_notifiers(address), self._notifiers(address)
        is_due = bool(causes) and not _absorbs_refresh(difference)
        if is_due and self._is_blocked_by_notifier(item):
            return True
        if classes - {"corrective"}:
            self._add_effect(item.resource, refresh)
        if not is_due:
            return False
        self._record(self._make_refresh(item, causes, _strongest(classes)))
        return True

    @staticmethod
    def _make_refresh(item: Item, causes: Tuple[Address, ...], classification: str) -> Change:
        address, refresh = item.resource.address, item.relations.refresh
        return Change(
            address=address,
            action=refresh,
            classification=classification,
            confidence="conditional",
            risk=judge_risk(address, action=refresh, classification=classification, confidence="conditional"),
            after=item.resource.after if refresh == "run" else "",
            causes=causes,
            reason="because " + ", ".join(causes) + (" changes" if len(causes) == 1 else " change"),
        )

    def _expect_anything(self, item: Item, condition: Condition) -> None:
        """Plan an address never observed: one line, and every effect that it may need; none when it was approved before."""
        address, classification = item.resource.address, self._class_by_graph(item)
        possible = [] if classification == "corrective" else list(item.provider.bound(item.spec))
        for one in possible:
            self._add_effect(one.resource or item.resource, one.verb)
        verbs = list(dict.fromkeys(one.verb for one in possible))
        classes, causes = self._classes_of_notifiers(address), self._notifiers(address)
        if classes - {"corrective"} and item.relations.refresh:
            self._add_effect(item.resource, item.relations.refresh)
            verbs.extend(verb for verb in (item.relations.refresh,) if verb not in verbs)
        if not verbs:
            self.unchanged += 1
            return
        if not possible:
            classification = _strongest(classes)
        action = "create" if verbs[0] == "set" else verbs[0]
        self._show(
            Change(
                address=address,
                action=action,
                classification=classification,
                confidence="conditional",
                risk=judge_risk(
                    address,
                    action=action,
                    classification=classification,
                    confidence="conditional",
                    paths=item.relations.paths,
                ),
                after=item.resource.after if verbs[0] in STATEFUL_VERBS else "",
                causes=causes if verbs[0] == item.relations.refresh else (),
                reason=_join("never observed here: at most " + ", ".join(verbs), condition.reason),
                is_upper_bound=True,
            )
        )

    def _add_effect(self, resource: Resource, verb: str) -> None:
        after = resource.after if verb in STATEFUL_VERBS else ""
        self.effects.add((resource.address, verb, after))

    def _record(self, change: Change) -> None:
        self._show(change)
        if change.classification != "corrective":
            self.effects.add((change.address, change.verb, change.after))

    def _show(self, change: Change) -> None:
        self.changes.append(change)
        self._shown.add(change.address)
        self._changed.setdefault(change.address, set()).add(change.classification)

    def _notifiers(self, address: Address) -> Tuple[Address, ...]:
        """Give the notifiers that have a line in the plan."""
        edges = self._before.get(address, ())
        return tuple(edge.before for edge in edges if edge.reason == "notify" and edge.before in self._shown)

    def _classes_of_notifiers(self, address: Address) -> Set[str]:
        found: Set[str] = set()
        for edge in self._before.get(address, ()):
            if edge.reason == "notify":
                found |= self._changed.get(edge.before, set())
        return found

    def _is_brought(self, paths: Sequence[str]) -> bool:
        """Say whether something may be at one of these paths by then, since it came with what is made before."""
        return bool(self._brought) and any(place in self._brought for path in paths for place in (path, *list_above(path)))

    def _list_before(self, address: Address) -> Sequence[Foreseen]:
        """Give the changes that are planned before this one, and that it comes after by an edge."""
        before = {edge.before: None for edge in self._before.get(address, ())}
        return [self._planned[one] for one in before if one in self._planned]

    def _comes_after(self, address: Address, kinds: Optional[AbstractSet[str]]) -> bool:
        shown = (edge.before for edge in self._before.get(address, ()) if edge.before in self._shown)
        return any(kinds is None or before.partition(":")[0] in kinds for before in shown)

    def _class_by_graph(self, item: Item) -> str:
        before = self._baseline.get(item.resource.address)
        if before is None:
            return "initial"
        return "corrective" if self._preparer.are_same(before, item.resource) else "intentional"

    def _classify(self, item: Item, state: State) -> str:
        """Give the class; note what an intentional change of something that drifted will need once that is healed."""
        by_graph = self._class_by_graph(item)
        if by_graph != "intentional":
            return by_graph
        drift = self._find_drift(self._baseline[item.resource.address], state)
        if drift is None or drift.confidence != "exact":
            return by_graph
        if self._baseline[item.resource.address].after != item.resource.after:
            self._expect_healed(item)
        return "conflict"

    def _find_drift(self, before: Resource, state: State) -> Optional[Difference]:
        if self._judge(before).state != "met":
            return None
        try:
            item = self._preparer.prepare(before)
        except MalformedError:  # an older compiler's resource: nothing can be said of it
            return None
        return item.diff(state)

    def _expect_healed(self, item: Item) -> None:
        for one in item.provider.bound(item.spec):
            if one.resource is None and one.verb != "replace":
                self._add_effect(item.resource, one.verb)
                self._changed.setdefault(item.resource.address, set()).add("intentional")


def _restrict(difference: Difference, condition: Condition) -> Difference:
    """Give what is to be done where it is not known whether it is to be done at all: an upper bound that says so."""
    if condition.state != "unknown":
        return difference
    confidence = "conditional" if difference.confidence == "exact" else difference.confidence
    return replace(difference, confidence=confidence, reason=_join(difference.reason, condition.reason))


def _join(*reasons: str) -> str:
    return "; ".join(reason for reason in reasons if reason)


def _absorbs_refresh(difference: Optional[Difference]) -> bool:
    return difference is not None and (difference.is_refresh or difference.action == "run")


def _strongest(classes: AbstractSet[str]) -> str:
    return next(name for name in ("conflict", "intentional", "initial", "corrective") if name in classes)


def _select(items: Sequence[Item], edges: Sequence[Edge], only: AbstractSet[Address]) -> AbstractSet[Address]:
    known = {item.resource.address for item in items}
    missing = sorted(only - known)
    if missing:
        raise MalformedError(f"no resource {missing[0]} on this host", code="U010")
    return close_over(sorted(only), edges) if only else known
