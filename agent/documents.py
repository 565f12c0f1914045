"""What an agent remembers, as nouns and as stored documents: enrolment, memory, a staged release, pause, the last cycle.

All are canonical JSON with a schema (DESIGN §5); a document that is not exactly what was written is MalformedError, and the state
folder turns that into "enrol again". No I/O here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gitops.errors import MalformedError
from gitops.model.address import Address, parse_address
from gitops.model.codec import Json, decode_canonical, encode_canonical, format_time
from gitops.model.fields import Fields
from gitops.model.limits import DEFAULTS
from gitops.model.manifest import Manifest, read_manifest
from gitops.model.resource import Resource
from gitops.model.scope import HostScope, Scope
from gitops.model.trustroot import TrustRoot, read_trust_root

ENROLMENT_SCHEMA = "gitops/agent-enrolment/v1"
MEMORY_SCHEMA = "gitops/agent-memory/v1"
STAGED_SCHEMA = "gitops/agent-release/v1"
PAUSE_SCHEMA = "gitops/agent-pause/v1"
LAST_SCHEMA = "gitops/agent-last/v1"
CREDENTIAL_SCHEMA = "gitops/credential/v1"
DOWNLOAD_SCHEMA = "gitops/download/v1"
FETCH_MEMORY = 3 * DEFAULTS.release_bytes


@dataclass(frozen=True)
class Enrolment:
    """Whom this agent follows and trusts: fixed once, never overwritten. `service` is empty when it reports to nobody."""

    url: str
    environment: str
    host: str
    root: TrustRoot
    service: str = ""

    @property
    def branch(self) -> str:
        """The release branch, as the pinned trust root names it."""
        return self.root.environments[self.environment].branch

    @property
    def demands_approvals(self) -> bool:
        """Say whether the trust root demands approvals for this environment; where it does not, nothing is held."""
        return self.root.environments[self.environment].required > 0

    def to_bytes(self) -> bytes:
        """Give the canonical document."""
        table: dict[str, Json] = {
            "schema": ENROLMENT_SCHEMA,
            "url": self.url,
            "environment": self.environment,
            "host": self.host,
            "trust_root": decode_canonical(self.root.to_bytes()),
            "service": self.service,
        }
        return encode_canonical(table)


def read_enrolment(data: bytes) -> Enrolment:
    """Read the document; raise MalformedError when the trust root does not know the environment."""
    fields = Fields(decode_canonical(data), "enrolment")
    fields.schema(ENROLMENT_SCHEMA)
    found = Enrolment(
        url=fields.text("url"),
        environment=fields.text("environment"),
        host=fields.text("host"),
        root=read_trust_root(encode_canonical(fields.raw("trust_root"))),
        service=fields.text("service"),
    )
    fields.done()
    if found.environment not in found.root.environments:
        raise MalformedError(f"enrolment: the trust root knows no environment `{found.environment[:80]}`", code="M060")
    return found


@dataclass(frozen=True)
class Pointer:
    """A staged release: its serial, its manifest's digest, and the digest of the staged document itself."""

    serial: int
    release: str
    document: str

    def to_json(self) -> Json:
        """Give `{serial, release, document}`."""
        return {"serial": self.serial, "release": self.release, "document": self.document}

    @staticmethod
    def from_json(value: Json) -> Pointer:
        """Read one."""
        fields = Fields(value, "pointer")
        found = Pointer(fields.integer("serial"), fields.digest("release"), fields.digest("document"))
        fields.done()
        return found


@dataclass(frozen=True)
class Failure:
    """An advance that failed and is kept apart: of which release, how often, not tried again before `until`, and why."""

    release: str
    tries: int
    until: datetime
    reason: str

    def to_json(self) -> Json:
        """Give `{release, tries, until, reason}`."""
        return {"release": self.release, "tries": self.tries, "until": format_time(self.until), "reason": self.reason}

    @staticmethod
    def from_json(value: Json) -> Failure:
        """Read one."""
        fields = Fields(value, "failure")
        found = Failure(fields.digest("release"), fields.integer("tries"), fields.time("until"), fields.text("reason"))
        fields.done()
        return found


@dataclass(frozen=True)
class AgentMemory:
    """What was seen and what holds.

    `seen` is the newest release that passed every check (0: none): its serial and digest must never go back. `good` is the release
    that this machine last converged to: what healing heals to, and the baseline of the next advance. `tip` is the commit that held
    `seen`. `approved` are the sets, for this host, of all approvals since `good`: what the next advance may do. `spent` are approvals
    that releases carried, with the time at which they run out anyway. `root` is the trust root after rotations, if there were any.
    """

    seen: Pointer | None = None
    newest_issued: datetime | None = None
    tip: str = ""
    good: Pointer | None = None
    approved: HostScope = field(default_factory=HostScope)
    failure: Failure | None = None
    spent: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    root: TrustRoot | None = None

    @property
    def is_behind(self) -> bool:
        """Say whether a release was accepted that this machine has not converged to yet."""
        return self.seen is not None and self.seen != self.good

    def to_bytes(self) -> bytes:
        """Give the canonical document."""
        table: dict[str, Json] = {
            "schema": MEMORY_SCHEMA,
            "seen": None if self.seen is None else self.seen.to_json(),
            "newest_issued": None if self.newest_issued is None else format_time(self.newest_issued),
            "tip": self.tip,
            "good": None if self.good is None else self.good.to_json(),
            "approved": Scope({} if self.approved.is_empty else {"this": self.approved}).to_json(),
            "failure": None if self.failure is None else self.failure.to_json(),
            "spent": {digest: format_time(until) for digest, until in self.spent.items()},
            "trust_root": None if self.root is None else decode_canonical(self.root.to_bytes()),
        }
        return encode_canonical(table)


def read_memory(data: bytes) -> AgentMemory:
    """Read the document."""
    fields = Fields(decode_canonical(data), "agent memory")
    fields.schema(MEMORY_SCHEMA)
    found = AgentMemory(
        seen=Pointer.from_json(fields.raw("seen")) if fields.has("seen") else None,
        newest_issued=fields.time("newest_issued") if fields.has("newest_issued") else None,
        tip=fields.text("tip"),
        good=Pointer.from_json(fields.raw("good")) if fields.has("good") else None,
        approved=Scope.from_json(fields.raw("approved")).hosts.get("this", HostScope()),
        failure=Failure.from_json(fields.raw("failure")) if fields.has("failure") else None,
        spent=_read_times(fields.table("spent")),
        root=read_trust_root(encode_canonical(fields.raw("trust_root"))) if fields.has("trust_root") else None,
    )
    fields.done()
    return found


def _read_times(table: Mapping[str, Json]) -> dict[str, datetime]:
    fields = Fields(dict(table), "spent approvals")
    return {digest: fields.time(digest) for digest in table}


@dataclass(frozen=True)
class Staged:
    """A verified release as this host needs it: its manifest and its own resources; None when the release does not list it.

    `blocks` names the addresses of each block by its digest, for what the host reports of them.
    """

    manifest: Manifest
    resources: tuple[Resource, ...] | None
    blocks: Mapping[str, tuple[Address, ...]] = field(default_factory=dict[str, tuple[Address, ...]])

    def to_bytes(self) -> bytes:
        """Give the canonical document."""
        resources: Json = None if self.resources is None else [item.to_json() for item in self.resources]
        table: dict[str, Json] = {
            "schema": STAGED_SCHEMA,
            "manifest": decode_canonical(self.manifest.to_bytes()),
            "resources": resources,
        }
        if self.blocks:
            table["blocks"] = {digest: list(addresses) for digest, addresses in self.blocks.items()}
        return encode_canonical(table)


def read_staged(data: bytes) -> Staged:
    """Read the document."""
    fields = Fields(decode_canonical(data), "staged release")
    fields.schema(STAGED_SCHEMA)
    manifest = read_manifest(encode_canonical(fields.raw("manifest")))
    is_listed = fields.has("resources")
    resources = tuple(Resource.from_json(item) for item in fields.items("resources"))
    found = Staged(manifest, resources if is_listed else None, _read_blocks(fields.table("blocks")))
    fields.done()
    return found


def _read_blocks(table: Mapping[str, Json]) -> Mapping[str, tuple[Address, ...]]:
    fields = Fields(dict(table), "staged blocks")
    return {digest: tuple(parse_address(text) for text in fields.texts(digest)) for digest in table}


@dataclass(frozen=True)
class Pause:
    """Nothing is done until then, and why."""

    until: datetime
    reason: str

    def to_bytes(self) -> bytes:
        """Give the canonical document."""
        return encode_canonical({"schema": PAUSE_SCHEMA, "until": format_time(self.until), "reason": self.reason})


def read_pause(data: bytes) -> Pause:
    """Read the document."""
    fields = Fields(decode_canonical(data), "pause")
    fields.schema(PAUSE_SCHEMA)
    found = Pause(fields.time("until"), fields.text("reason"))
    fields.done()
    return found


@dataclass(frozen=True)
class Last:
    """How the last cycle ended: when, its run, its result, its exit status, and the reason when there is one."""

    at: datetime
    run: str
    result: str
    status: int
    reason: str = ""

    def to_json(self) -> dict[str, Json]:
        """Give the document."""
        return {
            "schema": LAST_SCHEMA,
            "at": format_time(self.at),
            "run": self.run,
            "result": self.result,
            "status": self.status,
            "reason": self.reason,
        }


def read_last(data: bytes) -> Last:
    """Read the document."""
    fields = Fields(decode_canonical(data), "last cycle")
    fields.schema(LAST_SCHEMA)
    found = Last(fields.time("at"), fields.text("run"), fields.text("result"), fields.integer("status"), fields.text("reason"))
    fields.done()
    return found


def write_credential(host: str, credential: str) -> bytes:
    """Give the credential's document, as the service issues it."""
    return encode_canonical({"schema": CREDENTIAL_SCHEMA, "host": host, "credential": credential})


def read_credential(value: Json) -> tuple[str, str]:
    """Give (host, credential)."""
    fields = Fields(value, "credential")
    fields.schema(CREDENTIAL_SCHEMA)
    found = fields.text("host"), fields.text("credential")
    fields.done()
    if not found[1] or not found[1].isascii() or not found[1].isprintable() or " " in found[1]:
        raise MalformedError("credential: not one printable word", code="M061")
    return found
