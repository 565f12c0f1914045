"""The words of systemd.time(7): calendar events and time spans, checked before any machine sees them.

Takes less than systemd does, never more: what passes here every systemd since 241 reads (a test asks real ones). Whether an event ever
comes (the 30th of February) only systemd says, with the machine's clock.
"""

from __future__ import annotations

import re
from typing import Optional, Sequence, Tuple

SHORTHANDS = ("minutely", "hourly", "daily", "monthly", "weekly", "yearly", "quarterly", "semiannually", "annually")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ZONE = re.compile(r"UTC\Z|[A-Z][A-Za-z_]{1,30}(/[A-Z][A-Za-z0-9_+-]{1,30}){1,2}\Z")
ITEM = re.compile(r"(?P<first>[0-9]{1,4})(\.\.(?P<last>[0-9]{1,4}))?(/(?P<step>[0-9]{1,4}))?\Z")
UNIT = r"(us|ms|s|sec|seconds?|m|min|minutes?|h|hr|hours?|d|days?|w|weeks?|M|months?|y|years?)"
SPAN = re.compile(rf"[0-9]{{1,9}}( ?{UNIT}( ?[0-9]{{1,9}} ?{UNIT}){{0,5}})?\Z")
MAX_LENGTH = 200
YEARS, MONTHS, MONTH_DAYS, HOURS, SIXTIETHS = (1970, 2199), (1, 12), (1, 31), (0, 23), (0, 59)
SHORT_DATE, LONG_DATE = 2, 3


def find_calendar_mistake(text: str) -> str:
    """Say what of a calendar event cannot be read; empty when nothing."""
    if not text.strip() or len(text) > MAX_LENGTH or not text.isascii() or not text.isprintable():
        return f"expected a calendar event of at most {MAX_LENGTH} plain characters, like `Mon..Fri 02:30` or `daily`"
    words = text.split()
    if len(words) > 1 and ZONE.match(words[-1]):
        words = words[:-1]
    if len(words) == 1 and words[0].lower() in SHORTHANDS:
        return ""
    if words[0][0].isalpha():
        wrong = _find_wrong_days(words[0])
        if wrong:
            return f"{wrong[:40]!r} is neither a day like `Mon`, days like `Mon..Fri`, nor one of {', '.join(SHORTHANDS)}"
        words = words[1:]
    if words and ":" not in words[0]:
        if not _is_date(words[0]):
            return f"{words[0][:40]!r} is not a date like `*-*-01` or `12-24`, nor a time like `02:30`"
        words = words[1:]
    if words:
        if not _is_time(words[0]):
            return f"{words[0][:40]!r} is not a time like `02:30`, `*:0/15` or `02:30:00`"
        words = words[1:]
    return f"{words[0][:40]!r} is one word too many: it goes days, date, time, time zone" if words else ""


def is_span(text: str) -> bool:
    """Say whether a text is a time span of systemd, longer than nothing, like `15min` or `1h 30min`."""
    return bool(SPAN.match(text)) and any(letter in "123456789" for letter in text)


def _find_wrong_days(word: str) -> str:
    for item in word.split(","):
        ends = [_day_of(end) for end in item.split("..")]
        if len(ends) > 2 or None in ends or ends != sorted(ends, key=lambda day: day or 0):  # noqa: PLR2004  a range has two
            return item or word
    return ""


def _day_of(word: str) -> Optional[int]:
    name = word.lower()
    for names in (DAYS, DAY_NAMES):
        if name in names:
            return names.index(name)
    return None


def _is_date(word: str) -> bool:
    before, tilde, last = word.partition("~")
    parts = [*before.split("-"), last] if tilde else before.split("-")
    if len(parts) == SHORT_DATE:
        return _are_parts(parts, (MONTHS, MONTH_DAYS))
    return len(parts) == LONG_DATE and _are_parts(parts, (YEARS, MONTHS, MONTH_DAYS))


def _is_time(word: str) -> bool:
    parts = word.split(":")
    return len(parts) in (2, 3) and _are_parts(parts, (HOURS, SIXTIETHS, SIXTIETHS)[: len(parts)])


def _are_parts(parts: Sequence[str], bounds: Sequence[Tuple[int, int]]) -> bool:
    return all(part == "*" or all(_is_item(item, *ends) for item in part.split(",")) for part, ends in zip(parts, bounds))


def _is_item(item: str, low: int, high: int) -> bool:
    found = ITEM.match(item)
    if found is None or (found["step"] is not None and not 0 < int(found["step"]) <= high):
        return False
    first, last = int(found["first"]), int(found["last"] or found["first"])
    return low <= first <= last <= high and (found["last"] is None or first < last)
