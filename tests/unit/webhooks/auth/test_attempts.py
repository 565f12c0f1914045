"""Guessing is bounded per name and per address; the memory it takes is bounded too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from webhooks.auth import attempts
from webhooks.auth.attempts import PER_ADDRESS, PER_NAME, WINDOW, Attempts

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
HERE, THERE = "192.0.2.1", "192.0.2.2"


def test_a_name_may_fail_so_often_and_then_waits() -> None:
    found = Attempts()
    for _ in range(PER_NAME):
        assert found.may_try("alice", HERE, NOW)
        found.fail("alice", HERE, NOW)
    assert not found.may_try("alice", HERE, NOW)
    assert found.may_try("bob", HERE, NOW)
    assert found.may_try("alice", THERE, NOW), "an attacker elsewhere must not lock alice out"
    assert found.may_try("alice", HERE, NOW + WINDOW)


def test_an_address_may_not_go_through_all_names() -> None:
    found = Attempts()
    for number in range(PER_ADDRESS):
        found.fail(f"user{number}", HERE, NOW)
    assert not found.may_try("another", HERE, NOW)
    assert found.may_try("another", HERE, NOW + WINDOW + timedelta(seconds=1))


def test_success_clears_the_name_and_never_locks_an_address() -> None:
    found = Attempts()
    for _ in range(3 * PER_ADDRESS):
        assert found.may_try("alice", HERE, NOW)
        found.fail("alice", HERE, NOW)
        found.succeed("alice", HERE)
    found.succeed("bob", THERE)


def test_a_flood_of_names_is_forgotten_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MOST_KEYS", 10)
    found = Attempts()
    for number in range(100):
        found.fail(f"user{number}", HERE, NOW)
    assert len(found._failures) <= 10
    assert not found.may_try("any", HERE, NOW), "the address itself is counted last and stays"
