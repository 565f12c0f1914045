"""Laws of scopes: folding loses nothing, the digest depends on the sets alone, other spellings are refused."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.errors import MalformedError
from gitops.model.codec import decode_canonical, encode_canonical
from gitops.model.scope import HostScope, Scope
from gitops.model.scopetree import digest_change
from tests.support.nouns import host_scopes, names, scopes

D = "ab" * 32


def digest(scope: Scope, *, repository: str = "acme", environment: str = "production", pull: str = "7") -> str:
    return digest_change(scope, repository=repository, environment=environment, pull=pull)


@given(scopes)
def test_folding_and_unfolding_give_the_same_sets(scope: Scope) -> None:
    assert Scope.from_json(decode_canonical(encode_canonical(scope.to_json()))) == scope


@given(scopes, st.randoms())
def test_the_digest_is_independent_of_the_order_of_hosts(scope: Scope, order: random.Random) -> None:
    hosts = list(scope.hosts)
    order.shuffle(hosts)
    assert digest(Scope({host: scope.hosts[host] for host in hosts})) == digest(scope)


@given(scopes, names, host_scopes)
def test_the_digest_moves_with_the_sets(scope: Scope, host: str, other: HostScope) -> None:
    changed = Scope({**scope.hosts, host: other})
    before = scope.hosts.get(host, HostScope())
    assert (digest(changed) == digest(scope)) == (before == other)


def test_the_digest_is_bound_to_what_it_is_for() -> None:
    scope = Scope({"a": HostScope(frozenset({("file:/x", D)}))})  # pyright: ignore[reportArgumentType]
    found = {digest(scope), digest(scope, repository="x"), digest(scope, environment="x"), digest(scope, pull="8")}
    assert len(found) == 4


def test_the_digest_is_stable_over_versions_of_this_program() -> None:
    scope = Scope({"a": HostScope(frozenset({("file:/x", D)}), frozenset({("file:/x", "set", D)}))})  # pyright: ignore[reportArgumentType]
    assert digest(scope) == "910122baa2c628b46476ba357b92b8fe652816aa5ea036200186ec910ab958e1"


def test_hosts_with_equal_sets_are_folded_and_one_that_has_only_one_set_is_kept() -> None:
    item, effect = ("file:/x", D), ("file:/x", "set", D)
    scope = Scope(
        {  # pyright: ignore[reportArgumentType]
            "c": HostScope(frozenset({item}), frozenset({effect})),
            "a": HostScope(frozenset({item})),
            "b": HostScope(frozenset(), frozenset({effect})),
        }
    )
    assert scope.to_json() == {
        "intents": [{"hosts": ["a", "c"], "items": [list(item)]}],
        "effects": [{"hosts": ["b", "c"], "items": [list(effect)]}],
    }
    assert Scope.from_json(scope.to_json()) == scope


def test_a_host_without_items_is_not_listed() -> None:
    assert Scope({"a": HostScope()}).to_json() == {"intents": [], "effects": []}
    assert HostScope().is_empty


GOOD: dict[str, Any] = {"hosts": ["a"], "items": [["file:/x", D]]}


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"intents": [GOOD, GOOD], "effects": []}, "M031"),
        ({"intents": [{"hosts": ["a", "a"], "items": [["file:/x", D]]}]}, "M031"),
        ({"intents": [{"hosts": [], "items": [["file:/x", D]]}]}, "M031"),
        ({"intents": [{"hosts": ["a"], "items": []}]}, "M031"),
        ({"intents": [{**GOOD, "more": 1}]}, "M013"),
        ({"intents": [], "more": []}, "M013"),
        ({"intents": [{"hosts": ["a"], "items": [["file:/x", "ab"]]}]}, "M030"),
        ({"intents": [{"hosts": ["a"], "items": [["file:/x"]]}]}, "M030"),
        ({"intents": [{"hosts": ["a"], "items": ["file:/x"]}]}, "M030"),
        ({"intents": [{"hosts": ["a"], "items": [[1, 2]]}]}, "M030"),
        ({"intents": [{"hosts": ["a"], "items": [["nothing", D]]}]}, "M020"),
        ({"effects": [{"hosts": ["a"], "items": [["file:/x", D]]}]}, "M030"),
        ({"effects": [{"hosts": ["a"], "items": [["file:/x", "delete", D]]}]}, "M030"),
        ({"effects": [{"hosts": ["a"], "items": [["file:/x", "set", "x"]]}]}, "M030"),
        ({"effects": [{"hosts": [1], "items": [["file:/x", "set", D]]}]}, "M014"),
    ],
)
def test_other_spellings_are_refused(document: Any, code: str) -> None:
    with pytest.raises(MalformedError) as stop:
        Scope.from_json(document)
    assert stop.value.code == code
