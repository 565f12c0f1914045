"""Approval: who approved which Scope, and how that is proved. Self-contained: it carries the sets, so an agent needs no plan.

Stored as `approvals/<sha256>.json`. `approver` and `teams` use the names of the config: `user:alice`, `team:sre`. The proof is
attested by the release's signer (`attested`: what the forge or service showed) or the reviewer's own SSH signature (`sshsig`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Dict, Tuple

from gitops.errors import MalformedError
from gitops.model.codec import Json, decode_canonical, digest_bytes, encode_canonical, format_time
from gitops.model.fields import Fields
from gitops.model.scope import Scope
from gitops.model.scopetree import digest_change

APPROVAL_SCHEMA = "gitops/approval/v1"
PROOFS = ("attested", "sshsig")


@dataclass(frozen=True)
class Proof:
    """How it is known: `kind`, where it was said (`reference`: a comment or review of the forge), and a signature for `sshsig`."""

    kind: str
    reference: str = ""
    signature: str = ""


@dataclass(frozen=True)
class Approval:
    """One person's yes to one change digest, for a bounded time."""

    repository: str
    environment: str
    pull: str
    change_digest: str
    policy_digest: str
    scope: Scope
    approver: str
    issued: datetime
    expires: datetime
    teams: Tuple[str, ...] = ()
    proof: Proof = field(default_factory=lambda: Proof("attested"))

    def to_bytes(self) -> bytes:
        """Give the canonical document."""
        table: Dict[str, Json] = {
            "schema": APPROVAL_SCHEMA,
            "repository": self.repository,
            "environment": self.environment,
            "pull": self.pull,
            "change_digest": self.change_digest,
            "policy_digest": self.policy_digest,
            "scope": self.scope.to_json(),
            "approver": self.approver,
            "teams": sorted(self.teams),
            "issued": format_time(self.issued),
            "expires": format_time(self.expires),
            "proof": {"kind": self.proof.kind, "reference": self.proof.reference, "signature": self.proof.signature},
        }
        return encode_canonical(table)

    @property
    def digest(self) -> str:
        """SHA-256 of the document: its name in the release."""
        return digest_bytes(self.to_bytes())


def read_approval(data: bytes) -> Approval:
    """Read a stored approval; raise MalformedError when not canonical or when the change digest is not that of its sets."""
    fields = Fields(decode_canonical(data), "approval")
    fields.schema(APPROVAL_SCHEMA)
    proof = Fields(fields.raw("proof"), "approval proof")
    found = Approval(
        repository=fields.text("repository"),
        environment=fields.text("environment"),
        pull=fields.text("pull"),
        change_digest=fields.digest("change_digest"),
        policy_digest=fields.digest("policy_digest"),
        scope=Scope.from_json(fields.raw("scope")),
        approver=fields.text("approver"),
        issued=fields.time("issued"),
        expires=fields.time("expires"),
        teams=fields.texts("teams"),
        proof=Proof(proof.choice("kind", PROOFS), proof.text("reference"), proof.text("signature")),
    )
    proof.done()
    fields.done()
    digest = digest_change(found.scope, repository=found.repository, environment=found.environment, pull=found.pull)
    if digest != found.change_digest:
        raise MalformedError("approval: the change digest is not that of its sets", code="M040")
    if found.to_bytes() != data:
        raise MalformedError("approval: not in its one canonical form", code="M002")
    return found
