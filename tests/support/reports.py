"""A stand-in for the service, as an agent sees it: enrolment and reports, by the contract, on loopback."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class ReportService:
    """What it has: one-time tokens by host, credentials by host, reports by (host, run), and an answer to force on everybody."""

    url: str = ""
    tokens: dict[str, str] = field(default_factory=dict)
    credentials: dict[str, str] = field(default_factory=dict)
    reports: list[dict[str, Any]] = field(default_factory=list)
    forced: int = 0
    body: bytes = b""

    @property
    def runs(self) -> list[str]:
        return [str(item["run"]) for item in self.reports]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: ReportService

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = self.path.strip("/").split("/")
        if self.state.forced:
            self._answer(self.state.forced, self.state.body or b'{"error":{"code":"X","message":"forced","hint":""}}')
        elif parts[:3] == ["api", "v1", "hosts"] and parts[4:] == ["enroll"]:
            self._enroll(parts[3], json.loads(data))
        elif parts == ["api", "v1", "reports"]:
            self._report(json.loads(data))
        else:
            self._error(404, "no such place")

    def _enroll(self, host: str, body: dict[str, str]) -> None:
        assert body["schema"] == "gitops/enrolment/v1"
        assert set(body) == {"schema", "token", "environment"}
        if self.state.tokens.pop(host, None) != body["token"]:
            self._error(401, "the token is wrong, used or expired")
            return
        self.state.credentials[host] = f"credential-of-{host}"
        found = {"schema": "gitops/credential/v1", "host": host, "credential": self.state.credentials[host]}
        self._answer(201, json.dumps(found).encode())

    def _report(self, body: dict[str, Any]) -> None:
        owner = {value: host for host, value in self.state.credentials.items()}
        host = owner.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
        if host is None:
            self._error(401, "the credential is wrong")
        elif host != body["host"]:
            self._error(403, "the credential is another host's")
        else:
            if body["run"] not in self.state.runs:
                self.state.reports.append(body)
            self._answer(202, json.dumps({"accepted": body["run"]}).encode())

    def _error(self, status: int, message: str) -> None:
        self._answer(status, json.dumps({"error": {"code": "S000", "message": message, "hint": ""}}).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status in (301, 302, 307):
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server names it
        return


@contextmanager
def serve_reports() -> Iterator[ReportService]:
    """Serve on 127.0.0.1."""
    state = ReportService()
    handler = type("Bound", (Handler,), {"state": state})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
