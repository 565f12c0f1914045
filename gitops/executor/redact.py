"""Take secrets out of text, and keep the end of a long output without cutting a secret in two.

A value is taken out wherever it stands, whole, line by line (values of several lines) and without its outer blanks, also as other
programs spell it (`gitops.executor.spellings`); lines of base64 and hex may be wrapped, and hex may have blanks, colons, commas, `0x` and
the like between its bytes. Occurrences that overlap are taken out
together. Redaction comes before every cut: a cut that would leave part of a value moves behind it.
"""

from __future__ import annotations

import re
from typing import Iterable, List, Mapping, Sequence, Set, Tuple

from gitops.executor.spellings import list_codes, list_hex, list_spellings

MARK = "[secret]"
SHORTEST_LINE = 4
BETWEEN = re.compile(r"0[xX]|\\x|[\s:,\-]")
SPREAD = 4  # characters of hex with all that stands between its bytes for each digit, at most: `0xde, ` and an indented line
WRAPPED = 8  # bytes of a code for each byte that ends its lines, at most: tools wrap at 60 to 76


class Redactor:
    """Knows the values of one run."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        plain = _forms_of(secrets.values())
        spelt = {form for value in plain for form in list_spellings(value)}
        self._values = sorted(plain | spelt, key=len, reverse=True)
        self._codes = sorted({form for value in plain for form in list_codes(value)}, key=len, reverse=True)
        longest_code = max(map(len, self._codes), default=0)
        self._hex = sorted({form for value in plain for form in list_hex(value)}, key=len, reverse=True)
        longest_hex = SPREAD * max(map(len, self._hex), default=0)
        longest_value = max((len(value.encode("utf-8", "surrogateescape")) for value in self._values), default=0)
        self.longest = max(longest_value, longest_code + longest_code // WRAPPED, longest_hex)

    def redact(self, text: str) -> str:
        """Give a text without the values."""
        return _replace(text, self._find(text)) if self._values else text

    def redact_tail(self, text: str, limit: int, *, is_cut: bool = False) -> str:
        """Give the last `limit` characters of a text without the values; `is_cut`: its beginning is missing already.

        What was cut before must be at least `longest` bytes longer than the limit: within that much a value may be halved.
        """
        spans = self._find(text)
        start = min(self.longest, len(text)) if is_cut else 0
        start = _move_behind(max(start, len(text) - limit), spans)
        return _replace(text[start:], [(max(0, low - start), high - start) for low, high in spans if high > start])

    def _find(self, text: str) -> List[Tuple[int, int]]:
        found = _find_all(text, self._values)
        if self._codes:
            places = [place for place, character in enumerate(text) if character not in "\r\n"]
            joined = text.replace("\r", "").replace("\n", "")
            found.extend((places[low], places[high - 1] + 1) for low, high in _find_all(joined, self._codes))
        if self._hex:
            places = _list_places(text)
            joined = "".join([text[place] for place in places])
            found.extend((places[low], places[high - 1] + 1) for low, high in _find_all(joined, self._hex))
        return _merge(found)


class Tail:
    """The last bytes of an output that may be endless; holds at most twice its limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts = bytearray()
        self.is_cut = False

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self._parts += data
        if len(self._parts) > 2 * self._limit:
            del self._parts[: len(self._parts) - self._limit]
            self.is_cut = True

    @property
    def text(self) -> str:
        """What was kept; bytes that are not UTF-8 are marked."""
        return self._parts.decode("utf-8", "replace")


def _forms_of(values: Iterable[str]) -> Set[str]:
    forms: Set[str] = set()
    for value in values:
        lines = [form for line in value.splitlines() for form in (line, line.strip()) if len(form.strip()) >= SHORTEST_LINE]
        forms.update(form for form in (value, value.strip(), *lines) if form.strip())
    return forms


def _list_places(text: str) -> List[int]:
    """Give where the characters are that do not stand between bytes of hex."""
    found: List[int] = []
    end = 0
    for match in BETWEEN.finditer(text):
        found.extend(range(end, match.start()))
        end = match.end()
    found.extend(range(end, len(text)))
    return found


def _find_all(text: str, values: Sequence[str]) -> List[Tuple[int, int]]:
    found: List[Tuple[int, int]] = []
    for value in values:
        place = text.find(value)
        while place >= 0:
            found.append((place, place + len(value)))
            place = text.find(value, place + 1)
    return found


def _merge(spans: List[Tuple[int, int]]) -> List[Tuple[int, int]]:
    merged: List[Tuple[int, int]] = []
    for low, high in sorted(spans):
        if merged and low < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def _move_behind(place: int, spans: List[Tuple[int, int]]) -> int:
    return next((high for low, high in spans if low < place < high), place)


def _replace(text: str, spans: List[Tuple[int, int]]) -> str:
    parts: List[str] = []
    end = 0
    for low, high in spans:
        parts.extend((text[end:low], MARK))
        end = high
    parts.append(text[end:])
    return "".join(parts)
