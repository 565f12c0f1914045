"""Whether our one comment still stands as it was written: who may write in a repository may edit what others wrote there.

What a reviewer says yes to is a digest, and what it stands for is read in the comment. So a comment that somebody else changed is written
again, and what was said since then, or before, by whoever read it, does not count; one that was removed is written again, and that is all.
"""

from __future__ import annotations

from dataclasses import replace

from gitops.render.comment import MARKER
from webhooks.forges.port import Talk
from webhooks.records import PullKey, PullRecord
from webhooks.store.approvals import lose_approvals_of
from webhooks.store.plans import unpublish_plans
from webhooks.store.pulls import find_pull, save_pull
from webhooks.store.store import Store

CHANGED = "the plan's comment was changed by somebody else: read it again"


def is_changed(store: Store, talk: Talk, key: PullKey) -> bool:
    """Say whether the comment that stands on the forge says something else than what was written last, before or while it was looked at."""
    before = _recall(store, key)
    text = None if before is None else _find_text(talk, before)
    if before is None or text is None:
        return False
    after = _recall(store, key) or before
    return text not in (_lines_of(before.comment), _lines_of(after.comment))


def restore_comment(store: Store, talk: Talk, pull: PullRecord) -> PullRecord:
    """Give the pull request with its comment to be written again, when it does not stand as it was written.

    Plans are read anew from then on: what was said to them before is lost.
    """
    if not pull.comment_ident or not pull.comment:
        return pull
    text = _find_text(talk, pull)
    if text == _lines_of(pull.comment):
        return pull
    unwritten = replace(pull, comment="", comment_ident=pull.comment_ident if text is not None else "")
    with store.write() as connection:
        save_pull(connection, unwritten)
        if text is not None:
            lose_approvals_of(connection, pull.key, CHANGED)
            unpublish_plans(connection, pull.key)
    return unwritten


def _recall(store: Store, key: PullKey) -> PullRecord | None:
    with store.read() as connection:
        return find_pull(connection, key)


def _find_text(talk: Talk, pull: PullRecord) -> list[str] | None:
    """Give what our comment says now; None when it is not there, or was never written."""
    if not pull.comment_ident or not pull.comment:
        return None
    found = talk.find_comment(pull.key, MARKER)
    return None if found is None or found.ident != pull.comment_ident else _lines_of(found.body)


def _lines_of(text: str) -> list[str]:
    """Compare as forges keep texts: line ends may be changed, blanks at the ends cut."""
    return [line.rstrip() for line in text.strip().splitlines()]
