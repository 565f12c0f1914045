"""Signer: what this service signs releases with, if it signs at all, and the clock that it goes by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from gitops.pipeline.release import Released, ReleaseOrder, make_release
from gitops.signatures.keys import SigningKey

PAUSE = 0.2


@dataclass(frozen=True)
class Signer:
    """`key` None: somebody else signs."""

    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    key: SigningKey | None = field(default=None, repr=False)

    def make(self, order: ReleaseOrder) -> Released:
        """Make a release, and push it; who loses a race waits a little longer each time."""
        return make_release(order, pause=lambda attempt: self.sleep(PAUSE * (attempt + 1)))
