"""Keys in the files that ssh-keygen, openssl and cosign know."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gitops.errors import UsageError
from gitops.model.codec import digest_bytes
from gitops.model.trustroot import TrustedKey
from gitops.signatures.keys import (
    TYPES,
    generate_key,
    load_key,
    read_public_key,
    read_signing_key,
    verify_raw,
    write_key,
)


def run(*arguments: object) -> str:
    done = subprocess.run([str(item) for item in arguments], capture_output=True, check=True, timeout=30)
    return done.stdout.decode()


@pytest.mark.parametrize("kind", TYPES)
def test_a_written_key_is_read_back_from_any_of_its_files(tmp_path: Path, kind: str) -> None:
    key, path = generate_key(kind), tmp_path / "K"
    write_key(key, path)
    assert read_signing_key(path).public == key.public
    assert read_public_key(tmp_path / "K.pub") == read_public_key(tmp_path / "K.pem") == key.public
    assert path.stat().st_mode & 0o777 == 0o600
    assert key.public.ident == digest_bytes(bytes.fromhex(key.public.spki))


@pytest.mark.parametrize("kind", TYPES)
def test_stock_tools_read_the_files(tmp_path: Path, kind: str) -> None:
    write_key(generate_key(kind), tmp_path / "K")
    assert run("ssh-keygen", "-y", "-f", tmp_path / "K").split()[:2] == (tmp_path / "K.pub").read_text().split()[:2]
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", tmp_path / "K.pem", "-outform", "DER"], capture_output=True, check=True, timeout=30
    )
    assert digest_bytes(der.stdout) == read_public_key(tmp_path / "K.pem").ident


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_key_of_ssh_keygen_signs(tmp_path: Path, kind: str) -> None:
    run("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "x", "-f", tmp_path / "K")
    key = read_signing_key(tmp_path / "K")
    assert verify_raw(read_public_key(tmp_path / "K.pub"), key.sign(b"message"), b"message")


def test_a_key_of_openssl_signs(tmp_path: Path) -> None:
    run("openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / "K")
    (tmp_path / "K").chmod(0o600)
    assert read_signing_key(tmp_path / "K").public.type == "ed25519"


@pytest.mark.parametrize("name", ["K", "K.pub", "K.pem"])
def test_no_file_is_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError):
        write_key(generate_key(), tmp_path / "K")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    write_key(generate_key(), tmp_path / "K")
    (tmp_path / "K").chmod(0o640)
    with pytest.raises(UsageError) as caught:
        read_signing_key(tmp_path / "K")
    assert caught.value.hint.startswith("chmod 600")


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "K").write_text("no key")
    (tmp_path / "K").chmod(0o600)
    for path in (tmp_path / "K", tmp_path / "missing"):
        with pytest.raises(UsageError):
            read_signing_key(path)
        with pytest.raises(UsageError):
            read_public_key(path)


def test_other_kinds_of_keys_are_refused(tmp_path: Path) -> None:
    for private in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        (tmp_path / "K").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (tmp_path / "K").chmod(0o600)
        (tmp_path / "K.pem").write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        with pytest.raises(UsageError):
            read_signing_key(tmp_path / "K")
        with pytest.raises(UsageError):
            read_public_key(tmp_path / "K.pem")


def test_a_key_with_a_passphrase_is_refused_and_says_why(tmp_path: Path) -> None:
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", tmp_path / "K")
    with pytest.raises(UsageError) as caught:
        read_signing_key(tmp_path / "K")
    assert "passphrase" in caught.value.message


def test_one_key_has_one_id_whatever_its_encoding() -> None:
    """A compressed point is the same key in other bytes; it must not count as a second one."""
    key = generate_key("p256")
    public = load_key(key.public)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    point = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint).hex()
    head = "3039301306072a8648ce3d020106082a8648ce3d030107032200"
    twin = TrustedKey("p256", head + point)
    assert twin.ident != key.public.ident
    assert not verify_raw(twin, key.sign(b"m"), b"m")
    assert verify_raw(key.public, key.sign(b"m"), b"m")


@pytest.mark.parametrize("kind", TYPES)
def test_a_signature_is_over_one_message_by_one_key(kind: str) -> None:
    key, other = generate_key(kind), generate_key(kind)
    signature = key.sign(b"message")
    assert verify_raw(key.public, signature, b"message")
    assert not verify_raw(key.public, signature, b"massage")
    assert not verify_raw(other.public, signature, b"message")
    assert not verify_raw(key.public, signature[:-1], b"message")
    wrong_type = TrustedKey("p256" if kind == "ed25519" else "ed25519", key.public.spki)
    assert not verify_raw(wrong_type, signature, b"message")
