"""The front, made from the service's parts: pages, API, what the ticker calls, which keys signed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.applications import Starlette

from tests.support.browser import Browser
from tests.support.desk import four_users
from tests.support.people import PASSWORD
from tests.support.project import Repository
from webhooks.metrics import Metrics
from webhooks.mirrors import Mirrors
from webhooks.records import ReleaseRecord
from webhooks.services import Services
from webhooks.settings import Settings
from webhooks.store.releases import save_release
from webhooks.store.store import open_store
from webhooks.store.work import Work
from webhooks.ui.front import make_front

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def work(tmp_path: Path) -> Repository:
    made = Repository.make(tmp_path / "work")
    made.git("clone", "-q", "--bare", str(made.path), str(tmp_path / "bare.git"))
    return made


@pytest.fixture
def jobs() -> list[Work]:
    return []


@pytest.fixture
def services(tmp_path: Path, jobs: list[Work]) -> Iterator[Services]:
    settings = Settings(tmp_path / "data", "", local_repository=tmp_path / "bare.git", users=four_users())
    store = open_store(f"sqlite:///{tmp_path / 'data' / 'trueup.sqlite'}")

    def add(work: Work, _delay: timedelta) -> None:
        jobs.append(work)

    yield Services(
        settings,
        store,
        {},
        Mirrors(tmp_path / "mirrors"),
        Metrics(),
        lambda: NOW,
        lambda size: bytes(range(size)),
        lambda _s: None,
        add,
    )
    store.close()


def test_a_pushed_branch_becomes_a_job(services: Services, work: Repository, jobs: list[Work]) -> None:
    front = make_front(services)
    assert front.look is not None
    front.look()
    assert jobs == []
    work.git("push", "-q", str(work.path.parent / "bare.git"), "main:refs/heads/pr/motd")
    front.look()
    assert [(job.kind, job.payload["name"]) for job in jobs] == [("pull", "motd")]


def test_without_a_local_forge_nothing_is_watched_and_nothing_merges(services: Services) -> None:
    front = make_front(replace(services, settings=replace(services.settings, local_repository=None)))
    assert front.look is None
    browser = Browser(Starlette(routes=front.routes))
    assert browser.post_json("/api/v1/pulls/motd/merge", {"head": "x"}, user=("bob", PASSWORD)).status_code == 404
    browser.log_in("bob", PASSWORD)
    assert "git push" not in browser.get("/pulls").text


def test_the_secret_is_kept_and_cookies_are_secure_over_tls(services: Services, tmp_path: Path) -> None:
    secure = replace(services, settings=replace(services.settings, public_url="https://trueup.example.org"))
    cookie = Browser(Starlette(routes=make_front(secure).routes)).get("/login").headers["set-cookie"]
    assert cookie.startswith("__Host-trueup=")
    assert (tmp_path / "data" / "session.key").read_bytes() == bytes(range(32))


def test_a_release_names_the_keys_that_signed_once_the_mirror_has_it(
    services: Services, work: Repository, tmp_path: Path
) -> None:
    commit = work.commit({"signatures/" + "5e" * 32 + ".sigstore.json": "{}", "signatures/other": ""}, "release")
    with services.store.write() as connection:
        save_release(
            connection,
            ReleaseRecord("local", "production", "a" * 40, "released", NOW, "", 1, commit, "d" * 64, "release/production"),
        )
    browser = Browser(Starlette(routes=make_front(services).routes))
    browser.log_in("bob", PASSWORD)
    assert "5e5e5e5e5e5e…" not in browser.get("/releases").text
    work.git("clone", "-q", "--bare", str(work.path), str(services.mirrors.path_of("local")))
    assert "5e5e5e5e5e5e…" in browser.get("/releases").text
