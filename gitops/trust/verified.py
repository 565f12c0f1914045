"""What an agent remembers of releases, and a release that passed every check: the nouns of this room."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from gitops.model.approval import Approval
from gitops.model.candidate import Candidate
from gitops.model.manifest import Manifest
from gitops.model.scope import Scope
from gitops.model.trustroot import EnvironmentTrust


@dataclass(frozen=True)
class Memory:
    """What was accepted before: the last serial (0: none), its manifest's digest, the newest time of issue seen, and the digests of
    approvals that accepted releases carried (those that have expired since may be forgotten).
    """

    serial: int = 0
    digest: str = ""
    newest_issued: datetime | None = None
    spent: frozenset[str] = frozenset()


@dataclass(frozen=True)
class VerifiedRelease:
    """A release that passed. `approvals` are its own and those of the skipped releases; `approved` holds of their sets only the items
    that enough people approved, which is all that counts.
    """

    manifest: Manifest
    digest: str
    approvals: tuple[Approval, ...]
    candidate: Candidate
    signers: tuple[str, ...]
    trust: EnvironmentTrust
    approved: Scope
    skipped: tuple[Manifest, ...] = ()
    warnings: tuple[str, ...] = field(default=())
