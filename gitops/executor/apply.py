"""Apply a plan: batches of one kind in the plan's order, dependants of what failed skipped, every outcome told as it happens."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Mapping, Sequence, Set, Tuple

from gitops.errors import ConfigError, HostError
from gitops.model.address import Address
from gitops.model.observation import Observation
from gitops.model.plan import Change, Difference, HostPlan
from gitops.model.report import Outcome
from gitops.model.resource import Resource
from gitops.plan.item import Item, Preparer
from gitops.plan.order import Edge, find_edges
from gitops.providers.base import Provider, Step
from gitops.providers.host import Host
from gitops.providers.steps import describe_failure

Tell = Callable[[Outcome], None]
BAD = ("failed", "refused", "skipped")
ENDINGS = ("stop", "revert")
TOGETHER = ("directory", "package")
MOST_AT_ONCE = 1000


class Application:
    """One plan being applied to one machine."""

    def __init__(self, plan: HostPlan, resources: Sequence[Resource], observation: Observation, preparer: Preparer) -> None:
        declared = {resource.address: resource for resource in (*resources, *plan.implied)}
        self._items = {address: preparer.prepare(resource) for address, resource in declared.items()}
        self._plan = plan
        self._observation = observation
        self._before: Dict[Address, List[Edge]] = {}
        for edge in find_edges(list(self._items.values())):
            self._before.setdefault(edge.after, []).append(edge)
        self._bad: Set[Address] = set()
        self._policies = {resource.address: resource.on_failure for resource in resources}
        self._ended_by: Dict[str, Address] = {}

    @property
    def is_to_revert(self) -> bool:
        """Say whether something failed that asks for what was changed to be put back."""
        return "revert" in self._ended_by

    def run(self, host: Host, tell: Tell) -> Tuple[Outcome, ...]:
        """Do everything that is planned; give the outcomes in the order in which they came.

        What is refused is known before: where that ends the run, nothing is begun.
        """
        for change in self._plan.changes:
            if change.action == "refused":
                self._note(Outcome(change.address, "refused", "refused"))
        outcomes: List[Outcome] = []
        for batch in self._batches():
            for outcome in self._run_batch(batch, host):
                self._note(outcome)
                outcomes.append(outcome)
                tell(outcome)
        return tuple(outcomes)

    def _note(self, outcome: Outcome) -> None:
        if outcome.result in BAD:
            self._bad.add(outcome.address)
            policy = self._policies.get(outcome.address, "continue")
            if policy in ENDINGS:
                self._ended_by.setdefault(policy, outcome.address)

    def _batches(self) -> Iterator[Sequence[Change]]:
        batch: List[Change] = []
        members: Set[Address] = set()
        for change in self._plan.changes:
            if batch and (_kind_of(change) != _kind_of(batch[0]) or _is_full(batch) or self._follows(change, members)):
                yield batch
                batch, members = [], set()
            batch.append(change)
            members.add(change.address)
        if batch:
            yield batch

    def _run_batch(self, batch: Sequence[Change], host: Host) -> Iterator[Outcome]:
        steps: List[Step[object]] = []
        ended_by = next(iter(self._ended_by.values()), "")
        for change in batch:
            blocked = self._blocked_by(change)
            if change.action == "refused":
                yield Outcome(change.address, "refused", "refused", change.reason)
            elif ended_by:
                yield Outcome(change.address, change.action, "skipped", f"the run ended when {ended_by} did not succeed")
            elif blocked:
                yield Outcome(change.address, change.action, "skipped", f"because {blocked} did not succeed")
            else:
                steps.append(self._make_step(change))
        if steps:
            yield from _apply_steps(self._items[batch[0].address].provider, steps, host)

    def _make_step(self, change: Change) -> Step[object]:
        item: Item = self._items[change.address]
        state = self._observation.states.get(change.address, {"type": "absent"})
        difference = Difference(change.action, change.fields, change.reason)
        return Step(change.address, change.action, item.spec, state, difference)

    def _blocked_by(self, change: Change) -> str:
        for edge in self._before.get(change.address, ()):
            if edge.before in self._bad:
                return edge.before
        return next((cause for cause in change.causes if cause in self._bad and change.action in ("restart", "reload")), "")

    def _follows(self, change: Change, members: Set[Address]) -> bool:
        if _kind_of(change) in TOGETHER:  # one transaction, unless a person wants one of them first
            return any(edge.before in members and edge.reason == "needs" for edge in self._before.get(change.address, ()))
        return change.address in members or any(edge.before in members for edge in self._before.get(change.address, ()))


def _kind_of(change: Change) -> str:
    return change.address.partition(":")[0]


def _is_full(batch: Sequence[Change]) -> bool:
    """Say whether a batch holds as much as is good for memory; what is one transaction has no bound."""
    return len(batch) >= MOST_AT_ONCE and _kind_of(batch[0]) not in TOGETHER


def _apply_steps(provider: Provider[Any], steps: Sequence[Step[object]], host: Host) -> Iterator[Outcome]:
    """Apply one batch; when it cannot go on (the journal cannot be written), what is left of it failed, and other batches go on."""
    left = {(step.address, step.action): step for step in steps}
    try:
        for outcome in provider.apply(steps, host):
            left.pop((outcome.address, outcome.action), None)
            yield outcome
    except (HostError, ConfigError, OSError) as error:
        for step in left.values():
            yield Outcome(step.address, step.action, "failed", describe_failure(error))


def update_ledger(
    ledger: Mapping[Address, Resource], resources: Sequence[Resource], outcomes: Sequence[Outcome]
) -> Dict[Address, Resource]:
    """Give the ledger after a run: what is as desired is entered, what failed keeps its old entry, what left the config is dropped."""
    bad = {outcome.address for outcome in outcomes if outcome.result in BAD}
    found: Dict[Address, Resource] = {}
    for resource in resources:
        address = resource.address
        if address not in bad:
            found[address] = resource
        elif address in ledger:
            found[address] = ledger[address]
    return found
