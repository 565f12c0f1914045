"""Verify a release: the agent's checks, numbered as in DESIGN §5. Pure: bytes, a time, a trust root and what is remembered go in.

Nothing of the manifest is believed before its signatures are; `schema` and `min_agent` are read first after them, so that an old
agent says "too old" and not "forged". Every refusal is a TrustError (exit 6) that names the first failed check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gitops.errors import MalformedError, TrustError
from gitops.model.approval import Approval, read_approval
from gitops.model.candidate import Candidate
from gitops.model.codec import decode_canonical, digest_bytes
from gitops.model.graph import Block, HostGraph, shard_of
from gitops.model.limits import DEFAULTS
from gitops.model.manifest import MANIFEST_SCHEMA, Manifest, read_manifest, read_version
from gitops.model.resource import Resource
from gitops.model.trustroot import EnvironmentTrust, TrustRoot
from gitops.model.verification import SignatureVerifier


@dataclass(frozen=True)
class Memory:
    """What was accepted before: the last serial (0: none), its manifest's digest, and the newest time of issue seen."""

    serial: int = 0
    digest: str = ""
    newest_issued: datetime | None = None


@dataclass(frozen=True)
class VerifiedRelease:
    """A release that passed: its manifest, its approvals, and the skipped releases' approvals."""

    manifest: Manifest
    digest: str
    approvals: tuple[Approval, ...]
    candidate: Candidate
    signers: tuple[str, ...]
    skipped: tuple[Manifest, ...] = ()
    warnings: tuple[str, ...] = field(default=())


def verify_release(  # noqa: PLR0913  everything that a pure state machine needs
    candidate: Candidate,
    root: TrustRoot,
    environment: str,
    *,
    memory: Memory,
    now: datetime,
    verifier: SignatureVerifier,
    chain: Sequence[Candidate] = (),
    agent_version: str = "",
) -> VerifiedRelease:
    """Accept a fetched release or raise the TrustError of the first failed check; `chain` are the releases between, oldest first."""
    data = _read_bounded(candidate, "manifest.json", DEFAULTS.manifest_bytes)
    # 1. The signatures are by a threshold of distinct pinned keys, over exactly this manifest.
    signers = check_signatures(candidate, data, root, verifier)
    # 2. Schema and min_agent first, then the whole manifest, canonical.
    manifest = _parse_manifest(data, agent_version)
    # 3. It is for us: repository and environment.
    trust = check_audience(manifest, root, environment)
    # 4. It is not older than what we know, nor another release under a known serial; gaps are walked.
    skipped = _check_serial(manifest, data, memory, chain, root, environment, verifier)
    # 5. It has not expired, by the later of the clock and the newest time of issue ever accepted.
    check_expiry(manifest, memory, now)
    # 6. The tree holds only known names, plain files, and bytes of the digests that hang from the manifest.
    _check_layout(candidate, manifest)
    # 7. The approvals are what they say, and enough of the right people gave them.
    approvals = read_approvals(candidate, manifest)
    older = tuple(
        item for link, older_candidate in zip(skipped, chain, strict=True) for item in read_approvals(older_candidate, link)
    )
    check_quorum((*approvals, *older), manifest, trust)
    return VerifiedRelease(manifest, digest_bytes(data), (*approvals, *older), candidate, signers, skipped)


def check_signatures(candidate: Candidate, data: bytes, root: TrustRoot, verifier: SignatureVerifier) -> tuple[str, ...]:
    """Give the ids of the keys that signed, at least the threshold; each key counts once."""
    signers: list[str] = []
    for ident, key in sorted(root.keys.items()):
        path = f"signatures/{ident}.sigstore.json"
        if path in candidate.listing and verifier.verify_bundle(
            _read_bounded(candidate, path, DEFAULTS.signature_bytes), data, key
        ):
            signers.append(ident)
    if len(signers) < root.threshold:
        message = f"the manifest is signed by {len(signers)} of the trusted keys, {root.threshold} are needed"
        raise TrustError(message, code="T101", hint="was the release made with another key, or changed after signing?")
    return tuple(signers)


def check_audience(manifest: Manifest, root: TrustRoot, environment: str) -> EnvironmentTrust:
    """Give the environment's trust; raise TrustError when the manifest is for somebody else."""
    if manifest.repository != root.repository or manifest.environment != environment:
        got, expected = f"{manifest.repository}/{manifest.environment}", f"{root.repository}/{environment}"
        raise TrustError(f"the release is for {got}, expected {expected}", code="T103")
    trust = root.environments.get(environment)
    if trust is None:
        raise TrustError(f"the trust root knows no environment `{environment}`", code="T103")
    return trust


def check_expiry(manifest: Manifest, memory: Memory, now: datetime) -> None:
    """Raise TrustError when the release has expired."""
    moment = max(now, memory.newest_issued) if memory.newest_issued is not None else now
    if manifest.expires <= manifest.issued:
        raise TrustError("the release expires before it is issued", code="T105")
    if moment >= manifest.expires:
        message = f"the release {manifest.serial} expired at {manifest.expires:%Y-%m-%d %H:%M} UTC"
        raise TrustError(message, code="T105", hint="issue it again with `gitops release --force`, or set this machine's clock")


def read_approvals(candidate: Candidate, manifest: Manifest) -> tuple[Approval, ...]:
    """Give the approvals that a manifest names, each checked by digest, for this repository and environment."""
    found: list[Approval] = []
    for digest in manifest.approvals:
        data = _read_digest(candidate, f"approvals/{digest}.json", digest)
        try:
            approval = read_approval(data)
        except MalformedError as error:
            raise TrustError(f"approval {digest[:12]}: {error.message}", code="T107") from error
        if approval.repository != manifest.repository or approval.environment != manifest.environment:
            raise TrustError(f"approval {digest[:12]} is for another repository or environment", code="T107")
        found.append(approval)
    return tuple(found)


def check_quorum(approvals: Sequence[Approval], manifest: Manifest, trust: EnvironmentTrust) -> None:
    """Raise TrustError unless enough distinct people, of those whom the trust root names, approved (for each change digest)."""
    if trust.is_signed and any(item.proof.kind != "sshsig" for item in approvals):
        raise TrustError("the trust root demands reviewers' own signatures; an approval has none", code="T107")
    if not trust.required or manifest.rollback_of or not approvals:
        return
    by_change: dict[str, set[str]] = {}
    for item in approvals:
        if not trust.approvers or {item.approver, *item.teams} & set(trust.approvers):
            by_change.setdefault(item.change_digest, set()).add(item.approver)
    changes = {item.change_digest for item in approvals}
    for change in sorted(changes):
        count = len(by_change.get(change, set()))
        if count < trust.required:
            message = f"change {change[:12]} is approved by {count} of the people that count, {trust.required} are needed"
            raise TrustError(message, code="T107")


def read_host(release: VerifiedRelease, host: str) -> tuple[Resource, ...] | None:
    """Give a host's resources, every file checked by digest; None when the release does not list the host."""
    candidate, shard = release.candidate, shard_of(host)
    if shard not in release.manifest.shards:
        return None
    index = decode_canonical(_read_digest(candidate, f"hosts/{shard}/index.json", release.manifest.shards[shard]))
    digest = index.get(host) if isinstance(index, dict) else None
    if not isinstance(digest, str):
        return None
    try:
        graph = HostGraph.from_json(decode_canonical(_read_digest(candidate, f"hosts/{shard}/{host}.json", digest)))
        if graph.host != host or graph.environment != release.manifest.environment:
            raise TrustError(f"the graph of {host} is another host's or environment's", code="T106")
        found = list(graph.resources)
        for block in graph.blocks:
            data = _read_digest(candidate, f"blobs/{block[:2]}/{block}", block)
            found.extend(Block.from_json(decode_canonical(data)).resources)
    except MalformedError as error:
        raise TrustError(f"the graph of {host}: {error.message}", code="T106") from error
    return tuple(sorted(found, key=lambda resource: resource.address))


def read_content(release: VerifiedRelease, digest: str) -> bytes:
    """Give a file's content, checked by digest."""
    return _read_digest(release.candidate, f"blobs/{digest[:2]}/{digest}", digest)


def _parse_manifest(data: bytes, agent_version: str) -> Manifest:
    try:
        schema, min_agent = read_version(data)
        if agent_version and _version(min_agent) > _version(agent_version):
            message = f"the release needs an agent of version {min_agent} or later; this is {agent_version}"
            raise TrustError(message, code="T102", hint="upgrade the agent")
        if schema != MANIFEST_SCHEMA:
            raise TrustError(f"the release is of schema {schema[:60]}, this agent knows {MANIFEST_SCHEMA}", code="T102")
        return read_manifest(data)
    except MalformedError as error:
        raise TrustError(error.message, code="T102") from error


def _check_serial(  # noqa: PLR0913, PLR0917  the steps of one check
    manifest: Manifest,
    data: bytes,
    memory: Memory,
    chain: Sequence[Candidate],
    root: TrustRoot,
    environment: str,
    verifier: SignatureVerifier,
) -> tuple[Manifest, ...]:
    if manifest.serial < memory.serial:
        message = f"the release has serial {manifest.serial}, but {memory.serial} was accepted before"
        raise TrustError(message, code="T104", hint="somebody put an old release back; rolling back takes a new serial")
    if manifest.serial == memory.serial:
        if digest_bytes(data) != memory.digest:
            raise TrustError(
                f"two different releases with serial {manifest.serial}", code="T108", hint="raise the alarm: equivocation"
            )
        return ()
    previous = Memory(memory.serial, memory.digest)
    links = [_check_link(link, root, environment, verifier) for link in chain]
    for item in (*links, manifest):
        _check_follows(item, previous)
        previous = Memory(item.serial, item.digest)
    return tuple(links)


def _check_link(candidate: Candidate, root: TrustRoot, environment: str, verifier: SignatureVerifier) -> Manifest:
    data = _read_bounded(candidate, "manifest.json", DEFAULTS.manifest_bytes)
    check_signatures(candidate, data, root, verifier)
    manifest = _parse_manifest(data, "")
    check_audience(manifest, root, environment)
    return manifest


def _check_follows(manifest: Manifest, before: Memory) -> None:
    if before.serial == 0 and not before.digest:
        return
    expected = (before.serial, before.digest)
    got = (manifest.previous.serial, manifest.previous.digest) if manifest.previous is not None else (0, "")
    if manifest.serial != before.serial + 1 or got != expected:
        message = f"release {manifest.serial} does not follow release {before.serial}"
        raise TrustError(message, code="T104", hint="the chain between them is broken or was not fetched")


def _check_layout(candidate: Candidate, manifest: Manifest) -> None:
    if len(candidate.listing) > DEFAULTS.release_files:
        raise TrustError(f"the release has more than {DEFAULTS.release_files} files", code="T106")
    if sum(item.size for item in candidate.listing.values()) > DEFAULTS.release_bytes:
        raise TrustError(f"the release is larger than {DEFAULTS.release_bytes} bytes", code="T106")
    for path, item in candidate.listing.items():
        if item.mode != "100644":
            raise TrustError(f"{path[:200]} has mode {item.mode}, only plain files are allowed", code="T106")
        if not _is_known_path(path, manifest):
            raise TrustError(f"the release holds a file that does not belong to it: {path[:200]}", code="T106")


def _is_known_path(path: str, manifest: Manifest) -> bool:
    parts = path.split("/")
    match parts:
        case ["manifest.json"] | ["extensions", *_]:
            return True
        case ["signatures", name]:
            return name.endswith(".sigstore.json")
        case ["hosts", shard, name]:
            return shard in manifest.shards and name.endswith(".json")
        case ["blobs", prefix, name]:
            return name.startswith(prefix) and len(prefix) == 2 and len(name) == 64  # noqa: PLR2004  hex digits
        case ["plans", name]:
            return name == f"{manifest.plan}.json"
        case ["approvals", name]:
            return name.removesuffix(".json") in manifest.approvals and name.endswith(".json")
        case ["trust", *_]:
            return True
        case _:
            return False


def _read_digest(candidate: Candidate, path: str, digest: str) -> bytes:
    data = _read_bounded(candidate, path, DEFAULTS.blob_bytes)
    if digest_bytes(data) != digest:
        raise TrustError(
            f"{path} does not have the digest that the manifest hangs it from", code="T106", hint="the release was changed"
        )
    return data


def _read_bounded(candidate: Candidate, path: str, limit: int) -> bytes:
    listed = candidate.listing.get(path)
    if listed is None:
        raise TrustError(f"the release has no {path}", code="T106")
    if listed.size > limit:
        raise TrustError(f"{path} is larger than {limit} bytes", code="T106")
    return candidate.read(path)


def _version(text: str) -> tuple[int, ...]:
    parts = text.split(".")
    if not all(part.isdigit() for part in parts):
        raise TrustError(f"not a version: {text[:40]!r}", code="T102")
    return tuple(int(part) for part in parts)
