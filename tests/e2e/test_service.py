"""`gitops serve` and `gitops token` as people start them: what they print, what they refuse, how they end."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.cli import call
from tests.support.service import ADMIN, Service, make_service, wait_for


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = make_service(tmp_path / "service")
    made.start()
    try:
        yield made
    finally:
        made.stop()


def enroll(service: Service, token: str) -> int:
    body = {"schema": "gitops/enrolment/v1", "token": token, "environment": "production"}
    return httpx.post(f"{service.url}/api/v1/hosts/web-1/enroll", json=body).status_code


def test_a_token_from_here_and_from_elsewhere_enrols_a_host(service: Service, tmp_path: Path) -> None:
    here = call("token", "web-1", "--data", service.folder / "data")
    assert (here.status, len(here.out.split())) == (0, 1)
    assert "within" not in here.out
    assert enroll(service, here.out.strip()) == 201
    secret = tmp_path / "admin"
    secret.write_text(ADMIN + "\n")
    there = call("token", "web-1", "--service", service.url, "--token-file", secret, "--format", "json")
    assert there.status == 0, there.err
    assert (there.json["schema"], there.json["host"]) == ("gitops/token/v1", "web-1")
    assert enroll(service, there.json["token"]) == 201
    assert enroll(service, there.json["token"]) == 401
    # What was said once is nowhere else.
    data = b"".join(path.read_bytes() for path in service.folder.rglob("*") if path.is_file())
    for told in (here.out.strip(), there.json["token"], ADMIN):
        assert told.encode() not in data


def test_what_a_token_needs(service: Service, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong")
    refused = call("token", "web-1", "--service", service.url, "--token-file", wrong)
    assert (refused.status, "U080" in refused.err) == (1, True)
    assert call("token", "web-1", "--service", service.url).status == 1
    assert call("token", "a/b", "--service", service.url, "--token-file", wrong).status == 1
    assert call("token", "UPPER", "--data", service.folder / "data").status == 1
    assert call("token", "web-1", "--data", tmp_path / "none").status == 1
    assert not (tmp_path / "none").exists()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert call("token", "web-1", "--service", f"http://127.0.0.1:{port}", "--token-file", wrong).status == 7


def test_it_ends_well_and_logs_no_query_and_no_body(service: Service) -> None:
    httpx.post(f"{service.url}/webhooks/github?secret=in-the-query", content=b"secret-in-the-body")
    httpx.get(f"{service.url}/nothing%0A2026-11-25%20forged%20line")
    assert service.stop() == 0
    assert "/webhooks/github 415" in service.log
    assert "in-the-query" not in service.log
    assert "secret-in-the-body" not in service.log
    assert "\n2026-11-25 forged line" not in service.log


def test_a_slow_body_holds_nobody_up(service: Service) -> None:
    host, _, port = service.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(
            b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\nx"
        )
        assert httpx.get(f"{service.url}/healthz", timeout=5).status_code == 200


def test_an_oversized_delivery_is_refused_before_it_is_sent_whole(service: Service) -> None:
    host, _, port = service.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as sent:
        sent.sendall(b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        assert b" 413 " in sent.recv(4096)


def test_its_log_can_be_lines_of_json(tmp_path: Path) -> None:
    service = make_service(tmp_path / "service")
    service.arguments = ("--log", "json")
    service.start()
    httpx.get(f"{service.url}/openapi.json")
    assert service.stop() == 0
    lines = [json.loads(line) for line in service.log.splitlines()]
    assert any(line["message"].startswith("GET /openapi.json 200") for line in lines)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ("database_url: postgresql://localhost/x\n", "postgresql: is not supported yet"),
        ("repositories: [acme/infra]\n", "GITOPS_GITHUB_TOKEN"),
        ("release_key: /nowhere/key\n", "cannot read the key"),
        ("local_repository: /nowhere/repo.git\n", "not a Git repository"),
        ("odd: 1\n", "unknown key `odd`"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_the_start(tmp_path: Path, settings: str, word: str) -> None:
    (tmp_path / "settings.yaml").write_text(settings)
    called = call("serve", "--settings", tmp_path / "settings.yaml", "--data", tmp_path / "data", "--listen", "127.0.0.1:0")
    assert called.status == 1
    assert word in called.err


def test_an_address_in_use_is_said(service: Service, tmp_path: Path) -> None:
    called = call("serve", "--data", tmp_path / "other", "--listen", f"127.0.0.1:{service.port}")
    assert (called.status, "cannot listen" in called.err) == (1, True)


def test_the_pages_are_there(service: Service) -> None:
    wait_for(lambda: httpx.get(f"{service.url}/pulls").status_code == 200)
    assert httpx.get(f"{service.url}/").headers["location"] == "/pulls"
