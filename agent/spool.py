"""Reports that wait for the service: one file each, bounded in number and bytes; the oldest are dropped first, and counted.

Names are numbered, so that order does not hang on clocks. A report is written whole and flushed before the cycle ends, so that what
happened is told even when the agent is killed or the service is away for days. `counts` says how many never were told; status shows it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gitops.errors import MalformedError
from gitops.executor.durable import write_durably
from gitops.model.codec import decode_canonical, encode_canonical
from gitops.model.fields import Fields
from gitops.model.limits import DEFAULTS
from gitops.model.report import Report

SUFFIX = ".json"
NAME = re.compile(r"[0-9]{12}-[0-9A-Za-z-]+\.json\Z")
COUNTS = "counts"
COUNTS_SCHEMA = "gitops/agent-spool/v1"


@dataclass(frozen=True)
class Counts:
    """How many reports were dropped because the spool was full, and how many the service refused as malformed."""

    dropped: int = 0
    refused: int = 0


class Spool:
    """A folder of reports."""

    def __init__(self, folder: Path, most: int, most_bytes: int) -> None:
        self._folder = folder
        self._most = most
        self._most_bytes = most_bytes

    def add(self, report: Report) -> None:
        """Write a report; drop the oldest beyond the bounds, and this one's observation when it alone is too large."""
        data = encode_canonical(report.to_json())
        if len(data) > DEFAULTS.report_bytes:
            table = report.to_json()
            table.pop("observation", None)
            data = encode_canonical(table)
        for left in self._folder.glob("*.new"):  # what a crash cut off
            left.unlink()
        waiting = self.list_names()
        number = int(waiting[-1].partition("-")[0]) + 1 if waiting else 0
        write_durably(str(self._folder / f"{number:012d}-{report.run}{SUFFIX}"), data)
        self._drop_excess()

    def list_names(self) -> tuple[str, ...]:
        """List the reports, oldest first."""
        if not self._folder.is_dir():
            return ()
        return tuple(sorted(path.name for path in self._folder.iterdir() if NAME.match(path.name)))

    def read(self, name: str) -> bytes:
        """Give a report's document."""
        return (self._folder / name).read_bytes()

    def remove(self, name: str) -> None:
        """Forget a report that the service has."""
        (self._folder / name).unlink(missing_ok=True)

    def refuse(self, name: str) -> None:
        """Forget a report that the service will never take, and count it: it must not stop those behind it."""
        self.remove(name)
        counts = self.read_counts()
        self._write_counts(Counts(counts.dropped, counts.refused + 1))

    def read_counts(self) -> Counts:
        """Give how many were dropped and refused so far; a damaged count begins anew."""
        try:
            fields = Fields(decode_canonical((self._folder / COUNTS).read_bytes()), "spool")
            fields.schema(COUNTS_SCHEMA)
            return Counts(fields.integer("dropped"), fields.integer("refused"))
        except (FileNotFoundError, MalformedError):
            return Counts()

    def _drop_excess(self) -> None:
        sizes = [(name, (self._folder / name).stat().st_size) for name in self.list_names()]
        total, dropped = sum(size for _, size in sizes), 0
        while len(sizes) > 1 and (len(sizes) > self._most or total > self._most_bytes):
            name, size = sizes.pop(0)
            self.remove(name)
            total -= size
            dropped += 1
        if dropped:
            counts = self.read_counts()
            self._write_counts(Counts(counts.dropped + dropped, counts.refused))

    def _write_counts(self, counts: Counts) -> None:
        table = {"schema": COUNTS_SCHEMA, "dropped": counts.dropped, "refused": counts.refused}
        write_durably(str(self._folder / COUNTS), encode_canonical(table))
