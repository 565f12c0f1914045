"""Sigstore bundles v0.3 with a managed key: a DSSE in-toto statement over manifest.json, or a plain message signature.

As cosign writes and verifies them: the hint is the base64 SHA-256 of the SPKI, exactly one signature. The format belongs to others,
so it is read leniently in layout but strictly in meaning: payload type, subject digest, predicate type, the one signature.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, cast

from gitops.errors import MalformedError
from gitops.model.codec import decode_foreign
from gitops.model.limits import DEFAULTS
from gitops.model.trustroot import TrustedKey
from gitops.signatures.keys import SigningKey, verify_raw

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:trueup:release:v1"
SUBJECT = "manifest.json"
ENVELOPE = frozenset(("payload", "payloadType", "signatures"))
MESSAGE = frozenset(("messageDigest", "signature"))
MATERIAL = frozenset(("publicKey", "tlogEntries", "timestampVerificationData"))
UNUSABLE = (KeyError, ValueError, TypeError, RecursionError, MalformedError)


def sign_manifest(key: SigningKey, manifest: bytes) -> bytes:
    """Give the bundle of a manifest."""
    statement: dict[str, Any] = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": SUBJECT, "digest": {"sha256": hashlib.sha256(manifest).hexdigest()}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {},
    }
    payload = json.dumps(statement, separators=(",", ":"), sort_keys=True).encode()
    signature = key.sign(encode_pae(PAYLOAD_TYPE, payload))
    envelope = {
        "payload": _encode(payload),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"sig": _encode(signature)}],
    }
    return _write(key.public, {"dsseEnvelope": envelope})


def sign_message(key: SigningKey, message: bytes) -> bytes:
    """Give the bundle of a plain message (a trust root)."""
    digest = {"algorithm": "SHA2_256", "digest": _encode(hashlib.sha256(message).digest())}
    return _write(key.public, {"messageSignature": {"messageDigest": digest, "signature": _encode(key.sign(message))}})


def encode_pae(payload_type: str, payload: bytes) -> bytes:
    """Give DSSE's pre-authentication encoding (DSSE v1)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def make_hint(key: TrustedKey) -> str:
    """Give the hint by which cosign names a key."""
    return _encode(hashlib.sha256(bytes.fromhex(key.spki)).digest())


class BundleVerifier:
    """Verifies bundles with `cryptography`; see `gitops.model.verification.SignatureVerifier`."""

    def verify_bundle(self, bundle: bytes, subject: bytes, key: TrustedKey) -> bool:
        """Check hint, payload type, the one signature, and that the statement is about exactly these bytes."""
        try:
            envelope = _read(bundle, key, "dsseEnvelope", ENVELOPE)
            signatures = cast("list[Any]", envelope["signatures"])
            payload = _decode(envelope["payload"])
            if envelope["payloadType"] != PAYLOAD_TYPE or len(signatures) != 1:
                return False
            only = _object(signatures[0])
            if not {"sig"} <= set(only) <= {"sig", "keyid"}:
                return False
            if not verify_raw(key, _decode(only["sig"]), encode_pae(PAYLOAD_TYPE, payload)):
                return False
            return _is_about(payload, subject)
        except UNUSABLE:
            return False

    def verify_detached(self, bundle: bytes, message: bytes, key: TrustedKey) -> bool:
        """Check a message signature."""
        try:
            signed = _read(bundle, key, "messageSignature", MESSAGE)
            digest = _object(signed["messageDigest"])
            is_same = digest["algorithm"] == "SHA2_256" and _decode(digest["digest"]) == hashlib.sha256(message).digest()
            return is_same and verify_raw(key, _decode(signed["signature"]), message)
        except UNUSABLE:
            return False


def _is_about(payload: bytes, subject: bytes) -> bool:
    statement = _object(decode_foreign(payload))
    subjects = cast("list[Any]", statement["subject"])
    if statement["_type"] != STATEMENT_TYPE or statement["predicateType"] != PREDICATE_TYPE or len(subjects) != 1:
        return False
    only = _object(subjects[0])
    return only["name"] == SUBJECT and _object(only["digest"]) == {"sha256": hashlib.sha256(subject).hexdigest()}


def _read(bundle: bytes, key: TrustedKey, content: str, names: frozenset[str]) -> dict[str, Any]:
    """Give a bundle's one content, which holds exactly these names; raise for another key, version, or a second content.

    The format knows each name in two spellings and at most one content, so that other readers could see another one beside it: nothing may
    stand there that is not looked at here.
    """
    if len(bundle) > DEFAULTS.signature_bytes:
        raise ValueError("the bundle is too large")
    table = _object(decode_foreign(bundle))
    if set(table) != {"mediaType", "verificationMaterial", content}:
        raise ValueError("the bundle has not exactly one content")
    material, found = _object(table["verificationMaterial"]), _object(table[content])
    if not {"publicKey"} <= set(material) <= MATERIAL or frozenset(found) != names:
        raise ValueError("the bundle holds what is not known here")
    if table["mediaType"] != MEDIA_TYPE or _object(material["publicKey"]) != {"hint": make_hint(key)}:
        raise ValueError("the bundle is of another key or version")
    return found


def _write(key: TrustedKey, content: dict[str, Any]) -> bytes:
    table = {"mediaType": MEDIA_TYPE, "verificationMaterial": {"publicKey": {"hint": make_hint(key)}}, **content}
    return json.dumps(table, separators=(",", ":"), sort_keys=True).encode()


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("expected an object")
    return cast("dict[str, Any]", value)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: Any) -> bytes:
    return base64.b64decode(str(text), validate=True)
