"""Manifest: the one signed document of a release; everything else in the tree hangs from its digests (DESIGN §5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Dict, Mapping, Optional, Tuple

from gitops.errors import MalformedError
from gitops.model.codec import Json, decode_canonical, digest_bytes, encode_canonical, format_time, is_digest
from gitops.model.fields import Fields

MANIFEST_SCHEMA = "gitops/manifest/v1"


@dataclass(frozen=True)
class Previous:
    """The release before: its serial and the SHA-256 of its manifest's bytes."""

    serial: int
    digest: str


@dataclass(frozen=True)
class Manifest:
    """What a release says of itself. `shards` maps two hex digits to the SHA-256 of that shard's index.json; `plan` is the content
    digest of the approved FleetPlan or empty; serials are dense and begin at 1; `rollback_of` is a serial or 0.
    """

    repository: str
    environment: str
    serial: int
    previous: Optional[Previous]
    commit: str
    issued: datetime
    expires: datetime
    compiler: str
    shards: Mapping[str, str]
    plan: str = ""
    approvals: Tuple[str, ...] = ()
    rollback_of: int = 0
    min_agent: str = "0.1.0"
    extensions: Mapping[str, Json] = field(default_factory=dict[str, Json])

    def to_bytes(self) -> bytes:
        """Give manifest.json."""
        previous: Json = None
        if self.previous is not None:
            previous = {"serial": self.previous.serial, "digest": self.previous.digest}
        table: Dict[str, Json] = {
            "schema": MANIFEST_SCHEMA,
            "min_agent": self.min_agent,
            "repository": self.repository,
            "environment": self.environment,
            "serial": self.serial,
            "previous": previous,
            "source": {"commit": self.commit},
            "issued": format_time(self.issued),
            "expires": format_time(self.expires),
            "compiler": self.compiler,
            "shards": dict(self.shards),
            "plan": self.plan or None,
            "approvals": sorted(self.approvals),
            "extensions": dict(self.extensions),
        }
        if self.rollback_of:
            table["rollback_of"] = self.rollback_of
        return encode_canonical(table)

    @property
    def digest(self) -> str:
        """SHA-256 of manifest.json."""
        return digest_bytes(self.to_bytes())


def read_version(data: bytes) -> Tuple[str, str]:
    """Give (schema, min_agent) of a manifest whose other fields this program may not know yet."""
    value = decode_canonical(data)
    if not isinstance(value, dict):
        raise MalformedError("manifest: expected an object", code="M010")
    schema, min_agent = value.get("schema"), value.get("min_agent")
    if not isinstance(schema, str) or not isinstance(min_agent, str):
        raise MalformedError("manifest: `schema` and `min_agent` are strings", code="M014")
    return schema, min_agent


def read_manifest(data: bytes) -> Manifest:
    """Read manifest.json; raise MalformedError when it is not canonical or not of this schema."""
    fields = Fields(decode_canonical(data), "manifest")
    fields.schema(MANIFEST_SCHEMA)
    source = Fields(fields.raw("source"), "manifest source")
    found = Manifest(
        repository=fields.text("repository"),
        environment=fields.text("environment"),
        serial=_positive(fields.integer("serial"), "serial"),
        previous=_read_previous(fields.raw("previous")),
        commit=source.text("commit"),
        issued=fields.time("issued"),
        expires=fields.time("expires"),
        compiler=fields.text("compiler"),
        shards={name: _digest(item, "shards") for name, item in fields.table("shards").items()},
        plan=fields.digest("plan") if fields.has("plan") else "",
        approvals=tuple(_digest(item, "approvals") for item in fields.texts("approvals")),
        rollback_of=fields.integer("rollback_of", 0),
        min_agent=fields.text("min_agent"),
        extensions=fields.table("extensions"),
    )
    source.done()
    fields.done()
    if found.to_bytes() != data:
        raise MalformedError("manifest: not in its one canonical form", code="M002")
    return found


def _read_previous(value: Json) -> Optional[Previous]:
    if value is None:
        return None
    fields = Fields(value, "manifest previous")
    found = Previous(_positive(fields.integer("serial"), "previous.serial"), fields.digest("digest"))
    fields.done()
    return found


def _positive(value: int, key: str) -> int:
    if value < 1:
        raise MalformedError(f"manifest: `{key}` begins at 1, got {value}", code="M014")
    return value


def _digest(value: Json, key: str) -> str:
    if not isinstance(value, str) or not is_digest(value):
        raise MalformedError(f"manifest: `{key}` expects digests", code="M014")
    return value
