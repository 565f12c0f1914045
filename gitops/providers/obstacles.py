"""What on a machine stands in the way of a change of files: mounts, file systems that are read-only, immutable and append-only flags.

Takes a difference and the `held` and `pinned` of a state (see `PathState`), gives the difference with the words. Whether that
refuses it, or something before it may clear the way, is for the planner to say.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, Iterable, Optional, Tuple

from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.model.plan import Difference
from gitops.providers.host import PathState

HELD, PINNED, LINKS, CAPABLE = "held", "pinned", "links", "capabilities"


def describe_holds(found: PathState) -> Dict[str, Json]:
    """Give the state keys of what keeps a path as it is, of other names and of capabilities; none of them in the usual case."""
    state: Dict[str, Json] = {}
    if found.held:
        state[HELD] = found.held
    if found.pinned:
        state[PINNED] = found.pinned
    if found.links > 1:
        state[LINKS] = found.links
    if found.has_capabilities:
        state[CAPABLE] = True
    return state


def meet(difference: Optional[Difference], state: State, *, is_in_place: bool = False, place: str = "") -> Optional[Difference]:
    """Give a difference with what stands in its way; `is_in_place`: only owner, mode and the like change. `place` is named when it is not
    the thing itself.
    """
    if difference is None or difference.action == "refused":
        return difference
    words = state.get(HELD) or ("" if is_in_place else state.get(PINNED))
    return replace(difference, obstacle=f"{place}: {words}" if place else str(words)) if words else difference


def find_obstacle_of(parts: Iterable[Tuple[str, Difference]]) -> str:
    """Give what stands in the way of the first of some parts (by place) that has something; nothing when none has."""
    return next((f"{place}: {part.obstacle}" for place, part in parts if part.obstacle), "")


def describe_names(state: State, *, is_split: bool) -> str:
    """Say what a change means for the other names of a file; nothing when it has none."""
    count = state.get(LINKS)
    if not isinstance(count, int) or count <= 1:
        return ""
    others = "another name (a hard link)" if count == 2 else f"{count - 1} other names (hard links)"  # noqa: PLR2004
    fate = "which keeps the old content" if is_split else "which changes with it"
    if count > 2:  # noqa: PLR2004
        fate = "which keep the old content" if is_split else "which change with it"
    return f"it has {others}, {fate}"
