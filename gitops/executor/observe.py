"""Observe a machine: all resources of a kind in one pass; change nothing."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, Sequence, Set

from gitops.errors import ConfigError, UsageError
from gitops.executor.aliases import find_twins
from gitops.executor.tree import Tree
from gitops.model.address import Address
from gitops.model.observation import Observation, State
from gitops.model.resource import Resource
from gitops.plan.condition import judge_when
from gitops.plan.item import NEEDS_LINUX, TWIN, Item, Preparer, Providers
from gitops.plan.order import close_over, find_edges
from gitops.providers.host import Host


def observe_states(seen: Observation, items: Sequence[Item], host: Host) -> Observation:
    """Give the observation with the states of all items whose `when` is met here, or may be."""
    return replace(
        seen, states=observe_items([item for item in items if judge_when(item.resource, seen).state in ("met", "unknown")], host)
    )


def observe_items(items: Sequence[Item], host: Host) -> Dict[Address, State]:
    """Give the state of each item, whatever its `when` says; every kind is asked once."""
    by_kind: Dict[str, List[Item]] = {}
    for item in items:
        by_kind.setdefault(item.resource.kind, []).append(item)
    states: Dict[Address, State] = {}
    for kind in sorted(by_kind):
        states.update(_observe_kind(by_kind[kind], host))
    return states


def mark_twins(seen: Observation, items: Sequence[Item], tree: Tree) -> Observation:
    """Give the observation with a mark in the state of each item whose path another item means by another name."""
    twins = find_twins([item for item in items if item.resource.address in seen.states], tree)
    marked: Dict[Address, State] = {address: {**seen.states[address], TWIN: other} for address, other in twins.items()}
    return replace(seen, states={**seen.states, **marked}) if marked else seen


def check_root(items: Iterable[Item], root: str) -> None:
    """Raise UsageError (exit 1) when `--root` is given and a kind cannot honour it."""
    refused = sorted({item.resource.kind for item in items if root and not item.provider.honours_root})
    if refused:
        message = f"with --root these kinds cannot be used: {', '.join(refused)}"
        raise UsageError(message, code="U040", hint="use --only, or run on the machine itself")


def find_managed(resources: Iterable[Resource], preparer: Preparer) -> FrozenSet[str]:
    """Give every path that a resource owns or edits, or that must stay for it: a purge leaves them."""
    items = preparer.prepare_all(resources)
    return frozenset(path for item in items for path in (*item.relations.paths, *item.relations.keeps))


def find_sensitive(resources: Iterable[Resource], preparer: Preparer) -> FrozenSet[str]:
    """Give every path whose content holds a secret or is declared sensitive; resources of unknown kinds have none."""
    found: Set[str] = set()
    for resource in resources:
        try:
            item = preparer.prepare(resource)
        except ConfigError:
            continue  # an entry of an old ledger
        if getattr(item.spec, "is_secret", False):
            found.update(item.relations.owns)
    return frozenset(found)


def select_items(items: Sequence[Item], only: FrozenSet[Address]) -> Sequence[Item]:
    """Give the items of these addresses and all that they need; everything when no address is given."""
    if not only:
        return items
    wanted = close_over(sorted(only), find_edges(items))
    return [item for item in items if item.resource.address in wanted]


def make_preparer(providers: Providers) -> Preparer:
    """Give a preparer of these providers."""
    return Preparer(providers)


def _observe_kind(items: Sequence[Item], host: Host) -> Mapping[Address, State]:
    provider: Any = items[0].provider
    if provider.needs_linux and os.uname().sysname != "Linux":
        return {item.resource.address: {NEEDS_LINUX: True} for item in items}
    states: Mapping[str, State] = provider.observe([item.spec for item in items], host)
    return {item.resource.address: states[item.resource.name] for item in items}
