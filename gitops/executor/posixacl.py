"""Access control lists as the kernel keeps them: two extended attributes, little-endian (linux/posix_acl_xattr.h).

Gives and takes entries of `gitops.model.acl`; users and groups are numbers there, names here. The bytes are those that setfacl(1) writes.
"""

from __future__ import annotations

import struct
from typing import Dict, List, Mapping, Sequence, Tuple

from gitops.errors import HostError
from gitops.executor.accounts import Accounts
from gitops.model.acl import Acl, AclEntry, spell

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
VERSION = 2
HEAD, ROW = struct.Struct("<I"), struct.Struct("<HHI")
NO_ID = 0xFFFFFFFF
TAGS: Mapping[Tuple[str, bool], int] = {
    ("user", False): 0x01,
    ("user", True): 0x02,
    ("group", False): 0x04,
    ("group", True): 0x08,
    ("mask", False): 0x10,
    ("other", False): 0x20,
}
WORDS = {number: words for words, number in TAGS.items()}

Names = Mapping[Tuple[bool, str, int], str]


def encode_acl(entries: Sequence[AclEntry], accounts: Accounts) -> bytes:
    """Give the attribute of one list, access or default; raise HostError for an unknown name, and for two names of one."""
    rows: Dict[Tuple[int, int], AclEntry] = {}
    for entry in entries:
        place = (TAGS[entry.tag, bool(entry.name)], _id_of(entry, accounts) if entry.name else NO_ID)
        if place in rows:
            raise HostError(f"`{rows[place]}` and `{entry}` are of the same {entry.tag} on this machine", code="E348")
        rows[place] = entry
    return HEAD.pack(VERSION) + b"".join(ROW.pack(tag, rows[tag, number].bits, number) for tag, number in sorted(rows))


def decode_acl(data: bytes, accounts: Accounts, names: Names, *, is_default: bool = False) -> List[AclEntry]:
    """Read the attribute of one list; `names` are those that somebody else calls a user or group by."""
    try:
        if HEAD.unpack_from(data) != (VERSION,):
            raise ValueError("another version")
        rows = [(WORDS[tag], bits, number) for tag, bits, number in ROW.iter_unpack(data[HEAD.size :])]
    except (struct.error, KeyError, ValueError) as error:
        raise HostError(f"its ACL cannot be read: {error}", code="E349") from error
    found: List[AclEntry] = []
    for (tag, is_named), bits, number in rows:
        name = (names.get((is_default, tag, number)) or _name_of(tag, number, accounts)) if is_named else ""
        found.append(AclEntry(tag, name, spell(bits), is_default))
    return found


def name_declared(declared: Acl, accounts: Accounts) -> Names:
    """Give what the users and groups of declared entries are called there; those that this machine does not know are left out."""
    found: Dict[Tuple[bool, str, int], str] = {}
    for entry in declared:
        try:
            if entry.name:
                found[entry.is_default, entry.tag, _id_of(entry, accounts)] = entry.name
        except HostError:
            continue
    return found


def _id_of(entry: AclEntry, accounts: Accounts) -> int:
    return accounts.user_id(entry.name) if entry.tag == "user" else accounts.group_id(entry.name)


def _name_of(tag: str, number: int, accounts: Accounts) -> str:
    return accounts.user_name(number) if tag == "user" else accounts.group_name(number)
