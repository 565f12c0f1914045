"""The secret is made once, is nobody else's to read, and logged-out sessions stay so over a restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitops.errors import UsageError
from webhooks.auth.secret import Revoked, read_secret

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_the_secret_is_made_once_and_private(tmp_path: Path) -> None:
    first = read_secret(tmp_path / "data", b"1" * 32)
    assert read_secret(tmp_path / "data", b"2" * 32) == first == b"1" * 32
    assert (tmp_path / "data" / "session.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["session.key"]


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    read_secret(tmp_path, b"1" * 32)
    (tmp_path / "session.key").chmod(0o644)
    with pytest.raises(UsageError, match="0644"):
        read_secret(tmp_path, b"2" * 32)


def test_a_cut_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "session.key").write_bytes(b"short")
    (tmp_path / "session.key").chmod(0o600)
    with pytest.raises(UsageError, match="5 bytes"):
        read_secret(tmp_path, b"2" * 32)


def test_an_ended_session_stays_ended_over_a_restart(tmp_path: Path) -> None:
    Revoked(tmp_path / "ended").add("one", NOW + HOUR, NOW)
    Revoked(tmp_path / "ended").add("two", NOW + HOUR, NOW)
    again = Revoked(tmp_path / "ended")
    assert (again.has("one"), again.has("two"), again.has("three")) == (True, True, False)


def test_what_is_over_anyway_is_forgotten_and_rubbish_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "ended").write_text("half a li\n", encoding="utf-8")
    found = Revoked(tmp_path / "ended")
    found.add("one", NOW + HOUR, NOW)
    found.add("two", NOW + 3 * HOUR, NOW + 2 * HOUR)
    assert (found.has("one"), found.has("two")) == (False, True)
