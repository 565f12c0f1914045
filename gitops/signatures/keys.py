"""Keys: Ed25519 or P-256, made, stored and read in the formats that ssh-keygen, openssl and cosign know.

`K` is the private key (OpenSSH format, 0600), `K.pub` an OpenSSH line, `K.pem` the SPKI. The key id is the hex SHA-256 of the SPKI.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
    load_ssh_private_key,
    load_ssh_public_key,
)

from gitops.errors import UsageError
from gitops.model.trustroot import TrustedKey

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey
TYPES = ("ed25519", "p256")
MAX_KEY_BYTES = 16 * 1024
OTHERS = 0o077


@dataclass(frozen=True)
class SigningKey:
    """A private key with its public face."""

    private: PrivateKey
    public: TrustedKey

    def sign(self, message: bytes) -> bytes:
        """Give the raw signature: Ed25519, or ECDSA over SHA-256 in DER."""
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(message)
        return self.private.sign(message, ec.ECDSA(hashes.SHA256()))


def generate_key(kind: str = "ed25519") -> SigningKey:
    """Make a key of a type."""
    private: PrivateKey = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    return SigningKey(private, describe_key(private.public_key()))


def write_key(key: SigningKey, path: Path, comment: str = "trueup release") -> None:
    """Write K, K.pub and K.pem; raise UsageError when one of them exists."""
    targets = (path, path.with_name(path.name + ".pub"), path.with_name(path.name + ".pem"))
    for target in targets:
        if target.exists():
            raise UsageError(f"{target} exists", code="U070", hint="keys are never overwritten; name another file")
    public = load_key(key.public)
    private = key.private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + f" {comment}\n".encode()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for target, data, mode in ((targets[0], private, 0o600), (targets[1], line, 0o644), (targets[2], pem, 0o644)):
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)


def read_signing_key(path: Path) -> SigningKey:
    """Read a private key; raise UsageError when others can read it, or when it is not one of the types."""
    try:
        with path.open("rb") as stream:
            mode, data = os.fstat(stream.fileno()).st_mode, stream.read(MAX_KEY_BYTES)
    except OSError as error:
        raise UsageError(f"cannot read the key {path}: {error.strerror}", code="U071") from error
    if mode & OTHERS:
        raise UsageError(f"others can read the key {path}", code="U072", hint=f"chmod 600 {path}")
    try:
        is_ssh = b"OPENSSH PRIVATE KEY" in data
        private = load_ssh_private_key(data, None) if is_ssh else load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{path} is not a private key without passphrase", code="U073") from error
    if not isinstance(private, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
        raise UsageError(f"{path} is not an Ed25519 or P-256 key", code="U073")
    return SigningKey(private, describe_key(private.public_key()))


def read_public_key(path: Path) -> TrustedKey:
    """Read a public key: an OpenSSH line or an SPKI PEM."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_KEY_BYTES)
    except OSError as error:
        raise UsageError(f"cannot read the key {path}: {error.strerror}", code="U071") from error
    try:
        is_pem = data.lstrip().startswith(b"-----BEGIN PUBLIC KEY")
        public = load_pem_public_key(data) if is_pem else load_ssh_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{path} is not a public key", code="U073", hint="give K.pub or K.pem") from error
    if not isinstance(public, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey):
        raise UsageError(f"{path} is not an Ed25519 or P-256 key", code="U073")
    return describe_key(public)


def describe_key(public: PublicKey) -> TrustedKey:
    """Give the noun of a public key; raise UsageError for another curve."""
    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name != "secp256r1":
        raise UsageError(f"the curve {public.curve.name} is not supported", code="U073", hint="use Ed25519 or P-256")
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return TrustedKey("ed25519" if isinstance(public, ed25519.Ed25519PublicKey) else "p256", spki.hex())


def load_key(key: TrustedKey) -> PublicKey:
    """Give the usable key; raise ValueError when the bytes are not of the type, or not in the one form that `describe_key` writes.

    A point has more than one encoding; if each had an id of its own, one key could count twice towards a threshold.
    """
    public = load_der_public_key(bytes.fromhex(key.spki))
    if public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo).hex() != key.spki:
        raise ValueError("the key is not in its canonical form")
    if key.type == "ed25519" and isinstance(public, ed25519.Ed25519PublicKey):
        return public
    if key.type == "p256" and isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == "secp256r1":
        return public
    raise ValueError("the key is not of its type")


def verify_raw(key: TrustedKey, signature: bytes, message: bytes) -> bool:
    """Say whether a raw signature is this key's over a message."""
    try:
        public = load_key(key)
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(signature, message)
        else:
            public.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True
