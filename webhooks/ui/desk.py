"""Desks: what each group of pages is made from and what its buttons do. Filled in by the composition root of the service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from webhooks.auth.gate import Gate
from webhooks.records import ReleaseRecord
from webhooks.reviews import Reviews
from webhooks.store.store import Store


@dataclass(frozen=True)
class Desk:
    """What every page needs: who asks, what is known, what time it is."""

    gate: Gate
    store: Store
    now: Callable[[], datetime]


@dataclass(frozen=True)
class PullDesk(Desk):
    """`reviews` None: no `local` forge; `clone` is where its repository is cloned from."""

    reviews: Reviews | None = None
    clone: str = ""


@dataclass(frozen=True)
class HostDesk(Desk):
    """`public_url`: the address that hosts enrol at, empty when the service has none."""

    public_url: str = ""


@dataclass(frozen=True)
class ReleaseDesk(Desk):
    """`key_of` names a release's signing keys."""

    key_of: Callable[[ReleaseRecord], str] = field(default=lambda _release: "")
