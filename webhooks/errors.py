"""What can go wrong between the service and a forge, beyond the tree of `gitops.errors`."""

from __future__ import annotations

from gitops.errors import RemoteError


class LaterError(RemoteError):
    """The forge asks to come back later (a rate limit): try again after `seconds`, which is no failed attempt."""

    code = "R202"

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds
