"""GroupSpec: what is declared of a group of users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from gitops.model.attribute import attribute


@dataclass(frozen=True)
class GroupSpec:
    """A group of users."""

    name: str
    gid: Optional[int] = attribute("integer", "numeric id", bounds=(0, 4294967294))
    system: bool = attribute("boolean", "a system group, when made", default=False)
    members: Optional[Tuple[str, ...]] = attribute("texts", "users that are in it, exactly these; each must be there")
    append: bool = attribute("boolean", "`members` are added; others stay", default=False)
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))
