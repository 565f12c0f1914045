"""How a push gets on: one line that is kept up to date on a terminal, else a plain line for each host that has ended."""

from __future__ import annotations

import sys
from threading import Lock

from gitops.cli.output import print_message
from gitops.model.plan import HostPlan
from gitops.model.report import Outcome, Report
from gitops.model.wire import Event
from gitops.pipeline.push import Ended
from gitops.render.escape import escape_terminal

CLEAR = "\r\x1b[K"
WIDTH = 100


class Progress:
    """Counts hosts; hosts tell it from threads of their own."""

    def __init__(self, word: str, total: int, *, is_quiet: bool) -> None:
        self._word, self._total, self._ended, self._failed = word, total, 0, 0
        self._is_quiet, self._is_live, self._lock = is_quiet, sys.stderr.isatty(), Lock()

    def tell(self, host: str, event: Event) -> None:
        """Say what a host is doing; only failures stay on the screen."""
        if event.event != "step" or self._is_quiet:
            return
        outcome = Outcome.from_json(event.body)
        text = f"{outcome.result} {outcome.address}" + (f": {outcome.message}" if outcome.message else "")
        if outcome.result != "changed":
            self._print(f"  {host}  {text}")
        self._show(f"{host} {text}")

    def done(self, item: Ended[object]) -> None:
        """Note that a host has ended, and how."""
        self._ended += 1
        self._failed += item.has_failed
        if self._is_quiet:
            return
        if item.error is not None or isinstance(item.found, Report) or not self._is_live:
            self._print(f"  {item.host}  {describe_end(item)}")
        self._show("")
        if self._ended == self._total and self._is_live:
            print(CLEAR, end="", file=sys.stderr, flush=True)  # noqa: T201  no newline: the line goes away

    def _print(self, text: str) -> None:
        with self._lock:
            print_message((CLEAR if self._is_live else "") + escape_terminal(text))

    def _show(self, text: str) -> None:
        if not self._is_live:
            return
        failed = f", {self._failed} failed" if self._failed else ""
        line = f"{self._word} {self._ended} of {self._total}{failed}  {text}"
        with self._lock:
            print(CLEAR + escape_terminal(line)[:WIDTH], end="", file=sys.stderr, flush=True)  # noqa: T201  the line is written over


def describe_end(item: Ended[object]) -> str:
    """Say in a few words what became of a host."""
    if item.error is not None:
        return f"error[{item.error.code}]: {item.error.message}" + (f" ({item.error.hint})" if item.error.hint else "")
    if isinstance(item.found, HostPlan):
        return "planned"
    if isinstance(item.found, Report):
        return item.found.result + (f": {item.found.reason}" if item.found.reason else "")
    return "nothing" if item.found is None else "asked"
