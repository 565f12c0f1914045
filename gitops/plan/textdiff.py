"""Diffs of Git's own content for people: what a file's text was in the released graph and is in the proposed one.

Takes contents as graphs hold them (inline parts or blobs), gives unified-diff lines without headers, bounded in time and size; a
secret stands as its reference, what is declared sensitive is not shown. Never sees what is on a host. Not imported by the executor
(difflib is slow to load).
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple, cast

from gitops.model.address import Address
from gitops.model.codec import Json
from gitops.model.plan import HostPlan
from gitops.model.resource import Resource
from gitops.model.secret import show_text, text_from_json

Resources = Mapping[Address, Resource]
ReadBlob = Callable[[str], Optional[bytes]]
Differ = Callable[[Optional[Resource], Optional[Resource]], Tuple[str, ...]]

MAX_LINES = 400
MAX_COMPARED = 3000
MAX_BYTES = 256 * 1024
CONTEXT = 2
PARTS = ("block", "line")
HIDDEN = ("the content is sensitive and not shown",)
UNREADABLE = ("binary or large content differs",)


def add_diffs(plan: HostPlan, before: Resources, after: Resources, read_blob: ReadBlob) -> HostPlan:
    """Give the plan with `diff` lines on each change of a file's content."""
    return add_diffs_by(make_differ(read_blob), plan, before, after)


def add_diffs_by(differ: Differ, plan: HostPlan, before: Resources, after: Resources) -> HostPlan:
    """Do the same with a differ that many hosts share."""
    changes = tuple(
        replace(change, diff=differ(before.get(change.address), after.get(change.address)))
        if change.action not in ("restart", "reload", "refused")
        else change
        for change in plan.changes
    )
    return replace(plan, changes=changes)


def make_differ(read_blob: ReadBlob) -> Differ:
    """Give a function that compares each pair of resources once: hosts share the resources of their blocks."""
    known: Dict[Tuple[int, int], Tuple[Optional[Resource], Optional[Resource], Tuple[str, ...]]] = {}

    def differ(before: Optional[Resource], after: Optional[Resource]) -> Tuple[str, ...]:
        key = (id(before), id(after))
        if key not in known:
            known[key] = (before, after, diff_resources(before, after, read_blob))
        return known[key][2]

    return differ


def is_whole(diff: Sequence[str]) -> bool:
    """Say whether a diff shows all that differs: nothing hidden, cut, or not readable."""
    return tuple(diff) not in (HIDDEN, UNREADABLE) and not any(line.startswith("…") for line in diff)


def diff_resources(before: Optional[Resource], after: Optional[Resource], read_blob: ReadBlob) -> Tuple[str, ...]:
    """Give the lines for one resource, empty when its content is the same or it has none."""
    old, new = _content_of(before), _content_of(after)
    if old == new or new is None:
        return ()
    if _is_hidden(before) or _is_hidden(after):
        return HIDDEN
    return diff_texts(_read_text(old, read_blob), _read_text(new, read_blob))


def diff_texts(old: Optional[str], new: Optional[str]) -> Tuple[str, ...]:
    """Give unified-diff lines (` `, `-`, `+`, `@@`), cut at MAX_LINES with a line that says so; None is binary or too large."""
    if old is None or new is None:
        return UNREADABLE
    lines = _compare(_split(old), _split(new))
    if old.endswith("\n") != new.endswith("\n") and old and new:
        lines.append("\\ the newline at the end of the file " + ("is added" if new.endswith("\n") else "is removed"))
    if len(lines) > MAX_LINES:
        lines = [*lines[:MAX_LINES], f"… {len(lines) - MAX_LINES} more lines"]
    return tuple(lines)


def _content_of(resource: Optional[Resource]) -> Json:
    """Give the content of a file, or the lines that a part of a file has: none when it is to go."""
    if resource is None:
        return None
    if resource.kind not in PARTS:
        return resource.attributes.get("content")
    return "" if resource.attributes.get("state") == "absent" else f"{str(resource.attributes.get('text')).rstrip(chr(10))}\n"


def _compare(old: Sequence[str], new: Sequence[str]) -> List[str]:
    """Compare lines; what is too long to be compared well is shown as taken away and put there, beyond its common ends."""
    if not old and 1 < len(new) <= MAX_COMPARED:  # as of each new file
        return [f"@@ -0,0 +1,{len(new)} @@", *(f"+{line}" for line in new)]
    if max(len(old), len(new)) <= MAX_COMPARED:
        return list(difflib.unified_diff(old, new, lineterm="", n=CONTEXT))[2:]
    start, end = 0, 0
    shorter = min(len(old), len(new))
    while start < shorter and old[start] == new[start]:
        start += 1
    while end < shorter - start and old[-1 - end] == new[-1 - end]:
        end += 1
    gone, come = old[start : len(old) - end], new[start : len(new) - end]
    if max(len(gone), len(come)) <= MAX_COMPARED:
        lines = list(difflib.unified_diff(gone, come, lineterm="", n=CONTEXT))[2:]
        return [f"… {start} lines the same", *lines, f"… {end} lines the same"]
    return [f"… from line {start + 1} on, {len(gone)} lines become {len(come)}: too many to compare"]


def _split(text: str) -> List[str]:
    """Split at newlines only, so that a changed carriage return is seen."""
    lines = text.split("\n")
    return lines[:-1] if not lines[-1] else lines


def _is_hidden(resource: Optional[Resource]) -> bool:
    """Say whether a resource is declared sensitive; content that only holds references shows these, never a value."""
    if resource is None or resource.attributes.get("sensitive") is not True:
        return False
    content = resource.attributes.get("content")
    return not (isinstance(content, dict) and "parts" in content)


def _read_text(content: Json, read_blob: ReadBlob) -> Optional[str]:
    if content is None:
        return ""
    if isinstance(content, dict) and "blob" in content:
        table = cast(Mapping[str, Json], content)
        size = table.get("size")
        if isinstance(size, int) and size > MAX_BYTES:
            return None
        return _decode(read_blob(str(table["blob"])))
    return show_text(text_from_json(content, "content"))


def _decode(data: Optional[bytes]) -> Optional[str]:
    if data is None or b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None
