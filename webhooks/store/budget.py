"""Budget: how much one host may leave in the store within a day, and how often plans are looked at again for what it says.

Its own oldest runs go first, its own news wait; nobody else loses anything, and nothing that it said last is lost.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, select

from gitops.model.limits import DEFAULTS
from webhooks.records import HostKey, HostRecord
from webhooks.store.columns import pack_time
from webhooks.store.runs import is_of
from webhooks.store.tables import runs

DAY = timedelta(days=1)
FIRST_PAUSE, LONGEST_PAUSE = 2, 600
QUIET = timedelta(hours=1)


def ask_look(host: HostRecord, now: datetime) -> HostRecord:
    """Give a host that said something new with the time (`asked`) at which plans are to be looked at again.

    The first news wait a moment, since reports come in crowds, and those of an hour each twice as long as the ones before, up to ten
    minutes. A look that is still to come sees these, too.
    """
    if host.asked is not None and host.asked > now:
        return host
    first = now + timedelta(seconds=FIRST_PAUSE)
    if host.asked is None or now - host.asked >= QUIET:
        return replace(host, asked=first, pause=FIRST_PAUSE)
    due = max(first, host.asked + timedelta(seconds=host.pause))
    return replace(host, asked=due, pause=min(LONGEST_PAUSE, 2 * max(FIRST_PAUSE, host.pause)))


def trim_runs(connection: Connection, key: HostKey, now: datetime) -> int:
    """Remove a host's oldest runs of the last day until the others are within the budget, never its newest; give how many."""
    size = func.length(runs.c.document)
    query = select(runs.c.run, size).where(is_of(key), runs.c.received > pack_time(now - DAY))
    kept = size_kept = 0
    removed: list[str] = []
    for run, length in connection.execute(query.order_by(runs.c.received.desc(), runs.c.run.desc())):
        is_over = size_kept + length > DEFAULTS.host_day_bytes or kept >= DEFAULTS.host_day_runs
        if kept and (is_over or removed):
            removed.append(run)
            continue
        kept, size_kept = kept + 1, size_kept + length
    if removed:
        connection.execute(delete(runs).where(is_of(key), runs.c.run.in_(removed)))
    return len(removed)
