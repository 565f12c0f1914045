"""What an approval keeps and loses: the one comparison that service, release and host use (DESIGN §4).

Pure set arithmetic: an item is covered when some approval's sets hold exactly it, for exactly that host.
"""

from __future__ import annotations

from typing import Dict, Iterable

from gitops.model.scope import HostScope, Scope
from gitops.model.scopetree import TreeScopes


def covers(approved: Iterable[Scope], actual: Scope) -> bool:
    """Say whether no intent and no effect lies outside what was approved."""
    return not find_excess(approved, actual).hosts


def find_excess(approved: Iterable[Scope], actual: Scope) -> Scope:
    """Give what lies outside: hosts with nothing outside are not listed. Equal trees, and equal scopes of trees, are not read."""
    scopes = tuple(approved)
    trees = [item.hosts for item in scopes if isinstance(item.hosts, TreeScopes)]
    wanted = actual.hosts if isinstance(actual.hosts, TreeScopes) else None
    if wanted is not None and any(tree.root == wanted.root for tree in trees):
        return Scope()
    excess: Dict[str, HostScope] = {}
    for host in actual.hosts:
        if wanted is not None and any(tree.digest_of(host) == wanted.digest_of(host) for tree in trees):
            continue
        intents, effects = actual.hosts[host].intents, actual.hosts[host].effects
        for item in scopes:
            given = item.hosts.get(host)
            if given is not None:
                intents, effects = intents - given.intents, effects - given.effects
        if intents or effects:
            excess[host] = HostScope(intents, effects)
    return Scope(excess)
