"""The plan of a fleet: differences of two sets of graphs, laid over what was last observed, folded by change.

Takes the released and the proposed graphs of one environment and the hosts' last observations; gives the FleetPlan that reviewers
see and its change digest. Only what differs is planned (`gitops.plan.touched`), and once for all hosts on which it is the same; the rest is
counted. What comes of it is what planning every host whole gives. Pure, and the same whatever order things come in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from gitops.model.address import Address
from gitops.model.fleetplan import FleetPlan, PlanSubject
from gitops.model.graph import Graphs
from gitops.model.observation import Observation
from gitops.model.plan import Change, HostPlan
from gitops.model.scope import WHOLE, Scope, SharedScopes
from gitops.model.scopetree import TreeScopes, digest_root, plant
from gitops.plan.fold import Share, fold_shares
from gitops.plan.hosts import HostsPlanner, PlannedHost, as_one_part
from gitops.plan.item import Preparer, Providers


@dataclass(frozen=True)
class FleetInputs:
    """What a fleet plan is made from. `released` None: nothing was ever released; `serial` is that of the release (0: unknown).
    `only_hosts` restricts the plan to these, `only` to these addresses and what they need, on the hosts that have one of them.
    `routing` is the change of the environment itself, when there is one (`gitops.plan.routing`).
    """

    desired: Graphs
    released: Optional[Graphs]
    observations: Mapping[str, Observation]
    only_hosts: Optional[Tuple[str, ...]] = None
    only: Tuple[Address, ...] = ()
    serial: int = 0
    routing: Optional[HostPlan] = None


def plan_fleet(subject: PlanSubject, inputs: FleetInputs, *, providers: Providers) -> FleetPlan:
    """Plan every host of either graph; the hosts that `only_hosts` leaves out are as if they were not there."""
    released = inputs.released or Graphs(inputs.desired.environment)
    names = sorted(set(inputs.desired.hosts) | set(released.hosts))
    if inputs.only_hosts is not None:
        chosen = set(inputs.only_hosts)
        names = [name for name in names if name in chosen]
    planner = HostsPlanner(
        inputs.desired, released, inputs.observations, Preparer(providers), only=inputs.only, serial=inputs.serial
    )
    planned = [planner.plan(name) for name in names]
    planner.check_only()
    if inputs.routing is not None:
        planned.append(as_one_part(inputs.routing))
    return join_planned(subject, planned, hosts=len(set(inputs.desired.hosts) & set(names)))


def join_plans(subject: PlanSubject, plans: Sequence[HostPlan]) -> FleetPlan:
    """Join what hosts have planned themselves, as they are now, into one plan."""
    return join_planned(subject, [as_one_part(plan) for plan in plans], hosts=len(plans))


def join_planned(subject: PlanSubject, planned: Sequence[PlannedHost], *, hosts: int) -> FleetPlan:
    """Join hosts' plans, whole or in parts; `hosts` counts those of the fleet."""
    tree = plant(Scope(SharedScopes({item.host: tuple(part.scope for part in item.parts) for item in planned})))
    shares = _share(planned)
    folded = fold_shares(shares)
    reported = fold_shares([Share(share.hosts, _only(share.plan.reported)) for share in shares if share.plan.reported])
    silent = fold_shares([Share(share.hosts, _only(share.plan.silent)) for share in shares if share.plan.silent])
    return FleetPlan(
        subject=subject,
        groups=folded.groups,
        scope=Scope(TreeScopes(tree.root, tree.documents.__getitem__, tree.hosts)),
        change_digest=digest_root(tree.root, repository=subject.repository, environment=subject.environment, pull=subject.pull),
        ages={item.host: item.observed for item in planned if item.host != WHOLE and any(map(_is_affected, item.parts))},
        unchanged=sum(item.unchanged for item in planned),
        hosts=hosts,
        reported=reported.groups,
        silent=silent.groups,
        parts={**tree.documents, **folded.parts, **reported.parts, **silent.parts},
    )


def _is_affected(plan: HostPlan) -> bool:
    return bool(plan.changes or plan.unmanaged or plan.reported) or not plan.scope.is_empty


def _only(changes: Tuple[Change, ...]) -> HostPlan:
    return HostPlan("", None, changes)


def _share(planned: Sequence[PlannedHost]) -> List[Share]:
    """Give each part once, with the hosts that have it."""
    found: Dict[int, Tuple[HostPlan, List[str]]] = {}
    for item in sorted(planned, key=lambda one: one.host):
        for part in item.parts:
            found.setdefault(id(part), (part, []))[1].append(item.host)
    return [Share(tuple(hosts), part) for part, hosts in found.values()]
