"""Plan small hosts in one line: resources as `kind:name` with attributes, states, baselines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gitops.model.address import Address, split_address
from gitops.model.codec import Json, digest_bytes
from gitops.model.observation import Observation
from gitops.model.plan import HostPlan
from gitops.model.resource import Resource
from gitops.plan.host import plan_host
from gitops.plan.item import Preparer
from gitops.providers.registry import PROVIDERS
from tests.support.nouns import NOW

HERE = {"os.family": "debian"}
ABSENT: Mapping[str, Json] = {"type": "absent", "parents": []}
RUNNING: Mapping[str, Json] = {"exists": True, "running": True, "enabled": True}
STOPPED: Mapping[str, Json] = {"exists": True, "running": False, "enabled": True}


def declare(
    address: str,
    attributes: Mapping[str, Any] | None = None,
    *,
    needs: Sequence[str] = (),
    notify: Sequence[str] = (),
    **more: Any,
) -> Resource:
    """Make a resource."""
    kind, name = split_address(Address(address))
    return Resource(kind, name, dict(attributes or {}), tuple(map(Address, needs)), tuple(map(Address, notify)), **more)


def with_content(text: str, **more: Json) -> dict[str, Json]:
    """The state of a file with this content."""
    data = text.encode()
    return {
        "type": "file",
        "mode": "0644",
        "owner": "root",
        "group": "root",
        "digest": digest_bytes(data),
        "size": len(data),
        **more,
    }


def observe(states: Mapping[str, Mapping[str, Json]], facts: Mapping[str, str] = HERE) -> Observation:
    """Make an observation."""
    return Observation("web-1", NOW, facts, {Address(address): state for address, state in states.items()})


def plan(
    desired: Iterable[Resource],
    states: Mapping[str, Mapping[str, Json]] | None = None,
    baseline: Iterable[Resource] = (),
    *,
    facts: Mapping[str, str] = HERE,
    only: Iterable[str] = (),
) -> HostPlan:
    """Plan one host; no states at all: it was never observed."""
    return plan_host(
        "web-1",
        tuple(desired),
        observation=None if states is None else observe(states, facts),
        baseline={resource.address: resource for resource in baseline},
        preparer=Preparer(PROVIDERS),
        only=frozenset(map(Address, only)),
    )


def lines(made: HostPlan) -> list[tuple[str, str, str]]:
    """Give (address, action, class) of each line."""
    return [(change.address, change.action, change.classification) for change in made.changes]


def effects(made: HostPlan) -> set[tuple[str, str]]:
    """Give (address, verb) of each effect."""
    return {(address, verb) for address, verb, _ in made.scope.effects}
