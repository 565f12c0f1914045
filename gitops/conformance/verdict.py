"""What a law says of a kind or of a provider's program."""

from __future__ import annotations

from dataclasses import dataclass

from gitops.model.codec import Json


class BrokenLawError(Exception):
    """A law does not hold; the text says how."""


@dataclass(frozen=True)
class Verdict:
    """One law, for one case or (empty) for the program as a whole; `reason` says how it was broken, empty when it holds."""

    law: str
    case: str = ""
    reason: str = ""

    def to_json(self) -> dict[str, Json]:
        """Give `{law, case, holds, reason}`."""
        return {"law": self.law, "case": self.case, "holds": not self.reason, "reason": self.reason}
