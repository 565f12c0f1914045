"""Rotation of the trust root: version N+1 is believed when the thresholds of N *and* of N+1 signed it (DESIGN §5).

Pure. A release carries the roots since the first in `trust/`, so that a host that slept through a rotation catches up step by step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from gitops.errors import MalformedError, TrustError
from gitops.model.candidate import Candidate
from gitops.model.limits import DEFAULTS
from gitops.model.trustroot import TrustRoot, read_trust_root
from gitops.model.verification import SignatureVerifier
from gitops.trust.layout import SIGNATURE_END
from gitops.trust.reading import read_bounded


def verify_rotation(old: TrustRoot, data: bytes, signatures: Mapping[str, bytes], verifier: SignatureVerifier) -> TrustRoot:
    """Give the next trust root; `signatures` are message bundles by key id. Raise TrustError unless both thresholds signed it."""
    try:
        new = read_trust_root(data)
    except MalformedError as error:
        raise TrustError(f"the next trust root: {error.message}", code="T109") from error
    if new.repository != old.repository:
        raise TrustError(f"the next trust root is for {new.repository[:80]}, expected {old.repository}", code="T109")
    if new.version != old.version + 1:
        raise TrustError(f"the next trust root has version {new.version}, expected {old.version + 1}", code="T109")
    for root, name in ((old, "old"), (new, "new")):
        count = count_signers(root, data, signatures, verifier)
        if count < root.threshold:
            message = f"trust root {new.version} is signed by {count} of the {name} keys, {root.threshold} are needed"
            raise TrustError(message, code="T109")
    return new


def count_signers(root: TrustRoot, data: bytes, signatures: Mapping[str, bytes], verifier: SignatureVerifier) -> int:
    """Count the keys of a root that signed these bytes."""
    return sum(ident in signatures and verifier.verify_detached(signatures[ident], data, key) for ident, key in root.keys.items())


def follow_rotations(candidate: Candidate, root: TrustRoot, verifier: SignatureVerifier) -> tuple[TrustRoot, ...]:
    """Give the pinned root and, in order, those that a fetched release carries after it; the last one holds now."""
    found = [root]
    while f"trust/{found[-1].version + 1}.json" in candidate.listing:
        version = found[-1].version + 1
        data = read_bounded(candidate, f"trust/{version}.json", DEFAULTS.manifest_bytes)
        found.append(verify_rotation(found[-1], data, _read_signatures(candidate, found[-1], data), verifier))
    return tuple(found)


def advance_root(candidate: Candidate, root: TrustRoot, verifier: SignatureVerifier) -> TrustRoot:
    """Give the root that holds now: the last of the rotations that a fetched release carries."""
    return follow_rotations(candidate, root, verifier)[-1]


def _read_signatures(candidate: Candidate, old: TrustRoot, data: bytes) -> dict[str, bytes]:
    """Read the signatures of the keys that may count, whatever else is there: none of it is believed yet."""
    idents = set(old.keys)
    with contextlib.suppress(MalformedError):  # said by who verifies
        idents |= set(read_trust_root(data).keys)
    paths = {ident: f"trust/{old.version + 1}.sigs/{ident}{SIGNATURE_END}" for ident in sorted(idents)}
    return {
        ident: read_bounded(candidate, path, DEFAULTS.signature_bytes)
        for ident, path in paths.items()
        if path in candidate.listing
    }
