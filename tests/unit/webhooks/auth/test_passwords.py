"""Passwords are compared the same way whoever asks; hashes that would cost too much are refused."""

from __future__ import annotations

import hashlib
import io
import sys

import pytest

from gitops.errors import UsageError
from webhooks.auth import hash as hash_command
from webhooks.auth import passwords
from webhooks.auth.passwords import hash_password, is_password, parse_hash

SALT = bytes(range(16))


def test_a_password_matches_its_own_hash_only() -> None:
    stored = parse_hash(str(hash_password("correct horse", SALT)))
    assert is_password("correct horse", stored)
    assert not is_password("correct horsf", stored)
    assert not is_password("", stored)


def test_another_salt_gives_another_hash() -> None:
    assert hash_password("same", SALT) != hash_password("same", bytes(16))


def test_nobody_is_never_right_and_costs_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int, int]] = []
    real = hashlib.scrypt

    def counted(password: bytes, *, salt: bytes, n: int, r: int, p: int, maxmem: int, dklen: int) -> bytes:
        asked.append((n, r, p))
        return real(password, salt=salt, n=n, r=r, p=p, maxmem=maxmem, dklen=dklen)

    stored = hash_password("right", SALT)
    monkeypatch.setattr(passwords.hashlib, "scrypt", counted)
    assert not is_password("right", None)
    assert not is_password("wrong", stored)
    assert asked[0] == asked[1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "scrypt:32768:8:1:AAAA",
        "bcrypt:32768:8:1:AAAAAAAAAAAAAAAAAAAAAA==:" + "A" * 43 + "=",
        "scrypt:x:8:1:AAAAAAAAAAAAAAAAAAAAAA==:" + "A" * 43 + "=",
        "scrypt:32768:8:1:!!!:" + "A" * 43 + "=",
        "scrypt:1073741824:8:1:AAAAAAAAAAAAAAAAAAAAAA==:" + "A" * 43 + "=",
        "scrypt:30000:8:1:AAAAAAAAAAAAAAAAAAAAAA==:" + "A" * 43 + "=",
        "scrypt:32768:8:1:AAAA:" + "A" * 43 + "=",
        "scrypt:32768:8:1:AAAAAAAAAAAAAAAAAAAAAA==:AAAA",
    ],
)
def test_a_hash_that_is_none_or_too_costly_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_hash(text)
    assert caught.value.code == "U060"


def test_the_command_reads_one_line_and_prints_a_hash_that_works(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse\n"))
    assert hash_command.main() == 0
    assert is_password("correct horse", parse_hash(capsys.readouterr().out.strip()))


def test_the_command_refuses_a_short_password(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("short\n"))
    assert hash_command.main() == 1
    assert capsys.readouterr().out == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_command_asks_twice_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter(["correct horse", "correct horse", "correct horse", "another one"])
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(hash_command.getpass, "getpass", lambda _prompt: next(answers))
    assert hash_command.main() == 0
    assert hash_command.main() == 1
    assert "differ" in capsys.readouterr().err
