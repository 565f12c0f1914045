"""The plan of a fleet: differences of two sets of graphs, laid over what was last observed, folded into change groups.

Takes the released and the proposed graphs of one environment and the hosts' last observations; gives the FleetPlan that reviewers
see and its change digest. Identical changes on many hosts become one group. Pure, and the same whatever order things come in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Dict, List, Mapping, Optional, Tuple

from gitops.model.address import Address
from gitops.model.codec import encode_canonical
from gitops.model.graph import Graphs
from gitops.model.observation import Observation
from gitops.model.plan import Change, ChangeGroup, FleetPlan, HostPlan, PlanSubject
from gitops.model.resource import Resource
from gitops.model.scope import Scope, digest_change
from gitops.plan.host import plan_host
from gitops.plan.item import Preparer, Providers
from gitops.plan.textdiff import ReadBlob, add_diffs

ACTION_ORDER = (
    "refused",
    "remove",
    "replace",
    "run",
    "update",
    "create",
    "restart",
    "reload",
)
CLASS_ORDER = ("conflict", "corrective", "intentional", "initial")


@dataclass(frozen=True)
class FleetInputs:
    """What a fleet plan is made from. `released` None: nothing was ever released. `only_hosts` restricts the plan to these."""

    desired: Graphs
    released: Optional[Graphs]
    observations: Mapping[str, Observation]
    only_hosts: Optional[Tuple[str, ...]] = None
    only: Tuple[Address, ...] = ()


def plan_fleet(subject: PlanSubject, inputs: FleetInputs, *, providers: Providers) -> FleetPlan:
    """Plan every host of either graph; the hosts that `only_hosts` leaves out are as if they were not there."""
    preparer = Preparer(providers)
    released = inputs.released or Graphs(inputs.desired.environment)
    names = sorted(set(inputs.desired.hosts) | set(released.hosts))
    if inputs.only_hosts is not None:
        names = [name for name in names if name in set(inputs.only_hosts)]
    plans = [_plan_one(name, inputs, released, preparer) for name in names]
    scope = Scope({plan.host: plan.scope for plan in plans if not plan.scope.is_empty})
    groups = fold_groups(plans)
    return FleetPlan(
        subject=subject,
        groups=groups,
        scope=scope,
        change_digest=digest_change(
            scope,
            repository=subject.repository,
            environment=subject.environment,
            pull=subject.pull,
        ),
        ages=_find_ages(groups, scope, inputs.observations),
        unchanged=sum(plan.unchanged for plan in plans),
        hosts=len(inputs.desired.hosts),
    )


def fold_groups(plans: List[HostPlan]) -> Tuple[ChangeGroup, ...]:
    """Fold hosts with equal changes together: what is dangerous first, then the larger group, then by name."""
    found: Dict[bytes, List[HostPlan]] = {}
    for plan in plans:
        if plan.changes or plan.unmanaged:
            key = encode_canonical(
                {
                    "changes": [change.to_json() for change in plan.changes],
                    "unmanaged": list(plan.unmanaged),
                }
            )
            found.setdefault(key, []).append(plan)
    groups = [
        ChangeGroup(
            tuple(sorted(plan.host for plan in same)),
            order_changes(same[0].changes),
            same[0].unmanaged,
        )
        for same in found.values()
    ]
    return tuple(sorted(groups, key=_group_key))


def order_changes(changes: Tuple[Change, ...]) -> Tuple[Change, ...]:
    """Put refused and destructive ones first, then conflicts, then by address; a restart stands behind the rest."""
    return tuple(sorted(changes, key=_change_key))


def _plan_one(name: str, inputs: FleetInputs, released: Graphs, preparer: Preparer) -> HostPlan:
    before = _by_address(released.resources_of(name))
    after = inputs.desired.resources_of(name)
    only = frozenset(address for address in inputs.only if any(resource.address == address for resource in after))
    if inputs.only and not only:
        return HostPlan(name, None)
    plan = plan_host(
        name,
        after,
        observation=inputs.observations.get(name),
        baseline=before,
        preparer=preparer,
        only=only,
    )
    return add_diffs(plan, before, _by_address(after), _reader(released, inputs.desired))


def _by_address(resources: Tuple[Resource, ...]) -> Dict[Address, Resource]:
    return {resource.address: resource for resource in resources}


def _reader(released: Graphs, desired: Graphs) -> ReadBlob:
    def read(digest: str) -> Optional[bytes]:
        return desired.blobs.get(digest, released.blobs.get(digest))

    return read


def _find_ages(
    groups: Tuple[ChangeGroup, ...],
    scope: Scope,
    observations: Mapping[str, Observation],
) -> Dict[str, Optional[datetime]]:
    hosts = {host for group in groups for host in group.hosts} | set(scope.hosts)
    return {host: observations[host].at if host in observations else None for host in sorted(hosts)}


def _group_key(group: ChangeGroup) -> Tuple[Tuple[int, int], int, Tuple[str, ...]]:
    worst = min(
        (_change_key(change)[:2] for change in group.changes),
        default=(len(ACTION_ORDER), 0),
    )
    return worst, -len(group.hosts), group.hosts


def _change_key(change: Change) -> Tuple[int, int, str, str]:
    return (
        ACTION_ORDER.index(change.action),
        CLASS_ORDER.index(change.classification),
        change.address,
        change.action,
    )
