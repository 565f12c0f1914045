"""Verify a release: the agent's checks, numbered as in DESIGN §5. Pure: bytes, a time, a trust root and what is remembered go in.

Nothing of the manifest is believed before its signatures are; `schema` and `min_agent` are read first after them, so that an old
agent says "too old" and not "forged". Every refusal is a TrustError (exit 6) that names the first failed check. What a release wants of
one host is compared with its approvals by `gitops.trust.approvals.check_covers_host`, once the host is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from gitops.errors import MalformedError, TrustError
from gitops.model.approval import Approval
from gitops.model.candidate import Candidate
from gitops.model.codec import digest_bytes
from gitops.model.limits import DEFAULTS
from gitops.model.manifest import MANIFEST_SCHEMA, Manifest, read_manifest, read_version
from gitops.model.trustroot import EnvironmentTrust, TrustRoot
from gitops.model.verification import SignatureVerifier
from gitops.trust.approvals import check_proofs, check_unspent, find_approved, read_approvals
from gitops.trust.contents import read_content, read_host
from gitops.trust.layout import check_layout, signature_path
from gitops.trust.reading import read_bounded
from gitops.trust.verified import Memory, VerifiedRelease

CLOCK_SKEW = timedelta(days=1)
VERSION_LENGTH = 40
CHECKS = (
    "signed by enough of the trusted keys",
    "a manifest that this version understands",
    "made for this repository and environment",
    "follows what was accepted before",
    "issued and not expired",
    "only known names and plain files",
    "approvals are whole, in force and unspent",
)
Note = Callable[[str], None]


def verify_release(  # noqa: PLR0913  everything that a pure state machine needs
    candidate: Candidate,
    root: TrustRoot,
    environment: str,
    *,
    memory: Memory,
    now: datetime,
    verifier: SignatureVerifier,
    chain: Sequence[Candidate] = (),
    older_roots: Sequence[TrustRoot] = (),
    agent_version: str = "",
    note: Note | None = None,
) -> VerifiedRelease:
    """Accept a fetched release or raise the TrustError of the first failed check.

    `chain` are the releases between what is remembered and this one, oldest first; at first contact (nothing remembered) those from any
    serial on, so that their approvals count too. A link may also be signed as `older_roots` (those before a rotation) say: the digest that
    its successor names binds it to this release all the same. `note` is told the name (CHECKS) of every check that passed.
    """
    done = iter(CHECKS)
    passed: Note = note or _ignore
    data = read_bounded(candidate, "manifest.json", DEFAULTS.manifest_bytes)
    # 1. The signatures are by a threshold of distinct pinned keys, over exactly this manifest.
    signers = check_signatures(candidate, data, root, verifier)
    passed(next(done))
    # 2. Schema and min_agent first, then the whole manifest, canonical.
    manifest = parse_manifest(data, agent_version)
    passed(next(done))
    # 3. It is for us: repository and environment.
    trust = check_audience(manifest, root, environment)
    passed(next(done))
    # 4. It is not older than what we know, nor another release under a known serial; gaps are walked.
    links = [verify_member(item, root, environment, verifier, older_roots) for item in _bound(chain)]
    skipped = _check_serial(manifest, memory, links)
    passed(next(done))
    # 5. It is not from the future, and has not expired by the later of the clock and the newest time of issue ever accepted.
    check_expiry(manifest, memory, now)
    passed(next(done))
    # 6. The tree holds only known names and plain files; bytes are compared with their digests where they are read.
    check_layout(candidate, manifest)
    passed(next(done))
    # 7. The approvals are what they say, in force, not spent before; what enough people approved is what counts.
    approvals = _read_all_approvals(candidate, manifest, chain, skipped)
    if manifest.serial != memory.serial:
        check_unspent((*skipped, manifest), memory.spent)
    check_proofs(approvals, trust)
    passed(next(done))
    approved = find_approved(approvals, trust)
    return VerifiedRelease(manifest, digest_bytes(data), approvals, candidate, signers, trust, approved, skipped)


def verify_member(
    candidate: Candidate, root: TrustRoot, environment: str, verifier: SignatureVerifier, older_roots: Sequence[TrustRoot] = ()
) -> Manifest:
    """Give the manifest of a link of the chain: its signatures, audience and own numbers are checked, its expiry is not."""
    data = read_bounded(candidate, "manifest.json", DEFAULTS.manifest_bytes)
    if not any(_is_signed(candidate, data, older, verifier) for older in older_roots):
        check_signatures(candidate, data, root, verifier)
    manifest = parse_manifest(data, "")
    check_audience(manifest, root, environment)
    return manifest


def check_signatures(candidate: Candidate, data: bytes, root: TrustRoot, verifier: SignatureVerifier) -> tuple[str, ...]:
    """Give the ids of the keys that signed, at least the threshold; each key counts once, whoever's name its file bears."""
    signers = _find_signers(candidate, data, root, verifier)
    if len(signers) < root.threshold:
        message = f"the manifest is signed by {len(signers)} of the trusted keys, {root.threshold} are needed"
        raise TrustError(message, code="T101", hint="was the release made with another key, or changed after signing?")
    return signers


def parse_manifest(data: bytes, agent_version: str) -> Manifest:
    """Read a signed manifest; an empty `agent_version` asks for no minimum. Its own numbers must agree: serial, previous, times."""
    try:
        schema, min_agent = read_version(data)
        if agent_version and _version(min_agent) > _version(agent_version):
            message = f"the release needs an agent of version {min_agent} or later; this is {agent_version}"
            raise TrustError(message, code="T102", hint="upgrade the agent")
        if schema != MANIFEST_SCHEMA:
            raise TrustError(f"the release is of schema {schema[:60]}, this agent knows {MANIFEST_SCHEMA}", code="T102")
        manifest = read_manifest(data)
    except MalformedError as error:
        raise TrustError(error.message, code="T102") from error
    before = 0 if manifest.previous is None else manifest.previous.serial
    if before != manifest.serial - 1 or not 0 <= manifest.rollback_of < manifest.serial:
        raise TrustError(f"release {manifest.serial} names serials that cannot be before it", code="T104")
    return manifest


def check_audience(manifest: Manifest, root: TrustRoot, environment: str) -> EnvironmentTrust:
    """Give the environment's trust; raise TrustError when the manifest is for somebody else."""
    if manifest.repository != root.repository or manifest.environment != environment:
        got, expected = f"{manifest.repository}/{manifest.environment}", f"{root.repository}/{environment}"
        raise TrustError(f"the release is for {got[:200]}, expected {expected}", code="T103")
    trust = root.environments.get(environment)
    if trust is None:
        raise TrustError(f"the trust root knows no environment `{environment}`", code="T103")
    return trust


def check_expiry(manifest: Manifest, memory: Memory, now: datetime) -> None:
    """Raise TrustError when the release has expired, or is from a future that would make all later ones look old."""
    moment = max(now, memory.newest_issued) if memory.newest_issued is not None else now
    if manifest.expires <= manifest.issued:
        raise TrustError("the release expires before it is issued", code="T105")
    if manifest.issued > moment + CLOCK_SKEW:
        message = f"the release {manifest.serial} was issued in the future, at {manifest.issued:%Y-%m-%d %H:%M} UTC"
        raise TrustError(message, code="T105", hint="is this machine's clock right?")
    if moment >= manifest.expires:
        message = f"the release {manifest.serial} expired at {manifest.expires:%Y-%m-%d %H:%M} UTC"
        raise TrustError(message, code="T105", hint="issue it again with `gitops release --force`, or set this machine's clock")


def _find_signers(candidate: Candidate, data: bytes, root: TrustRoot, verifier: SignatureVerifier) -> tuple[str, ...]:
    signers: list[str] = []
    for ident, key in sorted(root.keys.items()):
        path = signature_path(ident)
        if path in candidate.listing and verifier.verify_bundle(
            read_bounded(candidate, path, DEFAULTS.signature_bytes), data, key
        ):
            signers.append(ident)
    return tuple(signers)


def _is_signed(candidate: Candidate, data: bytes, root: TrustRoot, verifier: SignatureVerifier) -> bool:
    return len(_find_signers(candidate, data, root, verifier)) >= root.threshold


def _bound(chain: Sequence[Candidate]) -> Sequence[Candidate]:
    if len(chain) > DEFAULTS.chain_length:
        message = f"{len(chain)} releases lie between, at most {DEFAULTS.chain_length} are walked"
        raise TrustError(message, code="T104", hint="enrol this machine again")
    return chain


def _check_serial(manifest: Manifest, memory: Memory, links: Sequence[Manifest]) -> tuple[Manifest, ...]:
    if manifest.serial < memory.serial:
        message = f"the release has serial {manifest.serial}, but {memory.serial} was accepted before"
        raise TrustError(message, code="T104", hint="somebody put an old release back; rolling back takes a new serial")
    if manifest.serial == memory.serial:
        if manifest.digest != memory.digest:
            message = f"two different releases with serial {manifest.serial}"
            raise TrustError(message, code="T108", hint="raise the alarm: equivocation")
        return ()
    before = memory
    for item in (*links, manifest):
        _check_follows(item, before)
        before = Memory(item.serial, item.digest, item.issued)
    return tuple(links)


def _check_follows(manifest: Manifest, before: Memory) -> None:
    if before.newest_issued is not None and manifest.issued < before.newest_issued:
        raise TrustError(f"release {manifest.serial} was issued before the release that it follows", code="T105")
    if before.serial == 0:  # first contact: whatever is current is where this host begins
        return
    got = (manifest.previous.serial, manifest.previous.digest) if manifest.previous is not None else (0, "")
    if got != (before.serial, before.digest):
        message = f"release {manifest.serial} does not follow release {before.serial}"
        raise TrustError(message, code="T104", hint="the chain between them is broken or was not fetched")


def _read_all_approvals(
    candidate: Candidate, manifest: Manifest, chain: Sequence[Candidate], skipped: Sequence[Manifest]
) -> tuple[Approval, ...]:
    own = read_approvals(candidate, manifest)
    older = [item for link, found in zip(skipped, chain, strict=False) for item in read_approvals(found, link)]
    return (*own, *older)


def _version(text: str) -> tuple[int, ...]:
    parts = text.split(".")
    if len(text) > VERSION_LENGTH or not all(part.isascii() and part.isdecimal() for part in parts):
        raise TrustError(f"not a version: {text[:40]!r}", code="T102")
    return tuple(int(part) for part in parts)


def _ignore(_name: str) -> None:
    return


__all__ = [
    "CHECKS",
    "Memory",
    "VerifiedRelease",
    "check_audience",
    "check_expiry",
    "check_signatures",
    "parse_manifest",
    "read_content",
    "read_host",
    "verify_member",
    "verify_release",
]
