"""What users of the settings do to pull requests of the `local` forge: the port that pages and API share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from webhooks.auth.users import User
from webhooks.records import PullKey


class Reviews(Protocol):
    """Each gives a sentence on what came of it.

    What may not be done is HeldError (exit 3) with the reason; it runs in a thread and may take as long as Git does.
    """

    def approve(self, key: PullKey, user: User, change_digest: str) -> str:
        """Say yes to exactly this change, as a remark that counts by the rules of every forge."""
        ...

    def take_back(self, key: PullKey, user: User) -> str:
        """Take back every yes of this user to this pull request."""
        ...

    def merge(self, key: PullKey, user: User, head: str) -> str:
        """Merge what was approved; `head` is what the user saw."""
        ...

    def refresh(self) -> None:
        """Look at the branches now, not at the next tick."""
        ...

    def list_refused(self) -> Mapping[str, str]:
        """Give the branches that look like pull requests and are none, with the reason."""
        ...
