"""Candidate: a release that was fetched and not yet believed; the noun that source gives and trust takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Mapping

from gitops.model.limits import DEFAULTS, Limits

Read = Callable[[str], bytes]


@dataclass(frozen=True)
class Listed:
    """One entry of the release tree: its Git mode as an octal text and its size."""

    mode: str
    size: int


@dataclass(frozen=True)
class Candidate:
    """A fetched release: its listing by path, and a reader of bytes by path (KeyError when it is not there)."""

    listing: Mapping[str, Listed]
    read: Read


def find_limit(path: str, limits: Limits = DEFAULTS) -> int:
    """Give how many bytes a file of a release may have by its name; what is larger is refused before it is read."""
    if path.startswith("signatures/") or (path.startswith("trust/") and path.count("/") > 1):
        return limits.signature_bytes
    if path == "manifest.json" or path.startswith("trust/") or (path.startswith("hosts/") and path.endswith("/index.json")):
        return limits.manifest_bytes
    return limits.approval_bytes if path.startswith("approvals/") else limits.blob_bytes
