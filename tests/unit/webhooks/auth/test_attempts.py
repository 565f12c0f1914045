"""Guessing is bounded per name and address; wrong names never lock right ones; the memory it takes is bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from webhooks.auth import attempts
from webhooks.auth.attempts import PER_NAME, UNKNOWN_PER_ADDRESS, WINDOW, Attempts

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.mark.parametrize("is_user", [True, False], ids=["user", "nobody"])
def test_a_name_may_fail_so_often_and_then_waits(is_user: bool) -> None:
    found = Attempts()
    for _ in range(PER_NAME):
        assert found.may_try("alice", HERE, NOW, is_user=is_user)
        found.fail("alice", HERE, NOW, is_user=is_user)
    assert not found.may_try("alice", HERE, NOW, is_user=is_user)
    assert found.may_try("bob", HERE, NOW, is_user=is_user)
    assert found.may_try("alice", THERE, NOW, is_user=is_user), "an attacker elsewhere must not lock alice out"
    assert found.may_try("alice", HERE, NOW + WINDOW, is_user=is_user)


def test_wrong_names_never_lock_right_ones() -> None:
    found = Attempts()
    for number in range(10 * UNKNOWN_PER_ADDRESS):
        found.fail(f"user{number}", HERE, NOW, is_user=False)
    assert found.is_guessing(HERE, NOW)
    assert not found.is_guessing(THERE, NOW)
    assert not found.is_guessing(HERE, NOW + WINDOW + timedelta(seconds=1))
    assert found.may_try("alice", HERE, NOW, is_user=True)


def test_wrong_passwords_of_one_user_lock_no_other() -> None:
    found = Attempts()
    for _ in range(10 * PER_NAME):
        found.fail("alice", HERE, NOW, is_user=True)
    assert found.may_try("bob", HERE, NOW, is_user=True)
    assert not found.is_guessing(HERE, NOW)


def test_success_clears_the_name() -> None:
    found = Attempts()
    for _ in range(20 * PER_NAME):
        assert found.may_try("alice", HERE, NOW, is_user=True)
        found.fail("alice", HERE, NOW, is_user=True)
        found.succeed("alice", HERE)
    found.succeed("bob", THERE)


def test_a_flood_of_names_is_forgotten_and_forgets_no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MOST_KEYS", 10)
    found = Attempts()
    for _ in range(PER_NAME):
        found.fail("alice", HERE, NOW, is_user=True)
    for number in range(100):
        found.fail(f"user{number}", f"192.0.2.{number}", NOW, is_user=False)
    assert len(found._unknown) <= 10
    assert len(found._guessing) <= 10
    assert not found.may_try("alice", HERE, NOW, is_user=True)
