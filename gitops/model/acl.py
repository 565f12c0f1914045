"""Access control lists as people write them: entries in the short form of setfacl(1), and what must be there for those declared.

The base entries (`user::`, `group::`, `other::`) are the permissions of `mode`; named ones stand beside them, and a mask that bounds all
but `user::` and `other::`. The machine's `mode` shows the mask in the place of the group's permissions. Pure; the rules are acl(5)'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

TAGS = ("user", "group", "mask", "other")
BITS = "rwx"
_PERMISSIONS = r"r?-?w?-?x?-?\Z"
_ENTRY = r"(default:)?(user|group|mask|other):([^:\x00-\x1f\x7f]*):([rwx-]{1,3})\Z"
_NAMED = ("user", "group")
_GROUP_BITS, _GROUP_SHIFT = 0o070, 3


@dataclass(frozen=True)
class AclEntry:
    """One entry: `tag` is one of TAGS, `name` a user or group (or its number; empty: a base entry), `permissions` three letters."""

    tag: str
    name: str
    permissions: str
    is_default: bool = False

    @property
    def place(self) -> Tuple[bool, int, str]:
        """What of it must be unique; entries are sorted by it."""
        return self.is_default, TAGS.index(self.tag), self.name

    @property
    def bits(self) -> int:
        """The permissions as a digit."""
        return sum(4 >> place for place, letter in enumerate(self.permissions) if letter != "-")

    def __str__(self) -> str:
        """Give it as it is written."""
        return f"{'default:' if self.is_default else ''}{self.tag}:{self.name}:{self.permissions}"


Acl = Tuple[AclEntry, ...]


def parse_acl(texts: Sequence[str], *, has_default: bool) -> Acl:
    """Read declared entries, sorted; raise ValueError for the first that is wrong, stands twice or belongs to `mode`."""
    found: Dict[Tuple[bool, int, str], AclEntry] = {}
    for text in texts:
        entry = parse_entry(text)
        if entry.is_default and not has_default:
            raise ValueError(f"got {text[:80]!r}, but only a directory has default entries")
        if not entry.is_default and entry.tag != "mask" and not entry.name:
            raise ValueError(f"got {text[:80]!r}; the permissions of owner, group and others are `mode`")
        if entry.place in found:
            raise ValueError(f"got {text[:80]!r}, but {found[entry.place]} is there already")
        found[entry.place] = entry
    return sort_acl(list(found.values()))


def parse_entry(text: str) -> AclEntry:
    """Read one entry, `[default:]user|group:[NAME]:rwx`, `[default:]mask|other::rwx`; permissions left out are dashes."""
    matched = re.match(_ENTRY, text)
    letters = matched[4] if matched else ""
    if matched is None or (matched[3] and matched[2] not in _NAMED) or not re.match(_PERMISSIONS, letters):
        raise ValueError(f'got {text[:80]!r}, expected an entry like "user:alice:rw-", "group:ops:r--" or "mask::r-x"')
    full = "".join(bit if bit in letters else "-" for bit in BITS)
    return AclEntry(matched[2], matched[3], full, matched[1] is not None)


def sort_acl(entries: Sequence[AclEntry]) -> Acl:
    """Give entries in the one order they are shown and kept in."""
    return tuple(sorted(entries, key=lambda entry: entry.place))


def base_mode(mode: int, found: Sequence[AclEntry]) -> int:
    """Give the mode without what a list made of it: the group's own permissions where the mask's stood."""
    own = _find(found, "group", is_default=False)
    return mode if own is None else _with_group(mode, own.bits)


def shown_mode(mode: int, acl: Sequence[AclEntry]) -> int:
    """Give the mode as the machine shows it with a list: the mask's permissions in the place of the group's."""
    mask = _find(acl, "mask", is_default=False)
    return mode if mask is None else _with_group(mode, mask.bits)


def complete_acl(declared: Sequence[AclEntry], found: Sequence[AclEntry], mode: int) -> Acl:
    """Give every entry that must be there for those declared; `mode` is that of the base entries. What nobody declared of a default
    list's base entries stays as `found`, or begins as `mode`; a mask that nobody declared lets everything through.
    """
    access = [entry for entry in declared if not entry.is_default]
    default = [entry for entry in declared if entry.is_default]
    kept = [entry for entry in found if entry.is_default and not entry.name and entry.tag != "mask"]
    first = [AclEntry(entry.tag, "", entry.permissions, is_default=True) for entry in split_mode(mode)]
    return (*_complete(access, split_mode(mode)), *_complete(default, kept or first))


def split_mode(mode: int) -> Acl:
    """Give the base entries of a mode."""
    digits = (("user", mode >> 6), ("group", mode >> _GROUP_SHIFT), ("other", mode))
    return tuple(AclEntry(tag, "", spell(bits & 7)) for tag, bits in digits)


def spell(bits: int) -> str:
    """Give a digit's permissions as letters."""
    return "".join(letter if bits & (4 >> place) else "-" for place, letter in enumerate(BITS))


def show_acl(acl: Sequence[AclEntry]) -> List[str]:
    """Give the entries that are worth a word: no base entries of the mode, no mask that is what it would be anyway."""
    return [str(entry) for entry in sort_acl(acl) if not _is_plain(entry, acl)]


def _complete(declared: Sequence[AclEntry], base: Sequence[AclEntry]) -> Acl:
    if not declared:
        return ()
    entries = {entry.place: entry for entry in (*base, *declared)}
    has_names = any(entry.name for entry in declared)
    if has_names and not any(entry.tag == "mask" for entry in declared):
        mask = _widest(list(entries.values()), is_default=declared[0].is_default)
        entries[mask.place] = mask
    return sort_acl(list(entries.values()))


def _widest(entries: Sequence[AclEntry], *, is_default: bool) -> AclEntry:
    """Give the mask that takes nothing from anybody."""
    bounded = [entry for entry in entries if entry.is_default == is_default and (entry.name or entry.tag == "group")]
    letters = (letter if any(letter in entry.permissions for entry in bounded) else "-" for letter in BITS)
    return AclEntry("mask", "", "".join(letters), is_default)


def _is_plain(entry: AclEntry, acl: Sequence[AclEntry]) -> bool:
    if entry.name:
        return False
    if entry.tag == "mask":
        return entry == _widest(acl, is_default=entry.is_default) and _has_names(acl, is_default=entry.is_default)
    return not entry.is_default


def _has_names(acl: Sequence[AclEntry], *, is_default: bool) -> bool:
    return any(entry.name and entry.is_default == is_default for entry in acl)


def _find(acl: Sequence[AclEntry], tag: str, *, is_default: bool) -> Optional[AclEntry]:
    return next((entry for entry in acl if (entry.tag, entry.name, entry.is_default) == (tag, "", is_default)), None)


def _with_group(mode: int, bits: int) -> int:
    return mode & ~_GROUP_BITS | bits << _GROUP_SHIFT
