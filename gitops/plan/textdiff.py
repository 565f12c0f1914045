"""Diffs of Git's own content for people: what a file's text was in the released graph and is in the proposed one.

Takes contents as graphs hold them (inline parts or blobs), gives unified-diff lines without headers, bounded; a secret stands as
its reference. Never sees what is on a host. Not imported by the executor (difflib is slow to load).
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Callable, List, Mapping, Optional, Tuple, cast

from gitops.model.address import Address
from gitops.model.codec import Json
from gitops.model.plan import HostPlan
from gitops.model.resource import Resource
from gitops.model.secret import show_text, text_from_json

Resources = Mapping[Address, Resource]
ReadBlob = Callable[[str], Optional[bytes]]

MAX_LINES = 400
MAX_BYTES = 256 * 1024
CONTEXT = 2


def add_diffs(
    plan: HostPlan,
    before: Resources,
    after: Resources,
    read_blob: ReadBlob,
) -> HostPlan:
    """Give the plan with `diff` lines on each change of a file's content."""
    changes = tuple(
        replace(
            change,
            diff=diff_resources(before.get(change.address), after.get(change.address), read_blob),
        )
        for change in plan.changes
    )
    return replace(plan, changes=changes)


def diff_resources(before: Optional[Resource], after: Optional[Resource], read_blob: ReadBlob) -> Tuple[str, ...]:
    """Give the lines for one resource, empty when its content is the same or it has none."""
    old = None if before is None else before.attributes.get("content")
    new = None if after is None else after.attributes.get("content")
    if old == new or new is None:
        return ()
    return diff_texts(_read_text(old, read_blob), _read_text(new, read_blob))


def diff_texts(old: Optional[str], new: Optional[str]) -> Tuple[str, ...]:
    """Give unified-diff lines (` `, `-`, `+`, `@@`), cut at MAX_LINES with a line that says so; None is binary or too large."""
    if old is None or new is None:
        return ("binary or large content differs",)
    lines: List[str] = []
    for line in difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=CONTEXT):
        if not line.startswith(("---", "+++")) or lines:
            lines.append(line)
    if old.endswith("\n") != new.endswith("\n") and old and new:
        lines.append("\\ the newline at the end of the file " + ("is added" if new.endswith("\n") else "is removed"))
    if len(lines) > MAX_LINES:
        lines = [*lines[:MAX_LINES], f"… {len(lines) - MAX_LINES} more lines"]
    return tuple(lines)


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
