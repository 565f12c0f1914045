"""The agent and the real service: a one-time token, a credential, reports in order, a service that goes away and comes back."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.agents import HOST
from tests.support.cli import call
from tests.support.releases import Publisher, graphs_of, text_file

MOTD = text_file("/etc/motd", "hello\n")
ADMIN = "administrator-of-this-test"


@contextmanager
def serve(folder: Path, repository: Path, listen: str = "127.0.0.1:0") -> Iterator[str]:
    """Run `gitops serve` as a process of its own; give its address."""
    command = [sys.executable, "-m", "gitops.cli", "serve", "--data", str(folder), "--repo", str(repository), "--listen", listen]
    with (folder.parent / "service.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, env={"GITOPS_ADMIN_TOKEN": ADMIN, "PATH": "/usr/bin:/bin"}
        )
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline().decode())
        try:
            assert found, (folder.parent / "service.log").read_text()
            yield found.group(0)
        finally:
            process.terminate()
            process.communicate(timeout=30)


def run_once(folder: Path) -> tuple[int, dict[str, Any], str]:
    done = call("agent", "run", "--once", "--state", folder / "state", "--root", folder / "root")
    return done.status, json.loads(done.out), done.err


def list_all(url: str, name: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{url}/api/v1/{name}", headers={"Authorization": f"Bearer {ADMIN}"}, timeout=20)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_enrolled_with_a_token_a_host_is_seen_and_its_reports_are_kept_in_order(tmp_path: Path) -> None:
    (tmp_path / "publisher").mkdir()
    (tmp_path / "root").mkdir()
    data = tmp_path / "data"
    publisher = Publisher(tmp_path / "publisher")
    publisher.release(graphs_of({HOST: [MOTD]}))
    options = ("--env", "production", "--name", HOST, "--trust-root", publisher.write_root())
    with serve(data, publisher.bare) as url:
        token = call("token", HOST, "--data", data)
        assert token.status == 0, token.err
        (tmp_path / "token").write_text(token.out)
        more = ("--service", url, "--token-file", tmp_path / "token")
        enrolled = call("agent", "enroll", "--repo", publisher.url, *options, "--state", tmp_path / "state", *more)
        assert enrolled.status == 0, enrolled.err
        again = call("agent", "enroll", "--repo", publisher.url, *options, "--state", tmp_path / "other", *more)
        assert (again.status, "U082" in again.err) == (1, True)
        status, first, err = run_once(tmp_path)
        assert (status, err) == (0, "")
        listen = url.removeprefix("http://")
    (tmp_path / "root/etc/motd").write_text("by hand\n")
    status, second, err = run_once(tmp_path)
    assert (status, "cannot be reached" in err) == (0, True)
    with serve(data, publisher.bare, listen) as url:
        status, third, err = run_once(tmp_path)
        assert (status, err) == (0, "")
        runs = [item["run"] for item in list_all(url, "runs")]
        assert sorted(runs) == sorted(item["run"] for item in (first, second, third))
        host = next(item for item in list_all(url, "hosts") if item["host"] == HOST)
        assert (host["result"], host["serial"]) == ("converged", 1)
