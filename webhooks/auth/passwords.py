"""Passwords, kept as scrypt hashes (RFC 7914) in the settings file: `scrypt:<n>:<r>:<p>:<salt>:<key>`, both base64.

Takes a password and a stored hash, says whether they match, in the same time for a user who does not exist. The salt is
passed in. Must not log, keep or return a password.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

from gitops.errors import UsageError

COST, BLOCK, PARALLEL = 2**15, 8, 1
MAX_COST, MAX_BLOCK, MAX_PARALLEL = 2**17, 16, 4
KEY_BYTES = 32
MIN_SALT = 8
MAX_PASSWORD = 1024
PARTS = 6


@dataclass(frozen=True)
class PasswordHash:
    """A stored scrypt hash with its parameters."""

    cost: int
    block: int
    parallel: int
    salt: bytes
    key: bytes

    def __str__(self) -> str:
        """Give the text for the settings file."""
        salt, key = (base64.b64encode(part).decode("ascii") for part in (self.salt, self.key))
        return f"scrypt:{self.cost}:{self.block}:{self.parallel}:{salt}:{key}"


# Compared with when the user does not exist, so that the answer takes as long; no password has the key of zeros.
NOBODY = PasswordHash(COST, BLOCK, PARALLEL, bytes(16), bytes(KEY_BYTES))


def hash_password(password: str, salt: bytes) -> PasswordHash:
    """Hash a new password with a fresh random salt of 16 bytes."""
    return PasswordHash(COST, BLOCK, PARALLEL, salt, _derive(password, COST, BLOCK, PARALLEL, salt=salt))


def is_password(password: str, stored: PasswordHash | None) -> bool:
    """Compare in constant time; None (nobody of that name) costs as much and is never right."""
    against = stored or NOBODY
    derived = _derive(password, against.cost, against.block, against.parallel, salt=against.salt)
    return hmac.compare_digest(derived, against.key) and stored is not None


def parse_hash(text: str) -> PasswordHash:
    """Read a stored hash; raise UsageError when it is none, or asks for more memory than 256 MiB."""
    parts = text.split(":")
    if len(parts) != PARTS or parts[0] != "scrypt":
        raise _refuse("it is not `scrypt:n:r:p:salt:key`")
    try:
        cost, block, parallel = (int(part) for part in parts[1:4])
        salt, key = (base64.b64decode(part, validate=True) for part in parts[4:])
    except (ValueError, binascii.Error):
        raise _refuse("a number or base64 in it cannot be read") from None
    if not (1 < cost <= MAX_COST and cost & (cost - 1) == 0 and 1 <= block <= MAX_BLOCK and 1 <= parallel <= MAX_PARALLEL):
        raise _refuse(f"its cost is out of bounds (n a power of two up to {MAX_COST}, r ≤ {MAX_BLOCK}, p ≤ {MAX_PARALLEL})")
    if len(salt) < MIN_SALT or len(key) != KEY_BYTES:
        raise _refuse(f"the salt has at least {MIN_SALT} bytes and the key {KEY_BYTES}")
    return PasswordHash(cost, block, parallel, salt, key)


def _derive(password: str, cost: int, block: int, parallel: int, *, salt: bytes) -> bytes:
    secret = password[:MAX_PASSWORD].encode("utf-8", "surrogatepass")
    memory = 128 * block * (cost + parallel + 2)
    return hashlib.scrypt(secret, salt=salt, n=cost, r=block, p=parallel, maxmem=memory, dklen=KEY_BYTES)


def _refuse(why: str) -> UsageError:
    return UsageError(
        f"users: a password hash is not usable: {why}", code="U060", hint="make one with `python -m webhooks.auth.hash`"
    )
