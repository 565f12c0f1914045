"""SELinux contexts as people write them: `user:role:type`, with a level or without, or a type alone. Pure.

What is left out stays as the machine made it: so a type alone is enough for most, and a policy without levels is no other.
"""

from __future__ import annotations

import re

_CONTEXT = r"(?a:[\w.]+(:[\w.]+:[\w.]+(:[\w.,:-]+)?)?\Z)"
_PARTS, _TYPE = 3, 2


def parse_context(text: str) -> str:
    """Give a context or type back; raise ValueError for anything else."""
    if not re.match(_CONTEXT, text):
        raise ValueError(f'got {text[:80]!r}, expected a type like "etc_t" or a context like "system_u:object_r:etc_t:s0"')
    return text


def is_labelled(declared: str, found: str) -> bool:
    """Say whether a context is as declared, in what is declared."""
    return bool(found) and join_context(declared, found) == found


def join_context(declared: str, found: str) -> str:
    """Give the context that something with this one is to have; empty when a type alone is declared and there is no context."""
    parts = found.split(":", _PARTS)
    wanted = declared.split(":", _PARTS)
    if len(wanted) == 1:
        return ":".join([*parts[:_TYPE], declared, *parts[_PARTS:]]) if len(parts) >= _PARTS else ""
    return ":".join([*wanted, *parts[len(wanted) :]])
