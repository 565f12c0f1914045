"""The data folder is the service's alone: made private, or refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitops.errors import UsageError
from tests.support.rows import make_settings
from webhooks.app import create_app
from webhooks.datafolder import lock_folder, make_private


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o777, 0o701])
def test_a_folder_that_others_could_enter_is_closed(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(mode)
    os.close(lock_folder(folder))
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_new_folder_is_private_and_one_of_ours_is_left(tmp_path: Path) -> None:
    make_private(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    make_private(tmp_path / "a" / "b")


def test_a_folder_of_somebody_else_is_refused_and_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(UsageError, match="belongs to user") as refused:
        create_app(make_settings(folder))
    assert refused.value.exit_status == 1
    assert folder.stat().st_mode & 0o777 == 0o755


def test_two_services_do_not_share_a_folder(tmp_path: Path) -> None:
    first = lock_folder(tmp_path / "data")
    with pytest.raises(UsageError, match="another service"):
        lock_folder(tmp_path / "data")
    os.close(first)
    os.close(lock_folder(tmp_path / "data"))
