"""The plan of a fleet: differences of two sets of graphs, laid over what was last observed, folded into change groups.

Takes the released and the proposed graphs of one environment and the hosts' last observations; gives the FleetPlan that reviewers
see and its change digest. Identical changes on many hosts become one group. Pure, and the same whatever order things come in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from gitops.errors import BugError, MalformedError
from gitops.model.address import Address
from gitops.model.codec import encode_canonical
from gitops.model.graph import Graphs
from gitops.model.observation import Observation
from gitops.model.plan import Change, ChangeGroup, FleetPlan, HostPlan, PlanSubject
from gitops.model.resource import Resource
from gitops.model.scope import WHOLE, Scope, digest_change
from gitops.plan.declared import add_declared, make_compare
from gitops.plan.host import plan_host
from gitops.plan.item import Preparer, Providers
from gitops.plan.risk import has_loss, judge_risk
from gitops.plan.textdiff import Differ, ReadBlob, add_diffs_by, make_differ

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
UNREADABLE = (
    BugError,
    MalformedError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
)  # what a state made up makes of a provider
CLASS_ORDER = ("conflict", "corrective", "intentional", "initial")


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
    preparer = Preparer(providers)
    released = inputs.released or Graphs(inputs.desired.environment)
    planning = _FleetPlanning(inputs, released, preparer, make_differ(_reader(released, inputs.desired)))
    names = sorted(set(inputs.desired.hosts) | set(released.hosts))
    if inputs.only_hosts is not None:
        chosen = set(inputs.only_hosts)
        names = [name for name in names if name in chosen]
    plans = [planning.plan_one(name) for name in names]
    planning.check_only()
    if inputs.routing is not None:
        plans.append(inputs.routing)
    return _join(subject, plans, hosts=len(set(inputs.desired.hosts) & set(names)))


def join_plans(subject: PlanSubject, plans: Sequence[HostPlan]) -> FleetPlan:
    """Join what hosts have planned themselves, as they are now, into one plan."""
    return _join(subject, plans, hosts=len(plans))


def _join(subject: PlanSubject, plans: Sequence[HostPlan], *, hosts: int) -> FleetPlan:
    scope = Scope({plan.host: plan.scope for plan in plans if not plan.scope.is_empty})
    return FleetPlan(
        subject=subject,
        groups=fold_groups(plans),
        scope=scope,
        change_digest=digest_change(
            scope,
            repository=subject.repository,
            environment=subject.environment,
            pull=subject.pull,
        ),
        ages={plan.host: plan.observed for plan in plans if plan.host != WHOLE and _is_affected(plan)},
        unchanged=sum(plan.unchanged for plan in plans),
        hosts=hosts,
        reported=fold_reported(plans),
        silent=fold_groups([HostPlan(plan.host, plan.observed, plan.silent) for plan in plans]),
    )


def fold_groups(plans: Sequence[HostPlan]) -> Tuple[ChangeGroup, ...]:
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


def fold_reported(plans: Sequence[HostPlan]) -> Tuple[ChangeGroup, ...]:
    """Fold what differs but is only reported (`drift: report`) the same way; it is never applied."""
    return fold_groups([HostPlan(plan.host, plan.observed, plan.reported) for plan in plans])


def order_changes(changes: Tuple[Change, ...]) -> Tuple[Change, ...]:
    """Put refused and destructive ones first, then conflicts, then by address; a restart stands behind the rest."""
    return tuple(sorted(changes, key=_change_key))


class _FleetPlanning:
    """The hosts' plans one after another, with what they share: prepared resources and compared contents."""

    def __init__(self, inputs: FleetInputs, released: Graphs, preparer: Preparer, differ: Differ) -> None:
        self._inputs = inputs
        self._released = released
        self._preparer = preparer
        self._differ = differ
        self._missing = set(inputs.only)
        self._compare = make_compare()

    def plan_one(self, name: str) -> HostPlan:
        """Plan one host; one that has none of the wanted addresses is left alone."""
        before = _by_address(self._released.resources_of(name))
        resources = self._inputs.desired.resources_of(name)
        after = _by_address(resources)
        only = frozenset(address for address in self._inputs.only if address in after)
        self._missing -= only
        if self._inputs.only and not only:
            return HostPlan(name, None)
        observation = self._inputs.observations.get(name)

        def plan_over(seen: Optional[Observation]) -> HostPlan:
            return plan_host(name, resources, observation=seen, baseline=before, preparer=self._preparer, only=only)

        try:
            plan = plan_over(observation)
        except UNREADABLE:
            # A host says what it wants of itself. What cannot be read counts as never observed (all it may need is approved); one host
            # must not stop the plans of the others. A mistake of ours, or of the config, comes again.
            observation = None
            plan = plan_over(None)
        if observation is not None and 0 < observation.serial < self._inputs.serial:
            paths = {address: self._preparer.prepare(resource).relations.paths for address, resource in after.items()}
            plan = replace(plan, changes=tuple(_excuse(change, paths.get(change.address, ())) for change in plan.changes))
        plan = add_diffs_by(self._differ, plan, before, after)
        return add_declared(plan, before, after, self._compare, self._differ)

    def check_only(self) -> None:
        """Raise MalformedError for a wanted address that no planned host has."""
        if self._missing:
            raise MalformedError(f"no resource {sorted(self._missing)[0]} on any of these hosts", code="U010")


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


def _by_address(resources: Tuple[Resource, ...]) -> Dict[Address, Resource]:
    return {resource.address: resource for resource in resources}


def _reader(released: Graphs, desired: Graphs) -> ReadBlob:
    def read(digest: str) -> Optional[bytes]:
        return desired.blobs.get(digest, released.blobs.get(digest))

    return read


def _is_affected(plan: HostPlan) -> bool:
    return bool(plan.changes or plan.unmanaged or plan.reported) or not plan.scope.is_empty


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
