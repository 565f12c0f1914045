"""A local user cannot have a secret read from elsewhere by a link that appears after the look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gitops.errors import ConfigError
from gitops.model.resource import Resource
from gitops.secrets.resolve import resolve_secrets
from gitops.secrets.rules import Rules
from tests.support.attacks import read_cases


@pytest.mark.parametrize("case", read_cases(__file__, "secret-folders"), ids=lambda case: case["name"])
def test_what_was_looked_at_is_what_is_read(case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = tmp_path / "allowed"
    for top, value in ((allowed, "right-8Kq"), (tmp_path / "outside", "foreign-4Tz")):
        (top / "team/deep").mkdir(parents=True)
        (top / "team/deep/pw").write_text(value)
    path = str(allowed / "team/deep/pw")
    content = {"parts": [{"secret": "pw", "from": "file", "key": path}]}
    wanted, rules = [Resource("file", "/etc/x", {"content": content})], Rules(folders=(str(allowed),))
    assert resolve_secrets(wanted, {}, rules) == {f"file:{path}": "right-8Kq"}
    look = Rules.find_file

    def look_then_swap(self: Rules, asked: str) -> Path | None:
        found = look(self, asked)
        place = allowed / case["swap"]
        place.rename(tmp_path / "away")
        place.symlink_to(tmp_path / case["for"])
        return found

    monkeypatch.setattr(Rules, "find_file", look_then_swap)
    with pytest.raises(ConfigError, match="no value here"):
        resolve_secrets(wanted, {}, rules)
