"""Attacks of a passer-by: somebody without any right who can reach the service, perhaps through its proxy. Real nginx, real service."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.attacks import read_cases
from tests.support.people import PASSWORD, cheap_hash
from tests.support.project import Repository
from tests.support.service import Service, make_service, wait_for

NGINX = """
daemon off; master_process on; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; user {user};
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {target}; {more} }} }}
}}
"""


@contextmanager
def run_nginx(folder: Path, target: str, more: str) -> Iterator[str]:
    """Run an nginx of its own, whose worker is another user, in front of a service; give its address."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, target=target, more=more, user="www-data"), encoding="utf-8")
    process = subprocess.Popen(["/usr/sbin/nginx", "-e", str(folder / "error.log"), "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: _listens(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("case", read_cases(__file__, "proxies"), ids=lambda case: case["name"])
def test_pages_without_users_are_for_the_user_of_the_service_alone(tmp_path: Path, case: dict[str, Any]) -> None:
    assert os.getuid() == 0, "the worker of nginx must be another user: run as root"
    service = make_service(tmp_path / "service", **case["settings"])
    service.start()
    try:
        for path in ("/pulls", "/hosts", "/releases", "/runs"):
            if case["nginx"] is None:
                answer = httpx.get(f"{service.url}{path}")
            else:
                with run_nginx(tmp_path / f"nginx-{path[1:]}", service.url, case["nginx"]) as address:
                    answer = httpx.get(f"{address}{path}")
            assert answer.status_code == case["status"], path
            assert case.get("says", "") in answer.text
    finally:
        service.stop()


def make_service_with_users(folder: Path, **more: str) -> Service:
    """Describe a service with two users and a `local` forge."""
    settings = folder / "settings.yaml"
    settings.write_text(
        f'users:\n  alice: {{password: "{cheap_hash()}"}}\n  bob: {{password: "{cheap_hash()}"}}\n', encoding="utf-8"
    )
    Repository.make(folder / "work").git("clone", "-q", "--bare", ".", str(folder / "infra.git"))
    service = make_service(folder / "service", **more)
    service.arguments = ("--settings", str(settings), "--repo", str(folder / "infra.git"))
    return service


def test_wrong_passwords_of_strangers_lock_nobody_out(tmp_path: Path) -> None:
    """Issue 9 §1.4: thirty wrong passwords from anyone behind one proxy locked everybody out."""
    service = make_service_with_users(tmp_path)
    service.start()
    try:
        with run_nginx(tmp_path / "nginx", service.url, "proxy_http_version 1.1;") as address:

            def ask(name: str, password: str) -> int:
                body = {"change_digest": "0" * 64}
                return httpx.post(f"{address}/api/v1/pulls/x/approve", json=body, auth=(name, password), timeout=60).status_code

            assert {ask(f"nobody-{number}", "wrong") for number in range(40)} == {401}
            assert [ask("bob", "wrong") for _ in range(8)] == [401] * 5 + [429] * 3
            assert ask("alice", PASSWORD) == 409, "she is let in: there is just no such pull request"
            assert ask("bob", PASSWORD) == 429
    finally:
        service.stop()


def test_behind_a_trusted_proxy_each_address_is_counted_for_itself(tmp_path: Path) -> None:
    service = make_service_with_users(tmp_path, trusted_proxies="127.0.0.1")
    service.start()
    try:

        def ask(address: str, password: str) -> int:
            headers = {"x-forwarded-for": f"198.51.100.9, {address}"}
            url, body = f"{service.url}/api/v1/pulls/x/approve", {"change_digest": "0" * 64}
            return httpx.post(url, json=body, auth=("bob", password), headers=headers, timeout=60).status_code

        assert [ask("192.0.2.1", "wrong") for _ in range(6)] == [401] * 5 + [429]
        assert ask("192.0.2.2", PASSWORD) == 409, "bob, from elsewhere, is let in"
    finally:
        service.stop()
