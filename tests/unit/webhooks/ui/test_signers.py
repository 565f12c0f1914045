"""The keys that signed a release are read from the release itself, once the mirror has it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.support.project import Repository
from webhooks.forges.watched import Forges
from webhooks.mirrors import Mirrors
from webhooks.records import ReleaseRecord
from webhooks.ui.signers import name_signers

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)


def test_a_release_names_its_keys_once_the_mirror_has_it(tmp_path: Path) -> None:
    work = Repository.make(tmp_path / "work")
    commit = work.commit({"signatures/" + "5e" * 32 + ".sigstore.json": "{}", "signatures/other": ""}, "release")
    mirrors = Mirrors(tmp_path / "mirrors", Forges())
    release = ReleaseRecord("local", "production", "a" * 40, "released", NOW, "", 1, commit, "d" * 64, "release/production")
    assert name_signers(mirrors, release) == ""
    work.git("clone", "-q", "--bare", str(work.path), str(mirrors.path_of("local")))
    assert name_signers(mirrors, release) == "5e" * 32
    assert name_signers(mirrors, ReleaseRecord("local", "production", "a" * 40, "waiting", NOW)) == ""
