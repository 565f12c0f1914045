"""Budget: how much one host may leave in the store within a day. Its own oldest runs go first; nobody else loses anything."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, select

from gitops.model.limits import DEFAULTS
from webhooks.records import HostKey
from webhooks.store.columns import pack_time
from webhooks.store.runs import is_of
from webhooks.store.tables import runs

DAY = timedelta(days=1)


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
