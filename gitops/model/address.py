"""Addresses: `kind:name`, the one name of a resource in config, plans and commands.

An address splits at its first colon, so names may hold colons, blanks, quotes and any Unicode. Names of hosts, modules,
groups and environments are stricter.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Iterator, NewType, Tuple

from gitops.errors import MalformedError

Address = NewType("Address", str)

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")
_OF_KINDS = _LETTERS | frozenset("0123456789_")
_NAME = r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?\Z"
MAX_KIND = 63
MAX_ADDRESS = 4200


def make_address(kind: str, name: str) -> Address:
    """Join a kind and a name."""
    return Address(f"{kind}:{name}")


def parse_address(text: str) -> Address:
    """Check that a text is an address; raise MalformedError otherwise."""
    kind, colon, name = text.partition(":")
    if not colon or not name or not _is_kind(kind) or len(text) > MAX_ADDRESS:
        raise MalformedError(f"not an address: got {text[:80]!r}, expected kind:name like file:/etc/motd", code="M020")
    return Address(text)


def split_address(address: Address) -> Tuple[str, str]:
    """Give (kind, name)."""
    kind, _, name = address.partition(":")
    return kind, name


def is_object_name(text: str) -> bool:
    """Say whether a text may name a host, module, group or environment (DESIGN §3)."""
    return bool(re.match(_NAME, text)) and ".." not in text


@lru_cache(maxsize=64)  # a thousand files are of one kind
def _is_kind(text: str) -> bool:
    return 0 < len(text) <= MAX_KIND and text[0] in _LETTERS and _OF_KINDS.issuperset(text)


def list_above(path: str) -> Iterator[str]:
    """Give every folder above an absolute path but the root, the nearest first."""
    while path.count("/") > 1:
        path = path.rpartition("/")[0]
        yield path
