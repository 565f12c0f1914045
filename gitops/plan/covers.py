"""What an approval keeps and loses: the one comparison that service, release and host use (DESIGN §4).

Pure set arithmetic: an item is covered when some approval's sets hold exactly it, for exactly that host.
"""

from __future__ import annotations

from typing import Dict, Iterable, Optional, Sequence

from gitops.model.scope import HostScope, ListedScopes, Scope


def covers(approved: Iterable[Scope], actual: Scope) -> bool:
    """Say whether no intent and no effect lies outside what was approved."""
    return not find_excess(approved, actual).hosts


def find_excess(approved: Iterable[Scope], actual: Scope) -> Scope:
    """Give what lies outside: hosts with nothing outside are not listed. Equal trees, and equal scopes of trees, are not read."""
    scopes = tuple(approved)
    trees = [item.hosts for item in scopes if isinstance(item.hosts, ListedScopes)]
    wanted = actual.hosts
    root = wanted.root if isinstance(wanted, ListedScopes) else ""
    if root and any(tree.root == root for tree in trees):
        return Scope()
    excess: Dict[str, HostScope] = {}
    for host in wanted:
        digest = wanted.digest_of(host) if isinstance(wanted, ListedScopes) else ""
        if digest and any(tree.digest_of(host) == digest for tree in trees):
            continue
        found = _subtract(wanted[host], [item.hosts.get(host) for item in scopes])
        if not found.is_empty:
            excess[host] = found
    return Scope(excess)


def _subtract(actual: HostScope, given: Sequence[Optional[HostScope]]) -> HostScope:
    intents, effects = actual.intents, actual.effects
    for item in given:
        if item is not None:
            intents, effects = intents - item.intents, effects - item.effects
    return HostScope(intents, effects)
