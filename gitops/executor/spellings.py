"""How programs spell a text when they do not print it as it is: the forms that redaction looks for.

Takes a value, gives spellings that may stand in a text, and codes (base64, hex) whose lines a tool may have wrapped. A code says nothing
by its first and last characters, which hold bits of what stands beside the value: these are left out, so that it is found within more.
"""

from __future__ import annotations

import binascii
import json
import re
from typing import Iterator, Match, Set

SHORTEST_CODE = 8
UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
UNIT = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.")
SLASH, BLANK, CARET, DELETE, HIGH = 0x2F, 0x20, 0x40, 0x7F, 0x80
ALIGNMENTS = (0, 1, 2)
BITS, BYTE = 6, 8
# What bash escapes outside of quotes (`printf %q`) and within double ones (`declare -p`); YAML's escapes have capital digits.
_SHELL_BARE = re.compile(r"""[ !"$&'()*,;<>?\[\\\]^`{|}]|^[#~]|(?<=[:=])~""")
_SHELL_QUOTED = re.compile(r"""["$`\\]""")
_LOWER_HEX = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
_QUOTES = ((chr(39), "&#x27;"), (chr(39), "&#39;"), ('"', "&quot;"), ('"', "&#34;"))


def list_spellings(value: str) -> Set[str]:
    """Give the value as JSON, Python, URLs, shells and markup write it, without what is the same as the value."""
    found = {form for form in _spell(value) if form}
    found.discard(value)
    return found


def list_codes(value: str) -> Set[str]:
    """Give base64 (both alphabets, at any place within other bytes) and hex of a value of 8 bytes or more."""
    data = _bytes_of(value)
    if len(data) < SHORTEST_CODE:
        return set()
    found = list_hex(value)
    for shift in ALIGNMENTS:
        code = _code_within(data, shift)
        found.update((code, code.replace("+", "-").replace("/", "_")))
    return found


def list_hex(value: str) -> Set[str]:
    """Give hex of a value of 8 bytes or more, without anything between its digits."""
    data = _bytes_of(value)
    return {data.hex(), data.hex().upper()} if len(data) >= SHORTEST_CODE else set()


def _spell(value: str) -> Iterator[str]:
    data = _bytes_of(value)
    for is_ascii in (True, False):
        text = json.dumps(value, ensure_ascii=is_ascii)[1:-1]
        yield from (text, text.replace("/", "\\/"))
    for text in (repr(value)[1:-1], ascii(value)[1:-1], repr(data)[2:-1]):
        yield from (text, text.replace(chr(39), "\\'"), text.replace("\\'", chr(39)))
    for kept in (b"", b"/", b"/:@!$&'()*+,;="):
        quoted = "".join(chr(one) if one in UNRESERVED or one in kept else f"%{one:02X}" for one in data)
        lower = "".join(chr(one) if one in UNRESERVED or one in kept else f"%{one:02x}" for one in data)
        yield from (quoted, lower, quoted.replace("%20", "+"), lower.replace("%20", "+"))
    yield from (value.replace("'", "'\\''"), value.replace("'", "'\"'\"'"), value.replace("'", "''"))
    yield from (_SHELL_BARE.sub(_escape, value), _SHELL_QUOTED.sub(_escape, value))
    yield from (value.replace("%", "%%"), value.replace("$", "$$"))
    yield _LOWER_HEX.sub(lambda found: found[0][:2] + found[0][2:].upper(), ascii(value)[1:-1])
    yield from _spell_unit(data)
    yield from (_spell_caret(data, kept=b"\n\t"), _spell_caret(data, kept=b"\n"))
    markup = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    yield markup
    for quote, name in _QUOTES:
        yield markup.replace(quote, name)
    yield markup.replace('"', "&quot;").replace("'", "&#x27;")
    yield markup.replace('"', "&#34;").replace("'", "&#39;")


def _spell_unit(data: bytes) -> Iterator[str]:
    """As systemd-escape does: a dot that begins it is escaped, too."""
    letters = ["-" if one == SLASH else chr(one) if one in UNIT else f"\\x{one:02x}" for one in data]
    yield "".join(letters)
    yield "".join(["\\x2e", *letters[1:]] if data[:1] == b"." else letters)


def _spell_caret(data: bytes, *, kept: bytes) -> str:
    """As `cat -v` does; `-A` does not keep tabs."""
    return "".join(_caret_of(one, kept) for one in data)


def _caret_of(one: int, kept: bytes) -> str:
    if one >= HIGH:
        return "M-" + _caret_of(one - HIGH, b"")
    if one in kept or BLANK <= one < DELETE:
        return chr(one)
    return "^" + chr(one ^ CARET)


def _escape(found: Match[str]) -> str:
    return "\\" + found[0]


def _code_within(data: bytes, shift: int) -> str:
    """Give the characters of base64 that hold bits of the value alone, when `shift` other bytes stand before it."""
    code = binascii.b2a_base64(b"\0" * shift + data, newline=False).decode("ascii")
    return code[-(-shift * BYTE // BITS) : (shift + len(data)) * BYTE // BITS]


def _bytes_of(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")
