"""The one exception tree, grouped by who must act.

Every error carries a stable code, the exit status of DESIGN §8 and a hint that says what to do next. Mistakes in a user's
config are Diagnostics (`gitops.model.diagnostic`), collected and sorted; these exceptions only stop. A message never
contains a secret value.
"""

from __future__ import annotations


class TrueupError(Exception):
    """Stop, with a code for machines, a message for people and a hint on what to do."""

    code = "X000"
    exit_status = 70

    def __init__(self, message: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.hint = hint


class ConfigError(TrueupError):
    """The user's config or arguments are wrong (exit 1)."""

    code = "C000"
    exit_status = 1


class UsageError(ConfigError):
    """The command line, or a file named on it, is wrong (exit 1)."""

    code = "U000"


class MalformedError(ConfigError):
    """A document is not what its schema says: not canonical, an unknown key, a wrong type (exit 1 unless mapped)."""

    code = "M000"


class HeldError(TrueupError):
    """Not done until somebody decides: policy, approval, lock, or more than was approved (exit 3)."""

    code = "H000"
    exit_status = 3


class RebootingError(HeldError):
    """The machine goes down to boot again; the run that asked for it ends here, and the next one goes on (exit 3)."""

    code = "H310"


class HostError(TrueupError):
    """A machine, or a resource on it, failed (exit 4)."""

    code = "E000"
    exit_status = 4


class RevertedError(HostError):
    """A run failed and was rolled back by itself (exit 5)."""

    code = "E500"
    exit_status = 5


class TrustError(TrueupError):
    """A signature, serial, expiry, digest or layout is not acceptable (exit 6)."""

    code = "T000"
    exit_status = 6


class RemoteError(TrueupError):
    """A forge, Git remote or the network could not be reached or answered wrongly (exit 7)."""

    code = "R000"
    exit_status = 7


class BugError(TrueupError):
    """This program broke one of its own laws (exit 70)."""

    code = "B000"
    exit_status = 70


def describe_os_error(error: OSError, where: str) -> str:
    """Say what failed on which path. What fails on an open file (a full disk does) names none: then say where that file lies."""
    path = error.filename if isinstance(error.filename, str) and error.filename else f"below {where}"
    return f"{error.strerror or type(error).__name__}: {path}"
