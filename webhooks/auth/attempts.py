"""Attempts: how often somebody may be wrong about a password before they must wait.

Counts failures per name and address within a window. Names of users and names of nobody are counted apart, so that wrong names never lock
right ones, however many come from one address (a proxy's, say). What many wrong names cost is bounded in another way: once an address has
named nobody often, its further unknown names wait for each other (`is_guessing`), not before users. Kept in memory and bounded: who
floods it with names makes it forget names of nobody only. A success clears the name's count.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta

WINDOW = timedelta(minutes=10)
PER_NAME, UNKNOWN_PER_ADDRESS = 5, 30
MOST_KEYS = 10_000

Failures = OrderedDict[tuple[str, str], list[datetime]]


class Attempts:
    """Failures by name and address, the newest key last."""

    def __init__(self) -> None:
        self._known: Failures = OrderedDict()
        self._unknown: Failures = OrderedDict()
        self._guessing: Failures = OrderedDict()

    def may_try(self, name: str, address: str, now: datetime, *, is_user: bool) -> bool:
        """Say whether this name at this address may try once more; the answer for a name of nobody is what a user would get."""
        return _count(self._known if is_user else self._unknown, (name, address), now) < PER_NAME

    def fail(self, name: str, address: str, now: datetime, *, is_user: bool) -> None:
        """Count one failure."""
        if is_user:
            _add(self._known, (name, address), now, PER_NAME)
            return
        _add(self._unknown, (name, address), now, PER_NAME)
        _add(self._guessing, ("", address), now, UNKNOWN_PER_ADDRESS)

    def succeed(self, name: str, address: str) -> None:
        """Forget a user's failures at an address."""
        self._known.pop((name, address), None)

    def is_guessing(self, address: str, now: datetime) -> bool:
        """Say whether an address named so many who are nobody that its next one waits behind others that guess."""
        return _count(self._guessing, ("", address), now) >= UNKNOWN_PER_ADDRESS


def _add(failures: Failures, key: tuple[str, str], now: datetime, most: int) -> None:
    recent = [at for at in failures.pop(key, []) if now - at < WINDOW]
    failures[key] = [*recent, now][-most:]
    while len(failures) > MOST_KEYS:
        failures.popitem(last=False)


def _count(failures: Failures, key: tuple[str, str], now: datetime) -> int:
    return sum(1 for at in failures.get(key, []) if now - at < WINDOW)
