"""Scope: the two sets that are approved, intents and effects, per host (DESIGN §4).

Equal sets are shared between hosts, so size grows with distinct changes and not with the fleet. The JSON form folds hosts with
equal sets together; what is approved is named by the root of their digest tree (`gitops.model.scopetree`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Callable, Dict, FrozenSet, Iterator, List, Mapping, Sequence, Tuple, TypeVar, cast

from gitops.errors import MalformedError
from gitops.model.address import Address, parse_address
from gitops.model.codec import Json, is_digest
from gitops.model.fields import Fields
from gitops.model.parts import Listing, list_rows

VERBS = ("set", "replace", "remove", "run", "restart", "reload")
REMOVED = "removed"
WHOLE = "*"  # in a host's place: the environment itself; no host can have this name

Intent = Tuple[Address, str]
Effect = Tuple[Address, str, str]
Item = TypeVar("Item", Intent, Effect)


@dataclass(frozen=True)
class HostScope:
    """One host's sets: intents (address, desired digest or `removed`), effects (address, verb, digest after or empty)."""

    intents: FrozenSet[Intent] = frozenset()
    effects: FrozenSet[Effect] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Say whether nothing is approved or needs approval here."""
        return not self.intents and not self.effects


@dataclass(frozen=True)
class Scope:
    """All hosts' sets; a host without any is not listed."""

    hosts: Mapping[str, HostScope] = field(default_factory=dict[str, HostScope])

    def each_list(self) -> Iterator[Tuple[HostScope, Tuple[str, ...]]]:
        """Give the sets of hosts as they are shared, each with the hosts (sorted) that have it: all lists of a host make its set."""
        if not isinstance(self.hosts, ListedScopes):
            yield from ((scope, (host,)) for host, scope in sorted(self.hosts.items()))
            return
        yield from self.hosts.each_list()

    def to_json(self, listing: Listing = list_rows) -> Dict[str, Json]:
        """Give `{intents: [{hosts, items}], effects: [{hosts, items}]}`, folded and sorted."""
        intents = {host: tuple(sorted(scope.intents)) for host, scope in self.hosts.items()}
        effects = {host: tuple(sorted(scope.effects)) for host, scope in self.hosts.items()}
        return {"intents": _fold(intents, listing), "effects": _fold(effects, listing)}

    @staticmethod
    def from_json(value: Json) -> Scope:
        """Read the folded form; a host listed twice in one set is refused."""
        fields = Fields(value, "scope")
        intents = _unfold(fields.items("intents"), _read_intent)
        effects = _unfold(fields.items("effects"), _read_effect)
        fields.done()
        hosts = sorted(set(intents) | set(effects))
        return Scope({host: HostScope(intents.get(host, frozenset()), effects.get(host, frozenset())) for host in hosts})


class ListedScopes(Mapping[str, HostScope], ABC):
    """Hosts' sets that are made of lists which hosts share. `root` is that of their digest tree, where it is known."""

    root: str = ""

    def digest_of(self, host: str) -> str:  # noqa: ARG002  trees can tell
        """Give the digest of a host's sets, where it is known; empty for none."""
        return ""

    @abstractmethod
    def each_list(self) -> Iterator[Tuple[HostScope, Tuple[str, ...]]]:
        """Give each list once, with its hosts (sorted)."""


class SharedScopes(ListedScopes):
    """Hosts' sets, each the union of some lists that hosts share: joined when a host is asked for, and never for all of them at once."""

    def __init__(self, lists: Mapping[str, Sequence[HostScope]]) -> None:
        found = {host: tuple(scope for scope in scopes if not scope.is_empty) for host, scopes in lists.items()}
        self._lists = {host: scopes for host, scopes in found.items() if scopes}

    def __getitem__(self, host: str) -> HostScope:
        scopes = self._lists[host]
        if len(scopes) == 1:
            return scopes[0]
        intents = frozenset(item for scope in scopes for item in scope.intents)
        return HostScope(intents, frozenset(item for scope in scopes for item in scope.effects))

    def __iter__(self) -> Iterator[str]:
        return iter(self._lists)

    def __len__(self) -> int:
        return len(self._lists)

    def each_list(self) -> Iterator[Tuple[HostScope, Tuple[str, ...]]]:
        """Give each list once, with its hosts (sorted)."""
        found: Dict[int, Tuple[HostScope, List[str]]] = {}
        for host in sorted(self._lists):
            for scope in self._lists[host]:
                found.setdefault(id(scope), (scope, []))[1].append(host)
        yield from ((scope, tuple(hosts)) for scope, hosts in found.values())


def write_items(scope: HostScope) -> Dict[str, Json]:
    """Give one host's sets, or a list that hosts share, as `{intents, effects}`, sorted."""
    intents: List[Json] = [list(item) for item in sorted(scope.intents)]
    effects: List[Json] = [list(item) for item in sorted(scope.effects)]
    return {"intents": intents, "effects": effects}


def read_items(fields: Fields) -> HostScope:
    """Take `intents` and `effects` from a document."""
    intents = frozenset(_read_intent(_row(item)) for item in fields.items("intents"))
    return HostScope(intents, frozenset(_read_effect(_row(item)) for item in fields.items("effects")))


def _fold(items: Mapping[str, Sequence[Tuple[str, ...]]], listing: Listing) -> List[Json]:
    hosts_of: Dict[Tuple[Tuple[str, ...], ...], List[str]] = {}
    for host in sorted(items):
        if items[host]:
            hosts_of.setdefault(tuple(items[host]), []).append(host)
    folded = sorted(hosts_of.items(), key=lambda pair: pair[1])
    return [{"hosts": list(hosts), "items": listing(found, list)} for found, hosts in folded]


def _unfold(groups: Sequence[Json], read: Callable[[Sequence[str]], Item]) -> Dict[str, FrozenSet[Item]]:
    found: Dict[str, FrozenSet[Item]] = {}
    for group in groups:
        fields = Fields(group, "scope group")
        items = frozenset(read(_row(item)) for item in fields.items("items"))
        hosts = fields.texts("hosts")
        if not items or not hosts:
            raise MalformedError("scope: a group has hosts and items", code="M031")
        for host in hosts:
            if host in found:
                raise MalformedError(f"scope: host `{host[:80]}` is listed twice", code="M031")
            found[host] = items
        fields.done()
    return found


def _row(value: Json) -> Sequence[str]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise MalformedError("scope: an item is a list of strings", code="M030")
    return cast(Sequence[str], value)


def _read_intent(row: Sequence[str]) -> Intent:
    if len(row) != 2 or not (row[1] == REMOVED or is_digest(row[1])):  # noqa: PLR2004  an intent is a pair
        raise MalformedError("scope: an intent is [address, desired digest or `removed`]", code="M030")
    return parse_address(row[0]), row[1]


def _read_effect(row: Sequence[str]) -> Effect:
    if len(row) != 3 or row[1] not in VERBS or not (row[2] == "" or is_digest(row[2])):  # noqa: PLR2004  a triple
        raise MalformedError("scope: an effect is [address, verb, digest after or empty]", code="M030")
    return parse_address(row[0]), row[1], row[2]
