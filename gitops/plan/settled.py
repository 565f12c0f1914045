"""Which blocks a machine found to be as released: nothing of them differs, nothing of them is unknown. Pure.

What a plan of the fleet then need not compare. A machine that says so of what is not so says no more than one that reports other states.
"""

from __future__ import annotations

from typing import FrozenSet, Mapping, Sequence

from gitops.errors import MalformedError
from gitops.model.address import Address
from gitops.model.observation import Observation
from gitops.model.resource import Resource
from gitops.plan.condition import judge_when
from gitops.plan.item import Preparer


def find_as_released(
    resources: Sequence[Resource], blocks: Mapping[str, Sequence[Address]], observation: Observation, preparer: Preparer
) -> FrozenSet[str]:
    """Give the digests of the blocks whose every resource applies to the machine, was seen, and is as it should be."""
    settled = {resource.address for resource in resources if _is_settled(resource, observation, preparer)}
    return frozenset(digest for digest, addresses in blocks.items() if settled.issuperset(addresses))


def _is_settled(resource: Resource, observation: Observation, preparer: Preparer) -> bool:
    state = observation.states.get(resource.address)
    if state is None or judge_when(resource, observation).state != "met":
        return False
    try:
        item = preparer.prepare(resource)
    except MalformedError:  # a kind that this version does not have
        return False
    return item.diff(item.provider.foresee(item.spec, state, ())) is None
