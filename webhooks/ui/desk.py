"""The desk: what the pages are made from and what their buttons do. Filled in by the composition root of the service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from webhooks.auth.gate import Gate
from webhooks.auth.users import User
from webhooks.records import PullKey, ReleaseRecord
from webhooks.store.store import Store


class Reviews(Protocol):
    """What users of the settings do to pull requests of the `local` forge. Each gives a sentence on what came of it.

    What may not be done is HeldError (exit 3) with the reason; it runs in a thread and may take as long as Git does.
    """

    def approve(self, key: PullKey, user: User, change_digest: str) -> str:
        """Say yes to exactly this change, as a remark that counts by the rules of every forge."""
        ...

    def merge(self, key: PullKey, user: User, head: str) -> str:
        """Merge what was approved; `head` is what the user saw."""
        ...

    def refresh(self) -> None:
        """Look at the branches now, not at the next tick."""
        ...


@dataclass(frozen=True)
class Desk:
    """`reviews` None: no `local` forge; `clone` is where its repository is cloned from; `key_of` names a release's signing keys."""

    gate: Gate
    store: Store
    now: Callable[[], datetime]
    public_url: str = ""
    reviews: Reviews | None = None
    clone: str = ""
    key_of: Callable[[ReleaseRecord], str] = field(default=lambda _release: "")
