"""What /etc/shadow says of a user: the password's hash, whether it is locked, how it ages. Helps the `user` kind.

A hash is compared on the machine and never part of a state, a plan or an argument list: it reaches `chpasswd -e` by its standard
input. The file is read only when somebody asks for what is in it.
"""

from __future__ import annotations

from datetime import date
from typing import Dict, List, Mapping, Optional, Sequence

from gitops.errors import HostError
from gitops.model.codec import Json, digest_bytes, digest_json
from gitops.providers.host import Host

SHADOW = "/etc/shadow"
FIELDS = 9
HASH = 1
AGEING = (
    ("last_change", "-d", 2),
    ("min_days", "-m", 3),
    ("max_days", "-M", 4),
    ("warn_days", "-W", 5),
    ("inactive_days", "-I", 6),
    ("expires", "-E", 7),
)
NOT_SET = -1
NEVER = "never"
EPOCH = date(1970, 1, 1).toordinal()
SETTER = ("chpasswd", "-e")


def read_shadow(host: Host) -> Dict[str, List[str]]:
    """Give the fields by name; raise HostError when this user may not read them."""
    try:
        text = host.read_text(SHADOW)
    except OSError as error:
        raise HostError(f"{SHADOW} cannot be read: {error.strerror}", code="E342", hint="run it as root") from error
    found: Dict[str, List[str]] = {}
    for line in text.splitlines():
        parts = line.split(":")
        if len(parts) == FIELDS:
            found.setdefault(parts[0], parts)
    return found


def describe_shadow(parts: Optional[Sequence[str]], content: Json, host: Host) -> Dict[str, Json]:
    """Give `locked` (null when there is no password to lock), the ageing in days (-1: not set), and `matches`: the digest of the
    reference when the hash is what it gives.
    """
    if parts is None:
        return {}
    bare = parts[HASH].lstrip("!")
    state: Dict[str, Json] = {"locked": parts[HASH].startswith("!") if bare not in ("", "*") else None}
    if parts[HASH] == "":
        state["locked"] = False
    for name, _, place in AGEING:
        state[name] = _days(parts[place]) if name != "expires" else _name_day(_days(parts[place]))
    if content is not None:
        is_right = bool(bare) and digest_bytes(bare.encode("utf-8")) == host.digest_content(content)
        state["matches"] = digest_json(content) if is_right else ""
    return state


def find_mistaken_date(text: str) -> str:
    """Say why a text is no day for `expires`, or nothing."""
    try:
        _count_days(text)
    except ValueError:
        return f"`expires` is {text[:40]!r}; it takes a day like 2027-12-31, or never"
    return ""


def list_ageing(values: Mapping[str, Json]) -> List[str]:
    """Give chage's flags for those of the values that are its own."""
    flags: List[str] = []
    for name, flag, _ in AGEING:
        value = values.get(name)
        if value is not None:
            flags.extend((flag, str(_count_days(value) if isinstance(value, str) else value)))
    return flags


def mark_of(parts: Sequence[str], *, locked: Optional[bool]) -> str:
    """Say what stands before a new hash: a locked account stays so, unless it is to be open. There is no moment in between."""
    bare = parts[HASH].lstrip("!") if parts else ""
    is_locked = parts[HASH].startswith("!") and bare not in ("", "*") if parts else False
    return "!" if (is_locked if locked is None else locked) else ""


def _days(text: str) -> int:
    return int(text) if text.isdigit() else NOT_SET


def _count_days(text: str) -> int:
    return NOT_SET if text == NEVER else date.fromisoformat(text).toordinal() - EPOCH


def _name_day(days: int) -> str:
    """Give a day as people write it; one beyond the calendar as its number."""
    if days == NOT_SET:
        return NEVER
    return date.fromordinal(days + EPOCH).isoformat() if days + EPOCH <= date.max.toordinal() else str(days)
