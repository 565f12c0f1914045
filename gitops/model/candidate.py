"""Candidate: a release that was fetched and not yet believed; the noun that source gives and trust takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Mapping

Read = Callable[[str], bytes]


@dataclass(frozen=True)
class Listed:
    """One entry of the release tree: its Git mode as an octal text and its size."""

    mode: str
    size: int


@dataclass(frozen=True)
class Candidate:
    """A fetched release: its listing by path, and a reader of bytes by path (KeyError when it is not there)."""

    listing: Mapping[str, Listed]
    read: Read
