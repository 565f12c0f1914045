"""Where a field or a text stands in CUE sources: the first line that has it, since values that CUE exports have no places."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gitops.model.diagnostic import Place


class Locator:
    """Finds the line of a field or text in CUE sources, since values that CUE exports have no places."""

    def __init__(self, sources: Mapping[str, bytes]) -> None:
        self._lines = [
            (path, number, line)
            for path, data in sorted(sources.items())
            for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1)
        ]

    def find_field(self, name: str, default: Place) -> Place:
        """Give the first line that sets a field of this name."""
        pattern = re.compile(r'(?:^|[\s{,;])("?)' + re.escape(name) + r"\1[?!]?\s*:")
        for path, number, line in self._lines:
            found = pattern.search(line)
            if found:
                return Place(path, number, line.index(name, found.start()) + 1)
        return default

    def find_text(self, text: str, default: Place) -> Place:
        """Give the first place of a text."""
        for path, number, line in self._lines:
            if text in line:
                return Place(path, number, line.index(text) + 1)
        return default
