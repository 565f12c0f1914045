"""TrustRoot: the document that agents pin at enrolment: for which repository, whose signatures, how many, what approvals.

Quorum comes from here, never from a manifest or a tree. Version N+1 is signed by the thresholds of N and of N+1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Mapping, Tuple

from gitops.errors import MalformedError
from gitops.model.address import is_object_name
from gitops.model.codec import Json, decode_canonical, digest_bytes, encode_canonical, is_digest
from gitops.model.fields import Fields

TRUST_ROOT_SCHEMA = "gitops/trust-root/v1"
COMMIT_SIGNATURE = ("warn", "refuse")
KEY_TYPES = ("ed25519", "p256")


@dataclass(frozen=True)
class TrustedKey:
    """A public key: its type and SPKI in DER, as lower-case hex. The key id is the SHA-256 of the DER."""

    type: str
    spki: str

    @property
    def ident(self) -> str:
        """Hex SHA-256 of the SPKI."""
        return digest_bytes(bytes.fromhex(self.spki))


@dataclass(frozen=True)
class EnvironmentTrust:
    """An environment's branch, and what approvals an agent itself demands: how many, from whom, signed by themselves or not."""

    branch: str
    required: int = 0
    approvers: Tuple[str, ...] = ()
    is_signed: bool = False


@dataclass(frozen=True)
class TrustRoot:
    """Keys by id, the threshold of distinct keys, and the environments of one repository (a logical name)."""

    repository: str
    version: int
    keys: Mapping[str, TrustedKey]
    threshold: int
    environments: Mapping[str, EnvironmentTrust]
    commit_signature: str = "warn"
    extensions: Mapping[str, Json] = field(default_factory=dict[str, Json])

    def to_bytes(self) -> bytes:
        """Give the canonical document."""
        table: Dict[str, Json] = {
            "schema": TRUST_ROOT_SCHEMA,
            "repository": self.repository,
            "version": self.version,
            "keys": {ident: {"type": key.type, "spki": key.spki} for ident, key in self.keys.items()},
            "threshold": self.threshold,
            "environments": {name: _environment_json(item) for name, item in self.environments.items()},
            "commit_signature": self.commit_signature,
            "extensions": dict(self.extensions),
        }
        return encode_canonical(table)

    @property
    def digest(self) -> str:
        """SHA-256 of the document."""
        return digest_bytes(self.to_bytes())


def read_trust_root(data: bytes) -> TrustRoot:
    """Read a trust root; raise MalformedError for a key whose id is not its own, an impossible threshold, or other bytes."""
    fields = Fields(decode_canonical(data), "trust root")
    fields.schema(TRUST_ROOT_SCHEMA)
    found = TrustRoot(
        repository=fields.text("repository"),
        version=fields.integer("version"),
        keys={ident: _read_key(ident, item) for ident, item in fields.table("keys").items()},
        threshold=fields.integer("threshold"),
        environments={name: _read_environment(name, item) for name, item in fields.table("environments").items()},
        commit_signature=fields.choice("commit_signature", COMMIT_SIGNATURE),
        extensions=fields.table("extensions"),
    )
    fields.done()
    if found.version < 1 or not 1 <= found.threshold <= len(found.keys):
        raise MalformedError(
            "trust root: `version` begins at 1 and `threshold` lies between 1 and the number of keys", code="M050"
        )
    if found.to_bytes() != data:
        raise MalformedError("trust root: not in its one canonical form", code="M002")
    return found


def _environment_json(item: EnvironmentTrust) -> Dict[str, Json]:
    approvals: Dict[str, Json] = {"required": item.required, "from": sorted(item.approvers), "signed": item.is_signed}
    return {"branch": item.branch, "approvals": approvals}


def _read_environment(name: str, value: Json) -> EnvironmentTrust:
    if not is_object_name(name):
        raise MalformedError(f"trust root: not an environment's name: {name[:80]!r}", code="M050")
    fields = Fields(value, "trust root environment")
    approvals = Fields(fields.raw("approvals"), "trust root approvals")
    found = EnvironmentTrust(
        branch=fields.text("branch"),
        required=approvals.integer("required"),
        approvers=approvals.texts("from"),
        is_signed=approvals.flag("signed"),
    )
    approvals.done()
    fields.done()
    if found.required < 0:
        raise MalformedError("trust root: `approvals.required` is not negative", code="M050")
    return found


def _read_key(ident: str, value: Json) -> TrustedKey:
    fields = Fields(value, "trust root key")
    kind, spki = fields.choice("type", KEY_TYPES), fields.text("spki")
    fields.done()
    try:
        found = TrustedKey(kind, spki)
        is_own = is_digest(ident) and spki == spki.lower() and found.ident == ident
    except ValueError:
        is_own = False
    if not is_own:
        raise MalformedError(f"trust root: key {ident[:16]} does not have that id", code="M051")
    return TrustedKey(kind, spki)
