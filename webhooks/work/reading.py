"""Read a pull request anew from its forge, over what is known of it. Nothing a webhook said counts, but who it says pushed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from webhooks.forges.port import ForgePull
from webhooks.records import PullRecord


def merge_records(found: ForgePull, known: PullRecord | None, pushers: Sequence[str], now: datetime) -> PullRecord:
    """Give what is known of a pull request with what its forge says now; who ever worked on it stays a contributor."""
    base = known or PullRecord(found.key, found.title, found.author, found.head, found.branch)
    is_reopened = base.is_settled and found.state == "open"
    is_moved = base.branch != found.branch
    return replace(
        base,
        title=found.title,
        author=found.author,
        head=found.head,
        branch=found.branch,
        state=found.state,
        merged=found.merged,
        contributors=tuple(dict.fromkeys((*base.contributors, *found.contributors, *pushers))),
        url=found.url,
        version=found.version,
        is_settled=base.is_settled and not is_reopened,
        planning="waiting" if is_reopened or is_moved else base.planning,
        updated=now if _has_changed(found, known) else base.updated,
    )


def _has_changed(found: ForgePull, known: PullRecord | None) -> bool:
    if known is None:
        return True
    return (found.title, found.head, found.branch, found.state) != (known.title, known.head, known.branch, known.state)
