"""Rerouted: what two compiled projects say otherwise of how an environment is routed and judged, and how its hosts are reached.

The same item `environment:NAME` that a pull request's plan has, for those who compare two commits themselves: whether one of them is what
is in force is for `gitops.pipeline.route` to say.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gitops.model.plan import HostPlan
from gitops.pipeline.answer import HostEntry, list_entries
from gitops.pipeline.project import Built
from gitops.pipeline.route import Route, list_ways, plan_new


def plan_rerouting(before: Built, after: Built, name: str, only_hosts: Collection[str] | None = None) -> HostPlan | None:
    """Give the item; None when nothing of it changes, or `after` has no such environment. `only_hosts` leaves others' ways out."""
    old, new = before.config.project.environments.get(name), after.config.project.environments.get(name)
    if new is None:
        return None
    if old is None:
        return plan_new(new)
    ways = list_ways(name, _list_hosts(before))
    shown = {host: way for host, way in ways.items() if only_hosts is None or host in only_hosts}
    return Route(old, ways=shown).plan_change(new, _list_hosts(after))


def _list_hosts(built: Built) -> Mapping[str, HostEntry]:
    return list_entries(built.config, {name: host.environment for name, host in built.compiled.hosts.items()})
