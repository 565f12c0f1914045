"""SSHSIG against ssh-keygen, both ways, and against whoever would bend it."""

from __future__ import annotations

import base64
import struct
import subprocess
from pathlib import Path

import pytest

from gitops.signatures.keys import TYPES, generate_key, read_public_key, write_key
from gitops.signatures.sshsig import BEGIN, END, sign_ssh, verify_ssh

KEY = generate_key()


@pytest.mark.parametrize("kind", TYPES)
def test_ssh_keygen_verifies_what_is_signed_here(tmp_path: Path, kind: str) -> None:
    for attempt in range(8):  # ECDSA's numbers differ in length
        key, path = generate_key(kind), tmp_path / f"K{attempt}"
        write_key(key, path)
        (tmp_path / "allowed").write_text(f"a@example.org {path.with_suffix('.pub').read_text()}")
        (tmp_path / "sig").write_text(sign_ssh(key, b"message", "file"))
        command = ["ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", "a@example.org", "-n", "file", "-s", "sig"]
        done = subprocess.run(command, cwd=tmp_path, input=b"message", capture_output=True, check=False, timeout=30)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_what_ssh_keygen_signs_is_verified_here(tmp_path: Path, kind: str) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", "K"], cwd=tmp_path, check=True, timeout=30)
    (tmp_path / "m").write_bytes(b"message")
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-f", "K", "-n", "git", "m"], cwd=tmp_path, check=True, capture_output=True, timeout=30
    )
    armor, public = (tmp_path / "m.sig").read_text(), read_public_key(tmp_path / "K.pub")
    assert verify_ssh(armor, b"message", [KEY.public, public]) == public


@pytest.mark.parametrize("kind", TYPES)
def test_key_message_and_namespace_count(kind: str) -> None:
    key = generate_key(kind)
    armor = sign_ssh(key, b"message")
    assert verify_ssh(armor, b"message", [key.public]) == key.public
    assert verify_ssh(armor, b"other", [key.public]) is None
    assert verify_ssh(armor, b"message", [generate_key(kind).public]) is None
    assert verify_ssh(armor, b"message", []) is None
    assert verify_ssh(armor, b"message", [key.public], "file") is None


def rearmored(change: bytes, to: bytes, kind: str = "ed25519") -> tuple[str, object]:
    key = generate_key(kind)
    body = "".join(sign_ssh(key, b"message").strip().splitlines()[1:-1])
    data = base64.b64decode(body)
    assert change in data
    text = base64.b64encode(data.replace(change, to, 1)).decode()
    return f"{BEGIN}\n{text}\n{END}\n", key.public


@pytest.mark.parametrize(
    ("change", "to"),
    [
        (b"SSHSIG", b"SSHSAG"),
        (struct.pack(">I", 1), struct.pack(">I", 2)),
        (b"sha512", b"sha256"),
        (struct.pack(">I", 3) + b"git", struct.pack(">I", 3) + b"gut"),
        (struct.pack(">I", 3) + b"git", struct.pack(">I", 2000) + b"git"),
        (struct.pack(">I", 6) + b"sha512", b""),
    ],
)
def test_a_bent_signature_is_none_and_never_an_exception(change: bytes, to: bytes) -> None:
    armor, public = rearmored(change, to)
    assert verify_ssh(armor, b"message", [public]) is None  # type: ignore[list-item]


def test_a_bent_inner_signature_is_none() -> None:
    for kind, name in (("ed25519", b"ssh-ed25519"), ("p256", b"ecdsa-sha2-nistp256")):
        key = generate_key(kind)
        data = base64.b64decode("".join(sign_ssh(key, b"message").strip().splitlines()[1:-1]))
        place = data.rindex(name)
        for bent in (data[:place] + b"x" + data[place + 1 :], data[:-3], data[:-1] + bytes([data[-1] ^ 1])):
            armor = f"{BEGIN}\n{base64.b64encode(bent).decode()}\n{END}"
            assert verify_ssh(armor, b"message", [key.public]) is None


@pytest.mark.parametrize(
    "armor", ["", "x", BEGIN + END, f"{BEGIN}\n!!\n{END}", f"{BEGIN}\nAAAA\n{END}", BEGIN + "A" * 9000 + END]
)
def test_rubbish_is_none(armor: str) -> None:
    assert verify_ssh(armor, b"message", [KEY.public]) is None
