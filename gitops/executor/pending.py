"""Restarts, reloads and notified commands that are owed: their cause was done, they were not (a crash, or they failed).

Without this a crash between a file and the restart of its service would lose the restart for ever, since the next run finds the
file as it should be. What is owed was approved with the run that caused it, so it is corrective.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, FrozenSet, List, Sequence

from gitops.model.observation import Observation
from gitops.model.plan import OWED, Change, HostPlan
from gitops.model.report import Outcome
from gitops.plan.item import Item
from gitops.plan.order import find_edges
from gitops.plan.risk import judge_risk

URGENT_KINDS = ("reboot",)
REFRESHES = ("restart", "reload", "run")


def list_refreshes(plan: HostPlan) -> FrozenSet[str]:
    """Give the addresses that a plan refreshes because something else changes."""
    return frozenset(change.address for change in plan.changes if change.action in REFRESHES and change.causes)


def find_owed(plan: HostPlan, outcomes: Sequence[Outcome], owed: FrozenSet[str]) -> FrozenSet[str]:
    """Give what is owed after a run: what was owed or planned, whose cause is done, and that was not done itself."""
    done = {outcome.address for outcome in outcomes if outcome.result == "changed"}
    planned = list_refreshes(plan)
    refreshed = {
        item.address
        for item in outcomes
        if item.result == "changed" and (item.action in REFRESHES or item.address not in planned)
    }
    causes: Dict[str, FrozenSet[str]] = {change.address: frozenset(change.causes) for change in plan.changes if change.causes}
    due = {address for address in planned if causes[address] & done}
    return frozenset((due | owed) - refreshed)


def add_owed(plan: HostPlan, owed: FrozenSet[str], items: Sequence[Item], observation: Observation) -> HostPlan:
    """Give a plan with what is owed at its end, but for what it does anyway, cannot do, or no longer knows. A boot that is owed comes
    first: what needs it must not go before it.
    """
    planned = {change.address for change in plan.changes} | _find_blocked(plan, items if owed else ())
    added: List[Change] = []
    for item in items:
        address, refresh = item.resource.address, item.relations.refresh
        if address not in owed or address in planned or not refresh or address not in observation.states:
            continue
        risk = judge_risk(address, action=refresh, classification="corrective", confidence="exact")
        after = item.resource.after if refresh == "run" else ""
        added.append(Change(address, refresh, "corrective", risk=risk, after=after, reason=OWED))
    if not added:
        return plan
    first = [change for change in added if change.address.partition(":")[0] in URGENT_KINDS]
    rest = [change for change in added if change not in first]
    return replace(plan, changes=(*first, *plan.changes, *rest), unchanged=max(0, plan.unchanged - len(added)))


def _find_blocked(plan: HostPlan, items: Sequence[Item]) -> FrozenSet[str]:
    """Give what a run would skip, since something that comes before it is refused: it stays owed, and is not planned."""
    refused = {change.address for change in plan.changes if change.action == "refused"}
    return frozenset(edge.after for edge in find_edges(items) if edge.before in refused) if refused else frozenset()
