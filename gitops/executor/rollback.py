"""Undo a run from its journal, newest entry first: paths get their before-images back, commands their inverse, the rest is said."""

from __future__ import annotations

import os
from typing import Callable, Dict, List, Sequence, Tuple

from gitops.errors import TrueupError
from gitops.executor.host import RealHost
from gitops.executor.journal import Entry
from gitops.model.address import Address, make_address
from gitops.model.codec import Json
from gitops.model.report import Outcome
from gitops.providers.steps import describe_failure

Tell = Callable[[Outcome], None]


def plan_undo(entries: Sequence[Entry]) -> Tuple[Entry, ...]:
    """Give what would be undone, in order; of several images of one path only the oldest counts, and comes last."""
    chosen: List[Entry] = []
    oldest: Dict[str, Entry] = {}
    for entry in entries:
        if entry.path:
            oldest.setdefault(entry.path, entry)
    seen: Dict[str, None] = {}
    for entry in reversed(entries):
        if not entry.path:
            chosen.append(entry)
        elif entry.path not in seen:
            seen[entry.path] = None
            chosen.append(oldest[entry.path])
    return tuple(_parents_first(chosen))


def describe_undo(entry: Entry) -> Dict[str, Json]:
    """Give {what, undoable, reason} for people and programs."""
    if entry.path:
        before = entry.before or {}
        reason = entry.why_not or ("" if _has_image(entry) else "its content before was not kept")
        return {"what": f"{entry.path}: back to {before.get('type')}", "undoable": not reason, "reason": reason}
    return {"what": " ".join(entry.undo), "undoable": bool(entry.undo), "reason": entry.why_not}


def undo(entries: Sequence[Entry], host: RealHost, tell: Tell) -> Tuple[Outcome, ...]:
    """Undo every entry; one that fails is told and the rest goes on."""
    outcomes: List[Outcome] = []
    for entry in plan_undo(entries):
        outcome = _undo_one(entry, host)
        outcomes.append(outcome)
        tell(outcome)
    return tuple(outcomes)


def _undo_one(entry: Entry, host: RealHost) -> Outcome:
    address = _address_of(entry)
    described = describe_undo(entry)
    if not described["undoable"]:
        return Outcome(address, "refused", "skipped", str(described["reason"]))
    try:
        if entry.path:
            host.restore(entry.path, entry.before or {})
        else:
            done = host.run(entry.undo)
            if done.status != 0:
                return Outcome(address, "run", "failed", f"status {done.status}: {done.output.strip()[-400:]}")
    except (TrueupError, OSError) as error:
        return Outcome(address, "update", "failed", describe_failure(error))
    return Outcome(address, "update" if entry.path else "run", "reverted")


def _address_of(entry: Entry) -> Address:
    if not entry.path:
        return make_address("command", " ".join(entry.undo)[:200] or "undo")
    kind = str((entry.before or {}).get("type"))
    return make_address(kind if kind in ("directory", "symlink") else "file", entry.path)


def _has_image(entry: Entry) -> bool:
    before = entry.before or {}
    if before.get("type") != "file":
        return before.get("type") != "other"
    image = before.get("image")
    return isinstance(image, str) and bool(image) and os.path.exists(image)


def _parents_first(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Directories that come back stand before what was in them; things that vanish go children first (the reverse order)."""
    back = sorted((item for item in entries if _comes_back(item)), key=lambda item: item.path)
    rest = [item for item in entries if not _comes_back(item)]
    return [*back, *rest]


def _comes_back(entry: Entry) -> bool:
    return bool(entry.path) and (entry.before or {}).get("type") != "absent"
