"""Prune: remove what an earlier run made and the config no longer has. Only what the ledger owns, and only what is named.

A pruned thing is a resource of this one run, with `state: absent`; so it is planned, approved, journalled and undone like any other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Mapping, Sequence

from gitops.errors import MalformedError, UsageError
from gitops.executor.apply import BAD
from gitops.model.address import Address
from gitops.model.plan import HostPlan
from gitops.model.report import Outcome
from gitops.model.resource import Resource
from gitops.model.wire import Request
from gitops.plan.item import Preparer
from gitops.providers.registry import PROVIDERS


def add_pruned(request: Request, ledger: Mapping[Address, Resource]) -> Request:
    """Give the request with what it prunes as resources; raise UsageError for what is declared, not owned, or cannot be removed."""
    if not request.prune:
        return request
    declared = {resource.address for resource in request.resources}
    pruned: List[Resource] = []
    for address in sorted(set(request.prune)):
        if address in declared:
            raise UsageError(f"{address} is in the config", code="U012", hint="take it out, or write `state: absent`")
        if address not in ledger or request.baseline is not None:
            hint = "`gitops plan --local` lists what is no longer managed"
            raise UsageError(f"{address} was not made by a run of this program here", code="U012", hint=hint)
        pruned.append(_make_absent(ledger[address]))
    only = (*request.only, *(item.address for item in pruned)) if request.only else ()
    return replace(request, resources=(*request.resources, *pruned), only=only)


def mark_pruned(plan: HostPlan, request: Request) -> HostPlan:
    """Give the plan with what is pruned as intentional: somebody named it, and what it holds was not looked at."""
    if not request.prune:
        return plan
    changes = tuple(
        replace(item, classification="intentional")
        if item.address in request.prune and item.classification == "conflict"
        else item
        for item in plan.changes
    )
    return replace(plan, changes=changes)


def drop_pruned(ledger: Mapping[Address, Resource], request: Request, outcomes: Sequence[Outcome]) -> Dict[Address, Resource]:
    """Give the ledger without what was pruned; what could not be removed keeps its entry."""
    bad = {outcome.address for outcome in outcomes if outcome.result in BAD}
    return {address: item for address, item in ledger.items() if address not in request.prune or address in bad}


def _make_absent(resource: Resource) -> Resource:
    absent = Resource(resource.kind, resource.name, {"state": "absent"})
    try:
        Preparer(PROVIDERS).prepare(absent)
    except MalformedError as error:
        message = f"{resource.address} cannot be removed: a {resource.kind} has no `state: absent`"
        raise UsageError(message, code="U012") from error
    return absent
