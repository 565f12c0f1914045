"""The digest tree of a Scope: its root is what an approval names, and a host needs only its own branch of it.

Root → 256 shards (two hex digits of sha256(host)) → each host's scope → lists. A list holds the items that exactly the same hosts have, two
or more; what one host alone has stands in its scope. So equal scopes give equal trees whoever makes them, the tree grows with what is
distinct, and every document is named by its own digest. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, FrozenSet, Iterator, List, Mapping, Optional, Sequence, Set, Tuple, cast

from gitops.errors import MalformedError
from gitops.model.addressed import ReadPart, keep_document, open_document
from gitops.model.codec import Json, digest_json, is_digest
from gitops.model.graph import shard_of
from gitops.model.scope import Effect, HostScope, Intent, ListedScopes, Scope, read_items, write_items

ROOT_SCHEMA = "gitops/scope-root/v1"
SHARD_SCHEMA = "gitops/scope-shard/v1"
SCOPE_SCHEMA = "gitops/scope/v1"
LIST_SCHEMA = "gitops/scope-list/v1"

Names = Tuple[str, ...]


@dataclass(frozen=True)
class ScopeTree:
    """The root's digest, every document of the tree by its digest, and how many hosts it has."""

    root: str
    documents: Mapping[str, bytes]
    hosts: int


def plant(scope: Scope) -> ScopeTree:
    """Make the tree of a scope."""
    documents: Dict[str, bytes] = {}
    lists: Dict[str, List[str]] = {}
    own: Dict[str, HostScope] = {}
    for hosts, items in _find_lists(scope):
        if len(hosts) == 1:
            own[hosts[0]] = items
            continue
        digest = keep_document(documents, {"schema": LIST_SCHEMA, **write_items(items)})
        for host in hosts:
            lists.setdefault(host, []).append(digest)
    shards: Dict[str, Dict[str, Json]] = {}
    for host in sorted({*lists, *own}):
        named: List[Json] = [*sorted(lists.get(host, ()))]
        document = {"schema": SCOPE_SCHEMA, "lists": named, **write_items(own.get(host, HostScope()))}
        shards.setdefault(shard_of(host), {})[host] = keep_document(documents, document)
    index: Dict[str, Json] = {
        name: keep_document(documents, {"schema": SHARD_SCHEMA, "hosts": table}) for name, table in sorted(shards.items())
    }
    return ScopeTree(keep_document(documents, {"schema": ROOT_SCHEMA, "shards": index}), documents, len({*lists, *own}))


def find_root(scope: Scope) -> str:
    """Give the root of a scope's tree; one that came from a tree knows it."""
    return scope.hosts.root if isinstance(scope.hosts, TreeScopes) else plant(scope).root


def digest_change(scope: Scope, *, repository: str, environment: str, pull: str) -> str:
    """Give the change digest that reviewers approve: 64 hex digits over the root of both sets and what they are for."""
    return digest_root(find_root(scope), repository=repository, environment=environment, pull=pull)


def digest_root(root: str, *, repository: str, environment: str, pull: str) -> str:
    """Give the same for a root that is known."""
    return digest_json({"root": root, "repository": repository, "environment": environment, "pull": pull})


class TreeScopes(ListedScopes):
    """Hosts' sets as a tree has them, each read when it is asked for; what is read must be what its digest says (MalformedError)."""

    def __init__(self, root: str, read: ReadPart, count: Optional[int] = None) -> None:
        """Take how many hosts there are where that is known, so that it can be told without reading."""
        self.root = root
        self._read = read
        self._count = count
        self._shards: Dict[str, str] = {}
        self._is_open = False
        self._hosts: Dict[str, Mapping[str, str]] = {}
        self._lists: Dict[str, HostScope] = {}

    def __getitem__(self, host: str) -> HostScope:
        digest = self.digest_of(host)
        if not digest:
            raise KeyError(host)
        named, own = self._read_scope(digest)
        return _join([own, *(self._read_list(name) for name in named)])

    def __eq__(self, other: object) -> bool:
        """Equal sets have equal roots."""
        return self.root == other.root if isinstance(other, TreeScopes) else super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  as mappings are

    def __iter__(self) -> Iterator[str]:
        for shard in sorted(self.shards()):
            yield from self._read_shard(shard)

    def __len__(self) -> int:
        return sum(len(self._read_shard(shard)) for shard in self.shards()) if self._count is None else self._count

    def shards(self) -> Mapping[str, str]:
        """Give the digest of each shard."""
        if not self._is_open:
            fields = open_document(self.root, ROOT_SCHEMA, self._read)
            self._shards, self._is_open = _digests(fields.table("shards")), True
            fields.done()
        return self._shards

    def digest_of(self, host: str) -> str:
        """Give the digest of a host's scope; empty when it has none."""
        return self._read_shard(shard_of(host)).get(host, "")

    def each_list(self) -> Iterator[Tuple[HostScope, Names]]:
        """Give each list once, with its hosts, and what hosts have alone; the whole tree is read."""
        hosts_of: Dict[str, List[str]] = {}
        for host in sorted(self):
            named, own = self._read_scope(self.digest_of(host))
            if not own.is_empty:
                yield own, (host,)
            for name in named:
                hosts_of.setdefault(name, []).append(host)
        yield from ((self._read_list(name), tuple(hosts)) for name, hosts in hosts_of.items())

    def _read_scope(self, digest: str) -> Tuple[Names, HostScope]:
        fields = open_document(digest, SCOPE_SCHEMA, self._read)
        named = fields.texts("lists")
        own = read_items(fields)
        fields.done()
        return named, own

    def _read_shard(self, shard: str) -> Mapping[str, str]:
        if shard not in self._hosts:
            digest = self.shards().get(shard, "")
            found: Mapping[str, str] = {}
            if digest:
                fields = open_document(digest, SHARD_SCHEMA, self._read)
                found = _digests(fields.table("hosts"))
                fields.done()
            if any(shard_of(host) != shard for host in found):
                raise MalformedError("scope shard: a host stands in another's shard", code="M031")
            self._hosts[shard] = found
        return self._hosts[shard]

    def _read_list(self, digest: str) -> HostScope:
        if digest not in self._lists:
            fields = open_document(digest, LIST_SCHEMA, self._read)
            self._lists[digest] = read_items(fields)
            fields.done()
        return self._lists[digest]


def _find_lists(scope: Scope) -> Iterator[Tuple[Names, HostScope]]:
    """Give each set of hosts with the items that exactly these have."""
    given: List[Names] = []
    places: Dict[Tuple[str, ...], List[int]] = {}
    for items, hosts in scope.each_list():
        for item in (*items.intents, *items.effects):
            places.setdefault(item, []).append(len(given))
        given.append(hosts)
    together: Dict[Tuple[int, ...], List[Tuple[str, ...]]] = {}
    for item, numbers in places.items():
        together.setdefault(tuple(numbers), []).append(item)
    found: Dict[Names, List[Tuple[str, ...]]] = {}
    for numbers, items in together.items():
        hosts = given[numbers[0]] if len(numbers) == 1 else tuple(sorted({name for number in numbers for name in given[number]}))
        found.setdefault(hosts, []).extend(items)
    for hosts, items in found.items():
        yield hosts, _divide(items)


def _divide(items: Sequence[Tuple[str, ...]]) -> HostScope:
    intents: Set[Intent] = set()
    effects: Set[Effect] = set()
    for item in items:
        if len(item) == 2:  # noqa: PLR2004  an intent is a pair, an effect has three
            intents.add(cast("Intent", item))
        else:
            effects.add(cast("Effect", item))
    return HostScope(frozenset(intents), frozenset(effects))


def _join(scopes: Sequence[HostScope]) -> HostScope:
    intents: FrozenSet[Intent] = frozenset(item for scope in scopes for item in scope.intents)
    return HostScope(intents, frozenset(item for scope in scopes for item in scope.effects))


def _digests(table: Mapping[str, Json]) -> Dict[str, str]:
    found = {name: item for name, item in table.items() if isinstance(item, str) and is_digest(item)}
    if len(found) != len(table):
        raise MalformedError("scope document: expected digests", code="M031")
    return found
