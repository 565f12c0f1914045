"""What an approval keeps and loses: the one comparison that service, release and host use (DESIGN §4).

Pure set arithmetic: an item is covered when some approval's sets hold exactly it, for exactly that host.
"""

from __future__ import annotations

from typing import Dict, Iterable

from gitops.model.scope import HostScope, Scope


def covers(approved: Iterable[Scope], actual: Scope) -> bool:
    """Say whether no intent and no effect lies outside what was approved."""
    return not find_excess(approved, actual).hosts


def find_excess(approved: Iterable[Scope], actual: Scope) -> Scope:
    """Give what lies outside: hosts with nothing outside are not listed."""
    scopes = tuple(approved)
    excess: Dict[str, HostScope] = {}
    for host, scope in actual.hosts.items():
        intents, effects = scope.intents, scope.effects
        for item in scopes:
            given = item.hosts.get(host)
            if given is not None:
                intents, effects = intents - given.intents, effects - given.effects
        if intents or effects:
            excess[host] = HostScope(intents, effects)
    return Scope(excess)
