"""How bad a change could be: a small table, from what is done and to what."""

from __future__ import annotations

from gitops.model.address import Address, split_address

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
SERVING_KINDS = frozenset(("package", "service", "user", "group", "command", "external"))


def judge_risk(address: Address, *, action: str, classification: str, confidence: str) -> str:
    """Give `low`, `medium` or `high`.

    High: something is lost (remove, replace), overwritten though changed by hand (conflict), runs unchecked (opaque), or could lock
    people out. Medium: what serves or who may log in. Low: the rest.
    """
    if action == "refused":
        return "low"
    if action in ("remove", "replace") or classification == "conflict" or confidence == "opaque":
        return "high"
    kind, name = split_address(address)
    if any(name == path.rstrip("/") or name.startswith(path) for path in LOCKOUT_PATHS):
        return "high"
    return "medium" if kind in SERVING_KINDS else "low"
