"""Look again right before acting: what ran before in the same run may have changed what a step goes by.

Takes what was done so far, and the steps of a batch with the states that they were planned on. Gives the steps as they are to be made
now: none for what is by now as it should be, none for what would need another verb than was planned, since nobody approved that. Nothing
is asked again where nothing ran that could matter, so a run of files alone, or one that changes nothing, looks once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import AbstractSet, Any, List, Mapping, Sequence, Set, Tuple, Union

from gitops.executor.observe import observe_items
from gitops.model.address import Address, list_above
from gitops.model.observation import State
from gitops.model.plan import OWED, VERB_OF, Change, Difference
from gitops.model.report import Outcome
from gitops.plan.item import Item
from gitops.providers.base import ANYTHING, BELOW, Step
from gitops.providers.host import Host

MADE_EMPTY = "directory"
REFRESHES = ("restart", "reload")
ALREADY = "as it should be by now: something that ran before it in this run did that"


class Traces:
    """What this run did so far, as far as it can matter to what comes after."""

    def __init__(self) -> None:
        self._is_anything = False
        self._places: Set[str] = set()
        self._acted: Set[Address] = set()

    def note(self, item: Item, action: str) -> None:
        """Remember one step that was begun."""
        reach = item.provider.reach
        self._is_anything = self._is_anything or reach == ANYTHING
        is_empty = action == "create" and item.resource.kind == MADE_EMPTY
        if reach == BELOW and not is_empty:
            self._places.update(item.relations.paths)
        self._acted.add(item.resource.address)

    def may_reach(self, item: Item, before: Sequence[Address]) -> bool:
        """Say whether what was seen of an item may be another by now; `before` are those that it was to come after."""
        if self._is_anything:
            return True
        if self._places and any(place in self._places for path in item.relations.paths for place in (path, *list_above(path))):
            return True
        return not item.provider.reads_paths_only and any(address in self._acted for address in before)


@dataclass(frozen=True)
class Afresh:
    """A batch as it is to be made now: steps for the provider, and what came of those that need none."""

    steps: Tuple[Step[Any], ...]
    outcomes: Tuple[Outcome, ...] = ()


def make_step(change: Change, item: Item, state: State) -> Step[Any]:
    """Give a step as it was planned."""
    difference = Difference(change.action, change.fields, change.reason)
    return Step(change.address, change.action, item.spec, state, difference, change.causes)


def look_again(
    changes: Sequence[Change],
    items: Mapping[Address, Item],
    host: Host,
    *,
    done: Set[Address],
    implied: AbstractSet[Address] = frozenset(),
) -> Afresh:
    """Observe what a batch is about, once for all of it, and judge each change again; `done` are the addresses that changed, `implied`
    those of folders that nobody declared: one that is there by now, however it is, is left so.
    """
    states = observe_items([items[change.address] for change in changes], host)
    steps: List[Step[Any]] = []
    outcomes: List[Outcome] = []
    notified = {address for one in done if one in items for address in items[one].resource.notify}
    for change in changes:
        if change.address in implied and states[change.address].get("type") == MADE_EMPTY:
            outcomes.append(Outcome(change.address, change.action, "changed", ALREADY))
            continue
        is_called = change.address in notified or bool(done.intersection(change.causes))
        found = _judge(change, items[change.address], states[change.address], is_called=is_called)
        if isinstance(found, Outcome):
            outcomes.append(found)
        else:
            steps.append(found)
    return Afresh(tuple(steps), tuple(outcomes))


def find_untouched(steps: Sequence[Step[Any]], items: Mapping[Address, Item], host: Host) -> Set[Address]:
    """Give those of the steps, which failed, whose things are as they were before: nothing came of these, so nothing is to be undone."""
    telling = [step for step in steps if items[step.address].provider.tells_all and step.action not in REFRESHES]
    if not telling:
        return set()
    states = observe_items([items[step.address] for step in telling], host)
    return {step.address for step in telling if dict(step.state) == dict(states[step.address])}


def _judge(change: Change, item: Item, state: State, *, is_called: bool) -> Union[Step[Any], Outcome]:
    """Give the step, or the outcome when there is none. What a notification asks for is done whatever the state says."""
    if change.action in REFRESHES or change.reason == OWED or (change.action == "run" and is_called):
        return make_step(change, item, state)
    found = item.diff(state)
    if found is None and is_called and item.relations.refresh:
        # What was planned would have done what was asked for on its way (a service is started, and so has read its files).
        refresh = item.relations.refresh
        return replace(make_step(change, item, state), action=refresh, difference=Difference(refresh))
    if found is None:
        return Outcome(change.address, change.action, "changed", ALREADY)
    if found.action == "refused":
        return Outcome(change.address, "refused", "refused", found.reason)
    if found.obstacle:
        return Outcome(change.address, change.action, "failed", found.obstacle)
    if VERB_OF.get(found.action, found.action) != change.verb:
        message = f"planned was {change.action}, and by now it would be {found.action}: plan again to see what that means"
        return Outcome(change.address, change.action, "held", message)
    return replace(make_step(change, item, state), action=found.action, difference=found)
