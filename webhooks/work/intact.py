"""Whether our one comment still stands as it was written: who may write in a repository may edit what others wrote there.

What a reviewer says yes to is a digest, and what it stands for is read in the comment. So a comment that somebody else changed is written
again, and what was said since then, or before, by whoever read it, does not count; one that was removed is written again, and that is all.
What was changed and put back between two looks shows in the comment's time, which moves with every edit; within the second of our own
writing, in a webhook alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from gitops.render.comment import MARKER
from webhooks.forges.port import Posted, Talk
from webhooks.records import PullKey, PullRecord
from webhooks.store.approvals import lose_approvals_of
from webhooks.store.plans import unpublish_plans
from webhooks.store.pulls import find_pull, save_pull
from webhooks.store.store import Store

CHANGED = "the plan's comment was changed by somebody else: read it again"


def is_changed(store: Store, talk: Talk, key: PullKey) -> bool:
    """Say whether the comment that stands on the forge is not what was written last, before or while it was looked at."""
    before = _recall(store, key)
    found = None if before is None else _find_ours(talk, before)
    if before is None or found is None:
        return False
    after = _recall(store, key) or before
    return not (_is_as_written(found, before) or _is_as_written(found, after))


def restore_comment(store: Store, talk: Talk, pull: PullRecord, touched: Collection[str] = ()) -> PullRecord:
    """Give the pull request with its comment to be written again, when it does not stand as it was written.

    Plans are read anew from then on: what was said to them before is lost. `touched` are references of comments that are known to be
    edited by another than their author, whatever stands there.
    """
    if not pull.comment_ident or not pull.comment:
        return pull
    found = _find_ours(talk, pull)
    if found is not None and _is_as_written(found, pull) and f"comment:{pull.comment_ident}" not in touched:
        return replace(pull, comment_at=pull.comment_at or found.at)
    unwritten = replace(pull, comment="", comment_ident=pull.comment_ident if found is not None else "")
    with store.write() as connection:
        save_pull(connection, unwritten)
        if found is not None:
            lose_approvals_of(connection, pull.key, CHANGED)
            unpublish_plans(connection, pull.key)
    return unwritten


def _recall(store: Store, key: PullKey) -> PullRecord | None:
    with store.read() as connection:
        return find_pull(connection, key)


def _find_ours(talk: Talk, pull: PullRecord) -> Posted | None:
    """Give our comment as it stands now; None when it is not there, or was never written."""
    if not pull.comment_ident or not pull.comment:
        return None
    found = talk.find_comment(pull.key, MARKER)
    return None if found is None or found.ident != pull.comment_ident else found


def _is_as_written(found: Posted, pull: PullRecord) -> bool:
    """Compare text and time. An earlier version did not keep the time: then what stands counts as written."""
    is_later = pull.comment_at is not None and found.at > pull.comment_at
    return not is_later and _lines_of(found.body) == _lines_of(pull.comment)


def _lines_of(text: str) -> list[str]:
    """Compare as forges keep texts: line ends may be changed, blanks at the ends cut."""
    return [line.rstrip() for line in text.strip().splitlines()]
