"""Watching a bare repository: which pull requests to read again, since their branch, or the branch they go to, moved.

Takes snapshots of the branches and calls `touch` for what differs from the last one; costs one git process a second when nothing moves.
What it misses (a restart, a branch pushed and deleted between two looks) the reconciler finds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from gitops.source.repository import find_ref
from webhooks.forges.local.branches import list_heads
from webhooks.forges.local.forge import HEADS, NAME, find_target
from webhooks.records import PullKey


class Watch:
    """The last snapshot."""

    def __init__(self, repository: Path, touch: Callable[[PullKey], None]) -> None:
        self._repository = repository
        self._touch = touch
        self._lock = threading.Lock()
        self._heads: Mapping[str, str] = {}
        self._target = ""

    def look(self) -> None:
        """Take a snapshot and touch what moved; when the target branch moved, every pull request."""
        with self._lock:
            heads = list_heads(self._repository)
            target = find_ref(self._repository, HEADS + find_target(self._repository))
            moved = set(heads.items()) ^ set(self._heads.items())
            names = {name for name, _ in moved} if target == self._target else {*heads, *self._heads}
            self._heads, self._target = heads, target
        for name in sorted(names):
            self._touch(PullKey(NAME, name))
