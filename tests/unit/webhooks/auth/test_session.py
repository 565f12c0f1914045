"""Sessions cannot be made, changed, prolonged or kept alive by anybody but the service."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from webhooks.auth.passwords import hash_password
from webhooks.auth.session import LIFETIME, Session, is_token, make_token, open_session, seal_session, unseal_session
from webhooks.auth.users import User

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
SECRET = bytes(range(32))
ALICE = User("alice", hash_password("correct horse", bytes(16)))


def test_a_sealed_session_is_read_back() -> None:
    session = open_session("id-1", ALICE, NOW)
    assert unseal_session(seal_session(session, SECRET), SECRET, NOW) == session


def test_every_changed_character_is_noticed() -> None:
    cookie = seal_session(open_session("id-1", ALICE, NOW), SECRET)
    signature = cookie.index(".")
    for place in range(len(cookie) - 1):
        changed = cookie[:place] + ("A" if cookie[place] != "A" else "B") + cookie[place + 1 :]
        if place != signature:
            assert unseal_session(changed, SECRET, NOW) is None


def test_another_user_cannot_be_written_into_a_session() -> None:
    cookie = seal_session(open_session("id-1", ALICE, NOW), SECRET)
    body = f"id-1\nroot\n{'2099-01-01T00:00:00Z'}\nx".encode()
    forged = base64.urlsafe_b64encode(body).decode().rstrip("=") + "." + cookie.split(".")[1]
    assert unseal_session(forged, SECRET, NOW) is None


@pytest.mark.parametrize("cookie", ["", ".", "a", "a.b", "a.b.c", "é.ü", "." * 2000, "A" * 5000])
def test_rubbish_is_no_session(cookie: str) -> None:
    assert unseal_session(cookie, SECRET, NOW) is None


@pytest.mark.parametrize("session", [Session("i", "a\nb", NOW + LIFETIME), Session("i", "a", NOW + LIFETIME, "x\ny")])
def test_a_name_with_a_line_break_gives_no_session(session: Session) -> None:
    assert unseal_session(seal_session(session, SECRET), SECRET, NOW) is None


def test_a_signed_time_that_is_none_gives_no_session() -> None:
    body = b"id-1\nalice\nsoon\nx"
    signature = hmac.new(SECRET, b"session\0" + body, hashlib.sha256).digest()
    cookie = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (body, signature))
    assert unseal_session(cookie, SECRET, NOW) is None


def test_a_session_ends_when_its_time_is_over() -> None:
    cookie = seal_session(open_session("id-1", ALICE, NOW), SECRET)
    assert unseal_session(cookie, SECRET, NOW + LIFETIME - timedelta(seconds=1)) is not None
    assert unseal_session(cookie, SECRET, NOW + LIFETIME) is None


def test_another_secret_opens_nothing() -> None:
    assert unseal_session(seal_session(open_session("id-1", ALICE, NOW), SECRET), bytes(32), NOW) is None


def test_a_token_belongs_to_one_session_and_is_no_session() -> None:
    first, second = open_session("id-1", None, NOW), open_session("id-2", None, NOW)
    token = make_token(first, SECRET)
    assert is_token(token, first, SECRET)
    assert not is_token(token, second, SECRET)
    assert not is_token("", first, SECRET)
    assert not is_token("ü", first, SECRET)
