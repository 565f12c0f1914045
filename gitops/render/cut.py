"""Cut lists on item borders: what fits is kept in order, the rest is counted. Shared by whatever has a limit."""

from __future__ import annotations


class Cut:
    """Collects items within a budget of bytes; an item that does not fit is counted, and so is every later one."""

    def __init__(self, budget: int) -> None:
        self.kept: list[str] = []
        self.left_out = 0
        self._left = budget

    def add(self, item: str) -> None:
        """Keep an item, or count it."""
        size = len(item.encode("utf-8")) + 2
        if self.left_out or size > self._left:
            self.left_out += 1
        else:
            self._left -= size
            self.kept.append(item)


def fold(title: str, body: str) -> str:
    """Give a folded part of a comment; `title` is our own text."""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>" if body else ""
