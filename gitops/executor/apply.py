"""Apply a plan: batches of one kind in the plan's order, dependants of what failed skipped, every outcome told as it happens."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Sequence, Set, Tuple

from gitops.errors import ConfigError, HostError
from gitops.executor.afresh import Traces, find_untouched, look_again, make_step
from gitops.model.address import Address
from gitops.model.observation import Observation, State
from gitops.model.plan import Change, HostPlan
from gitops.model.report import Outcome
from gitops.model.resource import Resource
from gitops.plan.item import Preparer
from gitops.plan.order import Edge, find_edges
from gitops.providers.base import Step
from gitops.providers.host import Host
from gitops.providers.steps import describe_failure

Tell = Callable[[Outcome], None]
BAD = ("failed", "refused", "skipped", "held")
ENDINGS = ("stop", "revert")
TOGETHER = ("directory", "package")
ALONE = ("command",)  # what one does may answer the guard of the next
CHECKING = "command"
NOT_THERE: State = {"type": "absent"}
MOST_AT_ONCE = 1000


class Application:
    """One plan being applied to one machine."""

    def __init__(self, plan: HostPlan, resources: Sequence[Resource], observation: Observation, preparer: Preparer) -> None:
        declared = {resource.address: resource for resource in (*resources, *plan.implied)}
        self._items = {address: preparer.prepare(resource) for address, resource in declared.items()}
        self._plan = plan
        self._implied = {resource.address for resource in plan.implied}
        self._observation = observation
        self._before: Dict[Address, List[Edge]] = {}
        for edge in find_edges(list(self._items.values())):
            self._before.setdefault(edge.after, []).append(edge)
        self._bad: Set[Address] = set()
        self._changed: Set[Address] = set()
        self._traces = Traces()
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
        if outcome.result == "changed":
            self._changed.add(outcome.address)
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
        due: List[Change] = []
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
                due.append(change)
        if due:
            yield from self._do(due, host)

    def _do(self, due: Sequence[Change], host: Host) -> Iterator[Outcome]:
        """Do what of a batch is to be done, by facts that hold now; what failed and left no trace leaves no undo either."""
        steps: Sequence[Step[Any]] = [self._plan_step(change) for change in due]
        known: Dict[Address, Outcome] = {}
        if any(self._may_be_reached(change) for change in due):
            try:
                afresh = look_again(due, self._items, host, done=self._changed, implied=self._implied)
            except (HostError, ConfigError, OSError) as error:
                yield from (Outcome(step.address, step.action, "failed", describe_failure(error)) for step in steps)
                return
            steps = afresh.steps
            known = {outcome.address: outcome for outcome in afresh.outcomes}
        for step in steps:
            self._traces.note(self._items[step.address], step.action)
        yield from _in_order(due, known, self._apply(steps, host) if steps else ())

    def _apply(self, steps: Sequence[Step[Any]], host: Host) -> Iterator[Outcome]:
        """Apply one batch; when it cannot go on (the journal cannot be written), what is left of it failed, and other batches go on."""
        provider = self._items[steps[0].address].provider
        first = mark = host.mark_undo()
        left = {(step.address, step.action): step for step in steps}
        failed: Dict[Address, Tuple[Step[Any], int, int]] = {}
        try:
            for outcome in provider.apply(steps, host):
                step = left.pop((outcome.address, outcome.action), None)
                if step is not None and outcome.result == "failed":
                    failed[step.address] = (step, mark, host.mark_undo())
                mark = host.mark_undo()
                yield outcome
        except (HostError, ConfigError, OSError) as error:
            for step in left.values():
                yield Outcome(step.address, step.action, "failed", describe_failure(error))
            return
        if failed:
            self._void(failed, first, host, has_own=provider.is_one_by_one or len(steps) == 1)

    def _void(self, failed: Mapping[Address, Tuple[Step[Any], int, int]], first: int, host: Host, *, has_own: bool) -> None:
        """Take out of the journal what steps noted that failed and did nothing: it is not ours to undo what others do there later."""
        checks = {address for address in failed if self._is_check(address)}
        try:
            untouched = find_untouched([failed[address][0] for address in failed if address not in checks], self._items, host)
        except (HostError, ConfigError, OSError):
            untouched = set[Address]()  # then what they noted stays
        owned = [path for address in sorted(untouched) for path in self._items[address].relations.owns]
        if owned:
            host.void_undo(first, host.mark_undo(), paths=owned)
        for address in sorted(untouched | checks) if has_own else ():
            _, since, until = failed[address]
            host.void_undo(since, until)

    def _is_check(self, address: Address) -> bool:
        """Say whether what failed is a command that judges the run: such a one changes nothing that would have to be put back."""
        return address.partition(":")[0] == CHECKING and self._policies.get(address) == "revert"

    def _may_be_reached(self, change: Change) -> bool:
        before = [edge.before for edge in self._before.get(change.address, ())]
        return self._traces.may_reach(self._items[change.address], before)

    def _plan_step(self, change: Change) -> Step[Any]:
        state = self._observation.states.get(change.address, NOT_THERE)
        return make_step(change, self._items[change.address], state)

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


def _in_order(due: Sequence[Change], known: Dict[Address, Outcome], applied: Iterable[Outcome]) -> Iterator[Outcome]:
    """Give outcomes as they come, those that are known already in the places of their changes."""
    places = {change.address: number for number, change in enumerate(due)}
    for outcome in applied:
        place = places.get(outcome.address, 0)
        yield from [known.pop(address) for address in list(known) if places[address] < place]
        yield outcome
    yield from known.values()


def _is_full(batch: Sequence[Change]) -> bool:
    """Say whether a batch holds as much as is good for memory, or all that may be done by one look; one transaction has no bound."""
    kind = _kind_of(batch[0])
    return kind in ALONE or (len(batch) >= MOST_AT_ONCE and kind not in TOGETHER)


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
