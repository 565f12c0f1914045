"""Page: a stretch of a long list, and the links to the stretches beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

SIZE = 100
LAST = 100_000


@dataclass(frozen=True)
class Page:
    """Stretch `number` (from 1) of `size` items out of `total`; `query` is what else the address carries."""

    number: int
    total: int
    size: int = SIZE
    query: str = ""

    @property
    def start(self) -> int:
        """How many items stand before this stretch."""
        return (self.number - 1) * self.size

    @property
    def end(self) -> int:
        """How many items stand before or in this stretch."""
        return min(self.start + self.size, self.total)

    @property
    def previous(self) -> str:
        """The address of the stretch before, or an empty text."""
        return self._link(self.number - 1) if self.number > 1 else ""

    @property
    def next(self) -> str:
        """The address of the stretch after, or an empty text."""
        return self._link(self.number + 1) if self.end < self.total else ""

    def _link(self, number: int) -> str:
        return f"?{self.query}&page={number}" if self.query else f"?page={number}"


def read_page(query: Mapping[str, str], total: int, *, keep: tuple[str, ...] = (), size: int = SIZE) -> Page:
    """Read `page` from an address; rubbish is the first page, what is past the end the last. `keep` names what links carry on."""
    text = query.get("page", "1")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < len(str(LAST)) else 1
    last = max(1, -(-total // size))
    kept = urlencode([(name, query[name]) for name in keep if query.get(name)])
    return Page(min(max(1, number), last), total, size, kept)
