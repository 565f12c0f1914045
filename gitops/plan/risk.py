"""How bad a change could be: a small table, from what is done and to what."""

from __future__ import annotations

from typing import Sequence

from gitops.model.address import Address, split_address
from gitops.model.plan import FieldChange

LOCKOUT_PATHS = (
    "/etc/sudoers",
    "/etc/ssh/",
    "/etc/pam.d/",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/fstab",
    "/etc/network/",
    "/etc/systemd/network/",
    "/boot/",
)
LOCKOUT_KINDS = frozenset(("ssh_authorized_key", "reboot"))
LOSSES = frozenset(("purge", "entries"))  # fields whose values are names of what goes
SERVING_KINDS = frozenset(
    (
        *("package", "service", "user", "group", "command", "cron", "sysctl", "systemd_unit", "kernel_module", "external"),
        *("apt_repository", "yum_repository", "download", "archive", "git_checkout"),
        *("timer", "mount", "hostname", "timezone", "locale"),
    )
)


def judge_risk(
    address: Address, *, action: str, classification: str, confidence: str, paths: Sequence[str] = (), is_lossy: bool = False
) -> str:
    """Give `low`, `medium` or `high`; `paths` are those that the thing writes, when its name is not one.

    `is_lossy`: things that nobody declared are deleted with it (`purge`).

    High: something is lost (remove, replace, purge), overwritten though changed by hand (conflict), runs unchecked (opaque), or could
    lock people out (a reboot does, for a while). Medium: what serves or who may log in. Low: the rest.
    """
    if action == "refused":
        return "low"
    if is_lossy or action in ("remove", "replace") or classification == "conflict" or confidence == "opaque":
        return "high"
    kind, name = split_address(address)
    if kind in LOCKOUT_KINDS or any(_can_lock_out(path) for path in (name, *paths)):
        return "high"
    return "medium" if kind in SERVING_KINDS else "low"


def has_loss(fields: Sequence[FieldChange]) -> bool:
    """Say whether a difference deletes what nobody declared."""
    return any(field.name in LOSSES for field in fields)


def _can_lock_out(written: str) -> bool:
    return written.startswith(LOCKOUT_PATHS) or f"{written}/" in LOCKOUT_PATHS
