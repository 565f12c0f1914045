"""Records of macOS' Open Directory on this machine (its local node), as dscl prints and takes them."""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Sequence

from gitops.errors import HostError
from gitops.providers.host import Host

PROGRAM = "/usr/bin/dscl"
NOT_FOUND = "eDSRecordNotFound"
PREFIXES = ("dsAttrTypeStandard:", "dsAttrTypeNative:")
NO_KEY = "No such key"
NODE, LOCAL = "AppleMetaNodeLocation", "/Local/"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?\Z")
OUTPUT_SHOWN = 400
USERS, GROUPS = "/Users", "/Groups"
UID, GID, MEMBERS = "UniqueID", "PrimaryGroupID", "GroupMembership"
SYSTEM_FIRST, SYSTEM_END, FIRST = 200, 400, 501  # Apple's own daemons are below, people from 501 on


def read_record(path: str, keys: Sequence[str], host: Host) -> Optional[Dict[str, List[str]]]:
    """Give the values of a record by key, None when there is no such record, or can be none of that name."""
    if not NAME.match(path.rpartition("/")[2]):
        return None
    done = host.run(["dscl", ".", "-read", path, *keys])
    if NOT_FOUND in done.output:
        return None
    if done.status != 0 and NO_KEY not in done.output:
        raise HostError(f"dscl -read {path} ended with {done.status}: {done.output.strip()[-OUTPUT_SHOWN:]}", code="E142")
    return parse_record(done.output)


def parse_record(output: str) -> Dict[str, List[str]]:
    """Read `Key: value value`, or, when a value holds blanks, `Key:` and lines of one value each, begun by one blank."""
    found: Dict[str, List[str]] = {}
    values: List[str] = []
    for line in output.splitlines():
        if line.startswith(" "):
            values.append(line[1:])
            continue
        for prefix in PREFIXES:
            line = line[len(prefix) :] if line.startswith(prefix) else line  # noqa: PLW2901  the same key without it
        key, colon, rest = line.partition(":")
        values = rest.split()
        if colon and key != NO_KEY:
            found[key] = values
    return found


def list_values(kind: str, key: str, host: Host) -> Dict[str, List[str]]:
    """Give the values of one key of all records, by their names."""
    done = host.run(["dscl", ".", "-list", kind, key])
    if done.status != 0:
        raise HostError(f"dscl -list {kind} ended with {done.status}: {done.output.strip()[-OUTPUT_SHOWN:]}", code="E142")
    rows = [line.split() for line in done.output.splitlines()]
    return {row[0]: row[1:] for row in rows if row}


def list_elsewhere(kind: str, names: Sequence[str], host: Host) -> Sequence[str]:
    """Give those of the names that another directory, which this machine searches, has."""
    return [name for name in names if _is_elsewhere(f"{kind}/{name}", host)]


def find_number(kind: str, key: str, host: Host, *, is_system: bool) -> int:
    """Give a free number for a new record."""
    taken = {
        int(value) for values in list_values(kind, key, host).values() for value in values[:1] if value.lstrip("-").isdigit()
    }
    if not is_system:
        return max([FIRST - 1, *taken]) + 1
    free = next((number for number in range(SYSTEM_FIRST, SYSTEM_END) if number not in taken), None)
    if free is None:
        raise HostError(
            f"no number from {SYSTEM_FIRST} to {SYSTEM_END - 1} is free for a system account: declare one", code="E142"
        )
    return free


def find_gid(group: str, host: Host) -> str:
    """Give a group's number; a number is its own. Raise HostError when there is no such group."""
    if group.isdigit():
        return group
    values = (read_record(f"{GROUPS}/{group}", [GID], host) or {}).get(GID)
    if not values:
        raise HostError(f"there is no group `{group}` on this machine", code="E210", hint=f"declare group: {group}")
    return values[0]


def set_value(path: str, key: str, value: str, host: Host) -> None:
    """Set a key to one value."""
    call(["dscl", ".", "-create", path, key, value], host)


def set_member(group: str, user: str, host: Host, *, is_member: bool) -> None:
    """Take a user into a group or out of it, its inverse noted first."""
    verbs = ("-a", "-d") if is_member else ("-d", "-a")
    host.note_undo(edit_member(verbs[1], user, group))
    call(edit_member(verbs[0], user, group), host)


def edit_member(verb: str, user: str, group: str) -> List[str]:
    """Give the command that takes a user in (`-a`) or out (`-d`)."""
    return ["dseditgroup", "-q", "-o", "edit", verb, user, "-t", "user", group]


def call(argv: Sequence[str], host: Host) -> None:
    """Run one command; raise HostError with its last words when it fails."""
    done = host.run(argv)
    if done.status != 0:
        raise HostError(f"{' '.join(argv[:4])} ended with {done.status}: {done.output.strip()[-OUTPUT_SHOWN:]}", code="E142")


def _is_elsewhere(path: str, host: Host) -> bool:
    done = host.run(["dscl", "/Search", "-read", path, NODE])
    places = parse_record(done.output).get(NODE, []) if done.status == 0 else []
    return bool(places) and not places[0].startswith(LOCAL)  # the search begins at home: a record that was cut off is there
