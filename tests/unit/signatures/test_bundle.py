"""Sigstore bundles: what is signed, what is refused, and what stock tools say of them."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitops.model.limits import DEFAULTS
from gitops.signatures.bundle import BundleVerifier, encode_pae, sign_manifest, sign_message
from gitops.signatures.keys import TYPES, generate_key, read_public_key, read_signing_key, write_key

VERIFIER = BundleVerifier()
KEY = generate_key()
MANIFEST = b'{"schema":"gitops/manifest/v1"}'
GOLDEN = Path(__file__).parent / "golden"
Spoil = Callable[[dict[str, Any]], object]


def spoiled(spoil: Spoil, bundle: bytes | None = None) -> bytes:
    table = json.loads(bundle or sign_manifest(KEY, MANIFEST))
    spoil(table)
    return json.dumps(table).encode()


def resigned(change: Callable[[dict[str, Any]], object], *, payload_type: str = "application/vnd.in-toto+json") -> bytes:
    """Give a bundle whose changed statement is properly signed, as somebody with the key could."""
    table = json.loads(sign_manifest(KEY, MANIFEST))
    envelope = table["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    change(statement)
    payload = json.dumps(statement).encode()
    envelope["payload"], envelope["payloadType"] = base64.b64encode(payload).decode(), payload_type
    envelope["signatures"][0]["sig"] = base64.b64encode(KEY.sign(encode_pae(payload_type, payload))).decode()
    return json.dumps(table).encode()


@pytest.mark.parametrize("kind", TYPES)
def test_a_bundle_is_over_one_manifest_by_one_key(kind: str) -> None:
    key = generate_key(kind)
    bundle = sign_manifest(key, MANIFEST)
    assert VERIFIER.verify_bundle(bundle, MANIFEST, key.public)
    assert not VERIFIER.verify_bundle(bundle, MANIFEST + b" ", key.public)
    assert not VERIFIER.verify_bundle(bundle, MANIFEST, generate_key(kind).public)


@pytest.mark.parametrize("kind", TYPES)
def test_a_message_bundle_is_over_one_message_by_one_key(kind: str) -> None:
    key = generate_key(kind)
    bundle = sign_message(key, b"root")
    assert VERIFIER.verify_detached(bundle, b"root", key.public)
    assert not VERIFIER.verify_detached(bundle, b"toor", key.public)
    assert not VERIFIER.verify_detached(bundle, b"root", generate_key(kind).public)


def test_one_kind_of_bundle_is_not_the_other() -> None:
    assert not VERIFIER.verify_bundle(sign_message(KEY, MANIFEST), MANIFEST, KEY.public)
    assert not VERIFIER.verify_detached(sign_manifest(KEY, MANIFEST), MANIFEST, KEY.public)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda table: table.update(mediaType="application/vnd.dev.sigstore.bundle.v0.2+json"),
        lambda table: table.pop("mediaType"),
        lambda table: table["verificationMaterial"]["publicKey"].update(hint="AAAA"),
        lambda table: table.update(verificationMaterial={}),
        lambda table: table.update(dsseEnvelope=[]),
        lambda table: table["dsseEnvelope"].update(payloadType="text/plain"),
        lambda table: table["dsseEnvelope"].update(signatures=[]),
        lambda table: table["dsseEnvelope"].update(signatures=7),
        lambda table: table["dsseEnvelope"]["signatures"].append(table["dsseEnvelope"]["signatures"][0]),
        lambda table: table["dsseEnvelope"]["signatures"][0].update(sig="!"),
        lambda table: table["dsseEnvelope"]["signatures"][0].update(sig=""),
        lambda table: table["dsseEnvelope"].update(payload="e30="),
        lambda table: table.update(messageSignature={}),
        lambda table: table.update(message_signature={}),
        lambda table: table.update(dsse_envelope=table["dsseEnvelope"]),
        lambda table: table["dsseEnvelope"].update(payload_type="text/plain"),
        lambda table: table["dsseEnvelope"]["signatures"][0].update(certificate=""),
        lambda table: table["verificationMaterial"].update(certificate={}),
        lambda table: table["verificationMaterial"].update(public_key={}),
        lambda table: table["verificationMaterial"]["publicKey"].update(other=""),
    ],
)
def test_a_spoiled_bundle_is_false_and_never_an_exception(spoil: Spoil) -> None:
    assert not VERIFIER.verify_bundle(spoiled(spoil), MANIFEST, KEY.public)


@pytest.mark.parametrize(
    "change",
    [
        lambda statement: statement.update(predicateType="https://slsa.dev/provenance/v1"),
        lambda statement: statement.update(_type="https://in-toto.io/Statement/v0.1"),
        lambda statement: statement["subject"].append(statement["subject"][0]),
        lambda statement: statement.update(subject=[]),
        lambda statement: statement["subject"][0].update(name="other.json"),
        lambda statement: statement["subject"][0]["digest"].update(sha256="0" * 64),
        lambda statement: statement["subject"][0]["digest"].update(md5="0" * 32),
    ],
)
def test_a_statement_about_something_else_is_refused_though_it_is_signed(change: Callable[[dict[str, Any]], object]) -> None:
    assert VERIFIER.verify_bundle(resigned(lambda _statement: None), MANIFEST, KEY.public)
    assert not VERIFIER.verify_bundle(resigned(change), MANIFEST, KEY.public)


def test_another_payload_type_is_refused_though_it_is_signed() -> None:
    assert not VERIFIER.verify_bundle(resigned(lambda _statement: None, payload_type="text/plain"), MANIFEST, KEY.public)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b" " * (DEFAULTS.signature_bytes + 1)])
def test_rubbish_is_false_and_never_an_exception(data: bytes) -> None:
    assert not VERIFIER.verify_bundle(data, MANIFEST, KEY.public)
    assert not VERIFIER.verify_detached(data, MANIFEST, KEY.public)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda table: table["messageSignature"]["messageDigest"].update(algorithm="SHA2_512"),
        lambda table: table["messageSignature"]["messageDigest"].update(digest="AAAA"),
        lambda table: table["messageSignature"].update(signature="AAAA"),
        lambda table: table["messageSignature"].update(message_digest={}),
        lambda table: table.update(dsseEnvelope={}),
    ],
)
def test_a_spoiled_message_bundle_is_false(spoil: Spoil) -> None:
    assert not VERIFIER.verify_detached(spoiled(spoil, sign_message(KEY, MANIFEST)), MANIFEST, KEY.public)


@pytest.mark.parametrize("name", ["mediaType", "dsseEnvelope", "payloadType", "payload", "sig", "hint"])
def test_a_key_that_stands_twice_is_refused_wherever_it_stands(name: str) -> None:
    text = sign_manifest(KEY, MANIFEST).decode()
    start = text.index(f'"{name}":')
    twice = text[:start] + f'"{name}":"",' + text[start:]
    assert json.loads(twice) == json.loads(text)
    assert not VERIFIER.verify_bundle(twice.encode(), MANIFEST, KEY.public)


def test_a_key_that_stands_twice_in_the_signed_statement_is_refused() -> None:
    table = json.loads(sign_manifest(KEY, MANIFEST))
    payload = base64.b64decode(table["dsseEnvelope"]["payload"]).replace(b'"subject"', b'"subject":[],"subject"')
    table["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    table["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(
        KEY.sign(encode_pae("application/vnd.in-toto+json", payload))
    ).decode()
    assert not VERIFIER.verify_bundle(json.dumps(table).encode(), MANIFEST, KEY.public)


def test_what_cosign_adds_of_its_log_is_let_pass() -> None:
    """A managed key's bundle may hold an entry of a transparency log, a time stamp and an empty key id beside."""
    added = {"tlogEntries": [{"logIndex": 1.5}], "timestampVerificationData": {}}
    assert VERIFIER.verify_bundle(spoiled(lambda table: table["verificationMaterial"].update(added)), MANIFEST, KEY.public)
    assert VERIFIER.verify_bundle(
        spoiled(lambda table: table["dsseEnvelope"]["signatures"][0].update(keyid="")), MANIFEST, KEY.public
    )


# ── others' tools ──


@pytest.mark.parametrize("kind", TYPES)
def test_openssl_verifies_the_dsse_signature_with_the_pem(tmp_path: Path, kind: str) -> None:
    key = generate_key(kind)
    write_key(key, tmp_path / "K")
    envelope = json.loads(sign_manifest(key, MANIFEST))["dsseEnvelope"]
    (tmp_path / "pae").write_bytes(encode_pae(envelope["payloadType"], base64.b64decode(envelope["payload"])))
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    raw = ["-rawin"] if kind == "ed25519" else ["-rawin", "-digest", "sha256"]
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "K.pem", *raw, "-in", "pae", "-sigfile", "sig"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=30).returncode == 0
    (tmp_path / "pae").write_bytes(b"other")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=30).returncode != 0


@pytest.mark.parametrize("kind", TYPES)
def test_the_golden_bundle_still_verifies_and_is_still_made(kind: str) -> None:
    """These files were verified by cosign 3 when they were made (docs/how-to/verify-with-stock-tools.md)."""
    manifest, bundle = (GOLDEN / "manifest.json").read_bytes(), (GOLDEN / f"{kind}.sigstore.json").read_bytes()
    assert VERIFIER.verify_bundle(bundle, manifest, read_public_key(GOLDEN / f"{kind}.pem"))


def test_an_ed25519_bundle_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    private = tmp_path / "K"
    private.write_bytes((GOLDEN / "ed25519.test-key").read_bytes())
    private.chmod(0o600)
    made = sign_manifest(read_signing_key(private), (GOLDEN / "manifest.json").read_bytes())
    assert made == (GOLDEN / "ed25519.sigstore.json").read_bytes()
