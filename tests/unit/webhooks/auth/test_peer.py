"""Who asks, without users: the user of the service on this machine, with nobody in between, or nobody."""

from __future__ import annotations

import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from webhooks.auth.peer import Address, find_connection_owner, find_owner_in, why_not_own

ME = os.getuid()


def make_request(
    *, version: str = "1.1", client: Any = ("127.0.0.1", 50000), host: str = "127.0.0.1:8080", **headers: str
) -> Request:
    named = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    scope = {"type": "http", "http_version": version, "headers": raw, "client": client, "server": ("127.0.0.1", 8080)}
    return Request(scope)


@pytest.mark.parametrize(
    ("request_", "url", "owner", "word"),
    [
        (make_request(), "", ME, ""),
        (make_request(host="localhost:8080"), "http://127.0.0.1:8080", ME, ""),
        (make_request(client=("::1", 5), host="[::1]:8080"), "http://[::1]:8080", ME, ""),
        (make_request(), "https://trueup.example.org", ME, "public address"),
        (make_request(x_forwarded_for="192.0.2.1"), "", ME, "a proxy"),
        (make_request(x_forwarded_proto="https"), "", ME, "a proxy"),
        (make_request(forwarded="for=192.0.2.1"), "", ME, "a proxy"),
        (make_request(via="1.1 proxy"), "", ME, "a proxy"),
        (make_request(x_real_ip="192.0.2.1"), "", ME, "a proxy"),
        (make_request(cf_connecting_ip="192.0.2.1"), "", ME, "a proxy"),
        (make_request(version="1.0"), "", ME, "HTTP/1.0"),
        (make_request(host="trueup.example.org"), "", ME, "this machine"),
        (make_request(client=("192.0.2.1", 5)), "", ME, "this machine"),
        (make_request(client=None), "", ME, "this machine"),
        (make_request(), "", ME + 1, "another user"),
        (make_request(), "", None, "another user"),
    ],
)
def test_every_trace_of_somebody_else_counts(request_: Request, url: str, owner: int | None, word: str) -> None:
    reason = why_not_own(request_, Address(url), lambda _request: owner)
    assert (word in reason, bool(reason)) == (True, bool(word))


def test_the_kernel_knows_who_asks(tmp_path: Path) -> None:
    found: list[int | None] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            scope = {"type": "http", "headers": [], "client": self.client_address[:2], "server": self.server.server_address[:2]}
            found.append(find_connection_owner(Request(scope)))
            scope["client"] = (self.client_address[0], self.client_address[1] + 1)
            found.append(find_connection_owner(Request(scope)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    class Server6(HTTPServer):
        address_family = socket.AF_INET6

    for server, family in (
        (HTTPServer(("127.0.0.1", 0), Answer), socket.AF_INET),
        (Server6(("::1", 0), Answer), socket.AF_INET6),
    ):
        with server:
            threading.Thread(target=server.handle_request, daemon=True).start()
            with socket.socket(family) as asking:
                asking.connect(server.server_address[:2])
                asking.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert asking.recv(100)
    assert found == [ME, None, ME, None]


def test_without_ends_nobody_is_known() -> None:
    assert find_connection_owner(make_request(client=None)) is None


def test_rows_that_are_no_rows_are_passed_over() -> None:
    assert find_owner_in("head\n\n 0: A B\n", "A", "B") is None
