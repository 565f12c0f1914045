"""Peers: the hosts of one environment as templates and CUE modules see them, for a load balancer's backends and the like.

A host is `{name, address, labels, vars}` with its variables resolved; hosts are sorted by name. What a selection comes to is kept with
a digest, so that the units of two hosts are compared by what they saw without comparing whole inventories.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from gitops.compile.frozen import freeze_nodes
from gitops.compile.written import to_readable
from gitops.config.config import HostDocument, Selector, matches
from gitops.config.node import Node
from gitops.config.selecting import explain_mismatch
from gitops.model.codec import digest_bytes

Peer = Mapping[str, object]


@dataclass(frozen=True)
class Selected:
    """The hosts of one selection, and a digest that is equal for equal ones only."""

    hosts: tuple[Peer, ...]
    digest: str


class Peers:
    """The hosts of one environment; selections are made once. `labels` are those of all hosts of the project."""

    def __init__(
        self, hosts: Iterable[tuple[HostDocument, Mapping[str, Node]]], labels: Sequence[Mapping[str, str]] = ()
    ) -> None:
        self._hosts = sorted(hosts, key=lambda pair: pair[0].name)
        self._shown: dict[str, Peer] = {}
        self._frozen: dict[str, list[object]] = {}
        self._found: dict[str, Selected] = {}
        self._labels = labels
        self._mismatches: dict[str, str] = {}

    def find(self, labels: Mapping[str, object]) -> tuple[str, Selected]:
        """Give the hosts that have every label with its value, or one of its values; raise TypeError for values that are no labels.

        The text beside it is the selection's own name, for `find_again`.
        """
        selector = {name: _read_values(name, value) for name, value in labels.items()}
        key = json.dumps({name: sorted(set(values)) for name, values in selector.items()}, sort_keys=True, ensure_ascii=False)
        return key, self._select(key, selector)

    def find_again(self, key: str) -> Selected:
        """Give what a selection that was made for another environment's host comes to here."""
        return self._select(key, _read_key(key))

    def explain_empty(self, key: str) -> str:
        """Say why a selection matches no host of the whole project; empty when one does, maybe in another environment."""
        if key not in self._mismatches:
            selector = _read_key(key)
            is_met = any(matches(selector, mine) for mine in self._labels)
            self._mismatches[key] = "" if is_met else explain_mismatch(selector, self._labels)
        return self._mismatches[key]

    def _select(self, key: str, selector: Selector) -> Selected:
        if key not in self._found:
            chosen = [pair for pair in self._hosts if matches(selector, pair[0].labels)]
            digest = digest_bytes(json.dumps([self._freeze(*pair) for pair in chosen]).encode())
            self._found[key] = Selected(tuple(self._show(*pair) for pair in chosen), digest)
        return self._found[key]

    def _show(self, host: HostDocument, values: Mapping[str, Node]) -> Peer:
        if host.name not in self._shown:
            self._shown[host.name] = {
                "name": host.name,
                "address": host.address,
                "labels": dict(host.labels),
                "vars": {name: to_readable(node) for name, node in values.items()},
            }
        return self._shown[host.name]

    def _freeze(self, host: HostDocument, values: Mapping[str, Node]) -> list[object]:
        if host.name not in self._frozen:
            self._frozen[host.name] = [host.name, host.address, dict(host.labels), freeze_nodes(values)]
        return self._frozen[host.name]


NO_PEERS = Peers(())


def _read_key(key: str) -> Selector:
    return {name: tuple(values) for name, values in json.loads(key).items()}


def _read_values(name: str, value: object) -> tuple[str, ...]:
    values = cast("list[object] | tuple[object, ...]", value) if isinstance(value, list | tuple) else (value,)
    if not values or not all(isinstance(item, str) for item in values):
        raise TypeError(f"hosts({name}=…) expects a label's value: a string, or a list of strings")
    return tuple(str(item) for item in values)
