"""Worlds: a fleet before a change, after it, and as it was seen, planned by parts and, as the oracle, host by host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gitops.model.codec import digest_bytes
from gitops.model.fleetplan import FleetPlan, PlanSubject
from gitops.model.graph import Block, Graphs, HostGraph
from gitops.model.observation import Observation
from gitops.model.resource import Resource
from gitops.plan.fleet import FleetInputs, join_planned, plan_fleet
from gitops.plan.hosts import HostsPlanner
from gitops.plan.item import Preparer
from gitops.providers.registry import PROVIDERS

SUBJECT = PlanSubject("acme", "production", "7")
NOTHING = Graphs("production")


@dataclass(frozen=True)
class World:
    """A fleet before, after and as it was seen; `serial` is that of the release."""

    released: Graphs
    desired: Graphs
    seen: dict[str, Observation] = field(default_factory=dict)
    serial: int = 2


def plan_by_parts(world: World) -> FleetPlan:
    inputs = FleetInputs(world.desired, world.released, world.seen, serial=world.serial)
    return plan_fleet(SUBJECT, inputs, providers=PROVIDERS)


def plan_whole(world: World) -> FleetPlan:
    planner = HostsPlanner(world.desired, world.released, world.seen, Preparer(PROVIDERS), serial=world.serial)
    names = sorted({*world.desired.hosts, *world.released.hosts})
    return join_planned(SUBJECT, [planner.plan_whole(name) for name in names], hosts=len(world.desired.hosts))


class Side:
    """Graphs in the making: each host's resources cut into two blocks and what is its own, in one of a few ways."""

    def __init__(self) -> None:
        self.hosts: dict[str, HostGraph] = {}
        self.blocks: dict[str, Block] = {}

    def add(self, host: str, resources: Sequence[Resource], way: int) -> None:
        cut: list[list[Resource]] = [[], [], []]
        for number, item in enumerate(resources):
            cut[(number * way + way) % 3].append(item)
        digests = []
        for number, some in enumerate(cut[:2]):
            if some:
                block = Block(f"module/{number}", tuple(some))
                digests.append(digest_bytes(block.to_bytes()))
                self.blocks[digests[-1]] = block
        self.hosts[host] = HostGraph(host, "production", tuple(digests), tuple(cut[2]))

    def graphs(self) -> Graphs:
        return Graphs("production", self.hosts, self.blocks)
