"""Versions as apk orders them (`version.c` of apk-tools): `digits[.digits…][letter][_suffix[number]…][-rREVISION]`.

A version is cut into tokens of a kind and a value. Where two versions first differ, the kind that comes earlier in the grammar is the newer
one (`1.2.1` is newer than `1.2a`, `1.2a` than `1.2`); only a suffix of what comes before a release is older than no suffix.
"""

from __future__ import annotations

import re
from typing import List, Tuple

TOKEN = re.compile(r"\.?(?P<digits>[0-9]+)|(?P<letter>[a-z])|_(?P<suffix>[a-z]+)(?P<number>[0-9]*)|-r(?P<revision>[0-9]+)")
BEFORE, AFTER = ("alpha", "beta", "pre", "rc"), ("cvs", "svn", "git", "hg", "p")
# Kinds of tokens, the oldest first.
PRE, END, REVISION, NUMBER, POST, LETTER, DIGITS, COMPONENT = range(8)


def make_version_key(version: str) -> List[Tuple[int, int]]:
    """Give what sorts versions; of what is no version of Alpine's the part that is one."""
    found: List[Tuple[int, int]] = []
    match = TOKEN.match(version)
    while match:
        found.extend(_read_token(match, is_first=match.start() == 0))
        match = TOKEN.match(version, match.end())
    return [*found, (END, 0)]


def _read_token(match: re.Match[str], *, is_first: bool) -> List[Tuple[int, int]]:
    digits, suffix = match["digits"], match["suffix"]
    if digits:
        zeros = len(digits) - len(digits.lstrip("0"))
        # After a point, leading zeros count as in a fraction: 1.05 is older than 1.5.
        return [(COMPONENT, -zeros), (DIGITS, int(digits))] if zeros and not is_first else [(COMPONENT, int(digits))]
    if match["letter"]:
        return [(LETTER, ord(match["letter"]))]
    if suffix is None:
        return [(REVISION, int(match["revision"]))]
    kind = (PRE, BEFORE.index(suffix)) if suffix in BEFORE else (POST, AFTER.index(suffix) if suffix in AFTER else -1)
    return [kind, *([(NUMBER, int(match["number"]))] if match["number"] else [])]
