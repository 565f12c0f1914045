"""Attempts: how often somebody may be wrong about a password before they must wait.

Counts failures per name and address, and per address, within a window; takes the time, gives whether another attempt is allowed.
Kept in memory and bounded: whoever floods it only forgets the oldest counts. A success clears the name's count and takes
its own attempt back from the address's.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta

WINDOW = timedelta(minutes=10)
PER_NAME, PER_ADDRESS = 5, 30
MOST_KEYS = 10_000


class Attempts:
    """Failures by key, the newest key last."""

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, str], list[datetime]] = OrderedDict()

    def may_try(self, name: str, address: str, now: datetime) -> bool:
        """Say whether this name at this address may try once more."""
        return self._count((name, address), now) < PER_NAME and self._count(("", address), now) < PER_ADDRESS

    def fail(self, name: str, address: str, now: datetime) -> None:
        """Count one failure."""
        for key in ((name, address), ("", address)):
            recent = [at for at in self._failures.pop(key, []) if now - at < WINDOW]
            self._failures[key] = [*recent, now][-PER_ADDRESS:]
        while len(self._failures) > MOST_KEYS:
            self._failures.popitem(last=False)

    def succeed(self, name: str, address: str) -> None:
        """Forget a name's failures at an address, and the attempt that was counted before it was known to be right."""
        self._failures.pop((name, address), None)
        whole = self._failures.get(("", address), [])
        if whole:
            whole.pop()

    def _count(self, key: tuple[str, str], now: datetime) -> int:
        return sum(1 for at in self._failures.get(key, []) if now - at < WINDOW)
