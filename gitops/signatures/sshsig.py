"""SSHSIG: the signature format of `ssh-keygen -Y` and of Git commits (OpenSSH PROTOCOL.sshsig).

Signs and verifies with `cryptography` alone; namespace `git` for commits. Parsing is strict and bounded.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gitops.model.trustroot import TrustedKey
from gitops.signatures.keys import SigningKey, load_key, verify_raw

MAGIC = b"SSHSIG"
HASH = b"sha512"
BEGIN = "-----BEGIN SSH SIGNATURE-----"
END = "-----END SSH SIGNATURE-----"
COLUMNS = 70
MAX_ARMOR = 8192
ALGORITHMS = {"ed25519": b"ssh-ed25519", "p256": b"ecdsa-sha2-nistp256"}


def sign_ssh(key: SigningKey, message: bytes, namespace: str = "git") -> str:
    """Give the armored signature, ending in a newline."""
    raw = key.sign(_to_be_signed(message, namespace))
    if key.public.type == "p256":
        first, second = decode_dss_signature(raw)
        raw = _string(_mpint(first)) + _string(_mpint(second))
    signature = _string(ALGORITHMS[key.public.type]) + _string(raw)
    fields = (_string(_public_blob(key.public)), _string(namespace.encode()), _string(b""), _string(HASH), _string(signature))
    text = base64.b64encode(MAGIC + struct.pack(">I", 1) + b"".join(fields)).decode()
    lines = [text[start : start + COLUMNS] for start in range(0, len(text), COLUMNS)]
    return "\n".join([BEGIN, *lines, END]) + "\n"


def verify_ssh(armor: str, message: bytes, keys: Iterable[TrustedKey], namespace: str = "git") -> TrustedKey | None:
    """Give the key among these that made the signature, or None."""
    try:
        blob, got_namespace, algorithm, raw = _parse(armor)
    except (ValueError, struct.error):
        return None
    if got_namespace != namespace.encode():
        return None
    for key in keys:
        if _public_blob(key) == blob and ALGORITHMS[key.type] == algorithm:
            signature = _to_der(raw) if key.type == "p256" else raw
            return key if signature and verify_raw(key, signature, _to_be_signed(message, namespace)) else None
    return None


def _parse(armor: str) -> tuple[bytes, bytes, bytes, bytes]:
    text = armor.strip()
    if len(text) > MAX_ARMOR or not text.startswith(BEGIN) or not text.endswith(END):
        raise ValueError("not an SSH signature")
    data = base64.b64decode("".join(text[len(BEGIN) : -len(END)].split()), validate=True)
    if data[:6] != MAGIC or struct.unpack(">I", data[6:10])[0] != 1:
        raise ValueError("not an SSH signature of version 1")
    fields = _read_strings(data[10:])
    if len(fields) != 5 or fields[2] != b"" or fields[3] != HASH:  # noqa: PLR2004  key, namespace, reserved, hash, signature
        raise ValueError("unexpected fields")
    inner = _read_strings(fields[4])
    if len(inner) != 2:  # noqa: PLR2004  algorithm, signature
        raise ValueError("unexpected signature")
    return fields[0], fields[1], inner[0], inner[1]


def _to_be_signed(message: bytes, namespace: str) -> bytes:
    digest = hashlib.sha512(message).digest()
    return MAGIC + _string(namespace.encode()) + _string(b"") + _string(HASH) + _string(digest)


def _public_blob(key: TrustedKey) -> bytes:
    line = load_key(key).public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return base64.b64decode(line.split(b" ")[1])


def _to_der(raw: bytes) -> bytes:
    try:
        parts = _read_strings(raw)
        return encode_dss_signature(int.from_bytes(parts[0], "big"), int.from_bytes(parts[1], "big")) if len(parts) == 2 else b""  # noqa: PLR2004
    except (ValueError, struct.error):
        return b""


def _read_strings(data: bytes) -> list[bytes]:
    found: list[bytes] = []
    position = 0
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        end = position + 4 + length
        if end > len(data):
            raise ValueError("a field is cut short")
        found.append(data[position + 4 : end])
        position = end
    return found


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _mpint(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")
