"""SignatureVerifier: the seam between the trust rules (pure) and cryptography."""

from __future__ import annotations

from typing import Protocol

from gitops.model.trustroot import TrustedKey


class SignatureVerifier(Protocol):
    """Verifies with one key; a wrong signature is False, never an exception."""

    def verify_bundle(self, bundle: bytes, subject: bytes, key: TrustedKey) -> bool:
        """Say whether a Sigstore bundle is this key's signature over a statement about exactly these manifest bytes."""
        ...

    def verify_detached(self, bundle: bytes, message: bytes, key: TrustedKey) -> bool:
        """Say whether a Sigstore message bundle is this key's signature over a message (trust roots)."""
        ...
