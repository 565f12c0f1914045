"""The digest tree of a scope: what is planted is what is read, the same whoever plants it, and a host reads its own branch alone."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.errors import BugError, MalformedError
from gitops.model.address import Address
from gitops.model.addressed import refuse_parts
from gitops.model.codec import decode_canonical, digest_bytes, encode_canonical
from gitops.model.graph import shard_of
from gitops.model.scope import HostScope, Scope, SharedScopes
from gitops.model.scopetree import ScopeTree, TreeScopes, digest_change, find_root, plant
from tests.support.nouns import scopes

MOTD = (Address("file:/etc/motd"), "a" * 64)


def open_tree(tree: ScopeTree, **more: Any) -> TreeScopes:
    return TreeScopes(tree.root, tree.documents.__getitem__, **more)


def fleet(hosts: int) -> Scope:
    """All hosts have one item; each has another of its own; half of them share a third."""
    found: dict[str, HostScope] = {}
    for number in range(hosts):
        own = (Address("file:/etc/own"), f"{number:064x}")
        half = {(Address("file:/etc/half"), "b" * 64)} if number % 2 else set()
        found[f"host-{number}"] = HostScope(frozenset({MOTD, own, *half}), frozenset({(MOTD[0], "set", "c" * 64)}))
    return Scope(found)


@given(scopes)
def test_what_is_planted_is_what_is_read(scope: Scope) -> None:
    tree = plant(scope)
    read = Scope(open_tree(tree))
    assert read == scope
    assert scope == read
    assert (len(read.hosts), tree.hosts) == (len(scope.hosts), len(scope.hosts))
    again: dict[str, HostScope] = {}
    for items, hosts in read.each_list():
        for host in hosts:
            known = again.get(host, HostScope())
            again[host] = HostScope(known.intents | items.intents, known.effects | items.effects)
    assert Scope(again) == scope
    assert all(digest_bytes(data) == digest for digest, data in tree.documents.items())


@given(scopes, st.randoms())
def test_equal_scopes_have_one_root_however_they_are_shared(scope: Scope, order: random.Random) -> None:
    """A scope may come as whole sets, or as lists that overlap: the tree is that of the sets."""
    lists: dict[str, list[HostScope]] = {}
    singles: dict[tuple[str, ...], HostScope] = {}
    for host, whole in scope.hosts.items():
        for item in sorted(whole.intents):
            lists.setdefault(host, []).append(singles.setdefault(item, HostScope(frozenset({item}))))
        lists.setdefault(host, []).extend([HostScope(frozenset(), whole.effects), whole])
        order.shuffle(lists[host])
    shared = Scope(SharedScopes(lists))
    assert shared == scope
    assert plant(shared) == plant(scope)
    assert find_root(shared) == find_root(Scope(open_tree(plant(scope)))) == plant(scope).root


def test_a_host_reads_its_own_branch_and_nothing_else() -> None:
    tree = plant(fleet(1000))
    read: list[str] = []

    def give(digest: str) -> bytes:
        read.append(digest)
        return tree.documents[digest]

    branch = TreeScopes(tree.root, give)
    assert branch["host-7"] == fleet(1000).hosts["host-7"]
    assert len(read) == 5  # root, shard, scope, and two lists
    assert sum(len(tree.documents[digest]) for digest in read) < 25_000
    assert "host-7" in branch
    assert "nobody" not in branch


def test_the_tree_grows_with_what_is_distinct() -> None:
    def size(scope: Scope) -> int:
        return sum(map(len, plant(scope).documents.values()))

    alike = Scope({f"host-{number}": HostScope(frozenset({MOTD})) for number in range(1000)})
    assert size(alike) < 130_000
    assert len([data for data in plant(alike).documents.values() if b"scope-list" in data]) == 1
    assert len([data for data in plant(alike).documents.values() if b"gitops/scope/v1" in data]) == 1


def test_lists_that_hosts_share_are_joined_when_a_host_is_asked_for() -> None:
    one, other, nothing = (
        HostScope(frozenset({MOTD})),
        HostScope(frozenset(), frozenset({(MOTD[0], "set", "c" * 64)})),
        HostScope(),
    )
    shared = SharedScopes({"a": [one], "b": [one, other], "c": [nothing]})
    assert (len(shared), list(shared), shared["a"]) == (2, ["a", "b"], one)
    assert shared["b"] == HostScope(one.intents, other.effects)
    assert (shared.root, shared.digest_of("a")) == ("", "")
    assert list(shared.each_list()) == [(one, ("a", "b")), (other, ("b",))]
    assert list(Scope({"a": one}).each_list()) == [(one, ("a",))]


def test_how_many_hosts_there_are_is_told_without_reading() -> None:
    assert len(TreeScopes("0" * 64, refuse_parts, 7)) == 7
    assert bool(TreeScopes("0" * 64, refuse_parts, 0)) is False
    with pytest.raises(BugError, match="were not read"):
        TreeScopes("0" * 64, refuse_parts, 7).get("web-1")


@pytest.mark.parametrize("schema", ["root", "shard", "scope", "scope-list"])
def test_a_document_that_was_changed_is_refused(schema: str) -> None:
    tree = plant(fleet(3))
    wanted = {"scope": "gitops/scope/v1", "root": "gitops/scope-root/v1", "shard": "gitops/scope-shard/v1"}
    name = wanted.get(schema, "gitops/scope-list/v1").encode()
    changed = {digest: data + b" " if name in data else data for digest, data in tree.documents.items()}
    with pytest.raises(MalformedError, match="is not what it was"):
        dict(TreeScopes(tree.root, changed.__getitem__))


def forge(shards: Any) -> TreeScopes:
    documents: dict[str, bytes] = {}

    def keep(document: Any) -> str:
        data = encode_canonical(document)
        documents[digest_bytes(data)] = data
        return digest_bytes(data)

    index = {name: keep({"schema": "gitops/scope-shard/v1", "hosts": table}) for name, table in shards.items()}
    return TreeScopes(keep({"schema": "gitops/scope-root/v1", "shards": index}), documents.__getitem__)


@pytest.mark.parametrize(
    ("shards", "words"),
    [({"00": {"web-1": "a" * 64}}, "another's shard"), ({shard_of("web-1"): {"web-1": "short"}}, "expected digests")],
)
def test_a_tree_that_is_made_up_is_refused(shards: Any, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        dict(forge(shards))


def test_the_change_digest_names_root_and_audience() -> None:
    scope = fleet(2)
    digests = {
        digest_change(scope, repository=repository, environment=environment, pull=pull)
        for repository, environment, pull in (("a", "e", "1"), ("b", "e", "1"), ("a", "f", "1"), ("a", "e", "2"))
    }
    assert len(digests) == 4
    assert digest_change(Scope(open_tree(plant(scope))), repository="a", environment="e", pull="1") in digests
    root: Any = decode_canonical(plant(scope).documents[plant(scope).root])
    assert root["schema"] == "gitops/scope-root/v1"
