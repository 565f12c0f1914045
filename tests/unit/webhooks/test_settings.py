"""Settings: the file, the environment over it, options over both; what is wrong is said, what is secret is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitops.errors import UsageError
from tests.support.people import cheap_hash
from webhooks.settings import GITHUB, NAMES, PREFIX, parse_settings, read_settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


def test_options_win_over_the_environment_and_that_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(
        "listen: 127.0.0.1:1\npublic_url: https://a.example.org/\nrepositories: [acme/infra, acme/web]\npoll_seconds: 5\n"
    )
    monkeypatch.setenv("GITOPS_LISTEN", "127.0.0.1:2")
    monkeypatch.setenv("GITOPS_GITHUB_TOKEN", "secret-token")
    found = read_settings(file, {"data_dir": str(tmp_path / "d")})
    assert (found.host, found.port, found.public_url) == ("127.0.0.1", 2, "https://a.example.org")
    assert (found.repositories, found.poll_seconds) == (("acme/infra", "acme/web"), 5)
    assert found.database_url == f"sqlite:///{tmp_path / 'd' / 'trueup.sqlite'}"
    assert read_settings(file, {"listen": "[::1]:3"}).host == "::1"
    assert "secret-token" not in repr(found)


def test_everything_has_a_default(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")
    found = read_settings(tmp_path / "empty.yaml")
    assert (found.host, found.port, found.github_api_url) == ("127.0.0.1", 8080, GITHUB)
    assert (found.repositories, found.release_key, found.local_repository) == ((), None, None)
    assert read_settings().users.by_name == {}


def test_every_setting_is_a_variable_and_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "data_dir": "d",
        "database_url": "sqlite:///x",
        "listen": "0.0.0.0:0",
        "repositories": "a/b, c/d",
        "github_api_url": "http://127.0.0.1:9/api/v3/",
        "github_token": "t",
        "github_webhook_secret": "s",
        "release_key": "k",
        "public_url": "https://x.example.org",
        "admin_token": "a",
        "local_repository": "r.git",
        "poll_seconds": "7",
        "trusted_proxies": "127.0.0.1, 192.0.2.0/24",
        "trust_roots": "root.json",
    }
    assert set(values) == set(NAMES)
    for name, value in values.items():
        monkeypatch.setenv(PREFIX + name.upper(), value)
    assert read_settings() == parse_settings(values)
    assert parse_settings(values).repositories == ("a/b", "c/d")
    assert parse_settings(values).trusted_proxies == ("127.0.0.1", "192.0.2.0/24")


def test_secrets_may_be_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    assert parse_settings({"github_token": {"file": str(tmp_path / "token")}}).github_token == "from-file"
    for wrong in ({"file": str(tmp_path / "none")}, {"file": 7}, {"path": "x"}, {}):
        with pytest.raises(UsageError, match="github_token"):
            parse_settings({"github_token": wrong})


def test_users_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(f'users:\n  alice: {{password: "{cheap_hash()}", teams: [sre]}}\n')
    assert read_settings(file).users.by_name["alice"].teams == ("sre",)


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ({"listens": "x"}, "unknown key `listens`"),
        ({"listen": "8080"}, "ADDRESS:PORT"),
        ({"listen": "127.0.0.1:x"}, "ADDRESS:PORT"),
        ({"listen": "127.0.0.1:70000"}, "ADDRESS:PORT"),
        ({"listen": True}, "a text"),
        ({"public_url": "javascript:x"}, "http"),
        ({"github_api_url": "https://user:pw@example.org"}, "without user"),
        ({"github_api_url": "https://example.org?x"}, "without user"),
        ({"repositories": "infra"}, "owner/name"),
        ({"repositories": "a/b/c"}, "owner/name"),
        ({"repositories": "../x"}, "owner/name"),
        ({"repositories": ["a/.."]}, "owner/name"),
        ({"repositories": 7}, "owner/name"),
        ({"repositories": "a/b, A/B"}, "are one repository"),
        ({"repositories": ["a/b=x", "a/B=y"]}, "are one repository"),
        ({"poll_seconds": "0"}, "seconds"),
        ({"trusted_proxies": "*"}, "an address or network"),
        ({"trusted_proxies": ["proxy.example.org"]}, "an address or network"),
        ({"trusted_proxies": "0.0.0.0/0"}, "everybody"),
        ({"trusted_proxies": "::/0"}, "everybody"),
        ({"trusted_proxies": 7}, "addresses"),
        ({"poll_seconds": "soon"}, "seconds"),
    ],
)
def test_what_is_wrong_is_said(table: dict[str, object], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        parse_settings(table)


@pytest.mark.parametrize("text", ["- a", "a: [", "\0"])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    with pytest.raises(UsageError):
        read_settings(file)
    with pytest.raises(UsageError, match="cannot read"):
        read_settings(tmp_path / "none")
