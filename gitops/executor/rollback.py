"""Undo a run from its journal, newest entry first: paths get their before-images back, commands their inverse, the rest is said.

What somebody changed since the run is undone too (people asked for it), but the plan of the undo says so first.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple, cast

from gitops.errors import TrueupError
from gitops.executor.extended import join_extended
from gitops.executor.host import RealHost
from gitops.executor.journal import Entry
from gitops.executor.restore import restore_path
from gitops.model.address import Address, make_address
from gitops.model.codec import Json, decode_json
from gitops.model.report import Outcome
from gitops.providers.external import ask_undo
from gitops.providers.host import SessionUndo
from gitops.providers.steps import describe_failure, show_name

Tell = Callable[[Outcome], None]
Left = Mapping[str, str]
SHOWN_COMMAND = 200
SHOWN_OUTPUT = 400
SHOWN_STAYS = 5
RECORD_BYTES = 1 << 16


def plan_undo(entries: Sequence[Entry]) -> Tuple[Entry, ...]:
    """Give what would be undone, in order; of several images of one path only the oldest counts. What was there comes back in the place
    of the newest, so before what lay in it; what was not there goes in that of the oldest, so after all that came into it. An image
    that kept only owner and mode takes the content from the next.
    """
    chosen: List[Entry] = []
    oldest: Dict[str, Entry] = {}
    for entry in entries:
        if entry.path:
            oldest[entry.path] = _join(oldest.get(entry.path), entry)
    places: Dict[str, Entry] = {}
    for entry in entries:
        if entry.path and (entry.path not in places or (oldest[entry.path].before or {}).get("type") != "absent"):
            places[entry.path] = entry
    for entry in reversed(entries):
        if not entry.path:
            chosen.append(entry)
        elif places[entry.path] is entry:
            chosen.append(oldest[entry.path])
    return tuple(_refreshes_late(_parents_first(chosen)))


def describe_undo(entry: Entry, left: Left, host: RealHost) -> Dict[str, Json]:
    """Give {what, undoable, reason, warning} for people and programs; `left` is what the run left, by path."""
    if entry.request is not None:
        reason = _why_not(entry)
        what = f"{_address_of(entry)}: {'refreshed again' if entry.is_refresh else 'back to what it was'}"
        return {"what": what, "undoable": not reason, "reason": reason, "warning": ""}
    if not entry.path:
        reason = _why_not(entry) if entry.undo else entry.why_not
        return {"what": " ".join(entry.undo), "undoable": bool(entry.undo) and not reason, "reason": reason, "warning": ""}
    before = entry.before or {}
    reason = _why_not(entry)
    is_touched = entry.path in left and host.tree.fingerprint(entry.path) != left[entry.path]
    return {
        "what": f"{show_name(entry.path)}: back to {before.get('type')}",
        "undoable": not reason,
        "reason": reason,
        "warning": "it was changed since that run; that change is lost" if is_touched and not reason else "",
    }


def undo(entries: Sequence[Entry], host: RealHost, tell: Tell) -> Tuple[Outcome, ...]:
    """Undo every entry; one that fails is told and the rest goes on."""
    planned = plan_undo(entries)
    able = [entry for entry in planned if entry.path and not _why_not(entry)]
    failures: Dict[str, str] = {}
    for is_sensitive in (False, True):
        for has_content in (False, True):
            paths = [entry.path for entry in able if (entry.is_sensitive, _has_content(entry)) == (is_sensitive, has_content)]
            failures.update(host.prepare(paths, is_sensitive=is_sensitive, has_content=has_content))
    outcomes: List[Outcome] = []
    for entry in planned:
        outcome = _undo_one(entry, host, failures.get(entry.path, ""))
        outcomes.append(outcome)
        tell(outcome)
    host.writer.settle()
    return tuple(outcomes)


def is_incomplete(outcomes: Sequence[Outcome]) -> bool:
    """Say whether anything stays as the run left it: what failed, and what nothing undoes (a command, a removed user)."""
    return any(item.is_left for item in outcomes)


def describe_rest(outcomes: Sequence[Outcome]) -> str:
    """Name what stays and why, as many as fit a line; nothing when nothing stays."""
    words = [item.message or item.address for item in outcomes if item.is_left]
    more = f", and {len(words) - SHOWN_STAYS} more" if len(words) > SHOWN_STAYS else ""
    return f"{len(words)} of {len(outcomes)} things stay: {', '.join(words[:SHOWN_STAYS])}{more}" if words else ""


def _undo_one(entry: Entry, host: RealHost, failure: str) -> Outcome:
    address = _address_of(entry)
    why_not = _why_not(entry)
    if why_not:
        return Outcome(address, "refused", "skipped", why_not)
    if failure:
        return Outcome(address, "update", "failed", failure)
    try:
        if entry.path:
            restore_path(host, entry.path, entry.before or {})
        elif entry.request is not None:
            host.note_undo((), f"{address} was brought back by its provider; that cannot be undone again")
            undo_request = SessionUndo(entry.request, _read_hidden(entry.record))
            ask_undo({"blob": os.path.basename(entry.program), "path": entry.program}, undo_request, host)
        else:
            host.note_undo((), f"`{' '.join(entry.undo)}` undid something; that cannot be undone again")
            done = host.feed_line(entry.undo, _read_record(entry.record)) if entry.record else host.run(entry.undo)
            if done.status != 0:
                return Outcome(address, "run", "failed", f"status {done.status}: {done.output.strip()[-SHOWN_OUTPUT:]}")
    except (TrueupError, OSError) as error:
        return Outcome(address, "update", "failed", describe_failure(error))
    return Outcome(address, "run" if not entry.path and entry.request is None else "update", "reverted")


def _read_record(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read(RECORD_BYTES)


def _read_hidden(path: str) -> Mapping[str, Json]:
    return cast("Mapping[str, Json]", decode_json(_read_record(path))) if path else {}


def _address_of(entry: Entry) -> Address:
    if entry.request is not None:
        item = entry.request.get("item")
        thing = item.get("name") if isinstance(item, dict) else ""
        return make_address("external", show_name(f"{entry.request.get('provider')}/{thing}"))
    if not entry.path:
        return make_address("command", " ".join(entry.undo)[:SHOWN_COMMAND] or "undo")
    kind = str((entry.before or {}).get("type"))
    return make_address(kind if kind in ("directory", "symlink") else "file", show_name(entry.path))


def _why_not(entry: Entry) -> str:
    """Say why an entry cannot be undone; empty when it can."""
    if entry.record and not os.path.exists(entry.record):
        return "the secret that it needs was kept in memory, and is gone"
    if entry.request is not None:
        return entry.why_not
    if not entry.path:
        return "" if entry.undo else entry.why_not or "nothing undoes it"
    before = entry.before or {}
    if before.get("type") == "other":
        return "it was a device, socket or pipe"
    image = before.get("image")
    if before.get("type") != "file" or not _has_content(entry) or (isinstance(image, str) and image and os.path.exists(image)):
        return ""
    return entry.why_not or ("its content was kept in memory, and is gone" if entry.is_sensitive else "its content was not kept")


def _parents_first(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Directories that come back stand before what was in them; things that vanish go children first (the reverse order)."""
    back = sorted((item for item in entries if _comes_back(item)), key=lambda item: item.path)
    rest = [item for item in entries if not _comes_back(item)]
    return [*back, *rest]


def _refreshes_late(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Let what reads files again do so when these are as they were: a refresh moves behind the paths and refreshes that follow it, and
    never behind a command, which may take away what is to be refreshed.
    """
    found: List[Entry] = []
    waiting: List[Entry] = []
    for entry in entries:
        if entry.is_refresh:
            waiting.append(entry)
            continue
        if not entry.path and (entry.undo or entry.request is not None):
            found.extend(waiting)
            waiting = []
        found.append(entry)
    return [*found, *waiting]


def _has_content(entry: Entry) -> bool:
    """Say whether an entry is of more than owner and mode of a file that stays."""
    before = entry.before or {}
    return before.get("type") != "file" or before.get("image") is not None


def _join(first: Optional[Entry], second: Entry) -> Entry:
    """Give the older of two entries of one path, with the younger one's content when it has none of its own."""
    if first is None:
        return second
    older, younger = first.before or {}, second.before or {}
    if older.get("type") != "file" or older.get("image") is not None or younger.get("type") != "file":
        return first
    kept = {name: older[name] for name in ("mode", "uid", "gid")}
    if "xattrs" in older:
        kept["xattrs"] = join_extended(older["xattrs"], younger.get("xattrs"))
    return replace(second, before={**younger, **kept}, is_sensitive=first.is_sensitive or second.is_sensitive)


def _comes_back(entry: Entry) -> bool:
    return bool(entry.path) and (entry.before or {}).get("type") != "absent"
