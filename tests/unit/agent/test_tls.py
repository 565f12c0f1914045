"""Certificates are checked: for Git, for reports and for enrolment; a machine's own authority is named by SSL_CERT_FILE."""

from __future__ import annotations

import http.server
from pathlib import Path

import pytest

from agent.fetch import Remote, fetch_tip
from agent.report import Service, exchange_token, open_client, send_spooled
from agent.settings import SSH_COMMAND
from agent.spool import Spool
from gitops.errors import RemoteError
from gitops.model.report import Report
from tests.support.releases import BRANCH, NOW
from tests.support.tls import serve_tls


class Taker(http.server.BaseHTTPRequestHandler):
    """Takes every report, knows no repository."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(202)
        self.end_headers()

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server names it
        return


def send(spool: Spool, url: str) -> tuple[int, str]:
    with open_client() as client:
        delivery = send_spooled(spool, Service(url, "credential"), client)
    return delivery.sent, delivery.trouble


def test_reports_go_only_to_a_service_whose_certificate_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, 10, 100_000)
    spool.add(Report("20261124T150000Z-000001", "web-1", "converged", NOW, NOW))
    with serve_tls(tmp_path, Taker) as server:
        sent, trouble = send(spool, server.url)
        assert (sent, "CERTIFICATE_VERIFY_FAILED" in trouble) == (0, True)
        with open_client() as client, pytest.raises(RemoteError, match="CERTIFICATE_VERIFY_FAILED"):
            exchange_token(client, server.url, host="web-1", environment="production", token="once")
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        assert send(spool, server.url) == (1, "")


def test_git_is_fetched_only_from_a_server_whose_certificate_is_trusted(tmp_path: Path) -> None:
    def fetch(url: str, environment: dict[str, str]) -> str:
        remote = Remote(f"{url}/acme.git", BRANCH, "web-1", tmp_path / "store", SSH_COMMAND, 20, environment)
        with pytest.raises(RemoteError) as caught:
            fetch_tip(remote, "")
        return caught.value.message

    with serve_tls(tmp_path, Taker) as server:
        assert "certificate verify failed" in fetch(server.url, {}).lower().replace("_", " ")
        assert "no Git repository" in fetch(server.url, {"SSL_CERT_FILE": str(server.certificate)})
