"""A bare repository with `gitops serve --repo` on it as a process, and people who push, approve and merge over real HTTP."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from gitops.signatures.keys import generate_key, write_key
from tests.support.people import PASSWORD, cheap_hash
from tests.support.project import HOST, Repository

ADMIN = "admin-token-of-tests"
PROJECT = """\
apiVersion: gitops/v1
kind: Project
metadata: {name: acme}
spec:
  environments:
    production:
      source: main
      hosts: {env: production}
      approvals: {required: 1, from: ["team:sre"]}
"""
TEAMS: Mapping[str, str] = {"alice": "sre", "bob": "sre", "carol": "dev"}
PATIENCE = 30.0
Found = TypeVar("Found")


@dataclass
class LocalForge:
    """One team's repository and its service."""

    folder: Path
    work: Repository
    url: str = ""
    process: subprocess.Popen[str] | None = field(default=None, repr=False)

    @property
    def bare(self) -> Path:
        return self.folder / "bare.git"

    @staticmethod
    def make(folder: Path, files: Mapping[str, str] | None = None) -> LocalForge:
        """Make work tree, bare repository, key and settings; `start` starts the service."""
        work = Repository.make(folder / "work", files or {"gitops.yaml": PROJECT, "inventory/web.yaml": HOST})
        work.git("clone", "-q", "--bare", str(work.path), str(folder / "bare.git"))
        work.git("remote", "add", "origin", str(folder / "bare.git"))
        write_key(generate_key(), folder / "key")
        users = "".join(
            f'  {name}: {{password: "{cheap_hash()}", teams: [{team}], emails: [{name}@example.org]}}\n'
            for name, team in TEAMS.items()
        )
        (folder / "settings.yaml").write_text(
            f"release_key: {folder / 'key'}\nadmin_token: {ADMIN}\nusers:\n{users}", encoding="utf-8"
        )
        return LocalForge(folder, work)

    def start(self) -> None:
        """Start `gitops serve` on a free port and wait until it answers."""
        command = [sys.executable, "-m", "gitops.cli", "serve", "--settings", str(self.folder / "settings.yaml")]
        command += ["--data", str(self.folder / "data"), "--listen", "127.0.0.1:0", "--repo", str(self.bare)]
        log = (self.folder / "service.log").open("a", encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GITOPS_")}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        log.close()
        assert self.process.stdout is not None
        found = re.search(r"http://\S+", self.process.stdout.readline())
        assert found is not None, (self.folder / "service.log").read_text()
        self.url = found[0]
        self.wait(lambda: self.get("/readyz").status_code == 200, "readiness")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it and give its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return status

    def push(self, name: str, files: Mapping[str, str], message: str, *, env: Mapping[str, str] | None = None) -> str:
        """Push a branch `pr/<name>` made from main; give its head."""
        self.work.git("fetch", "-q", "origin")
        self.work.git("checkout", "-q", "-B", f"pr/{name}", "origin/main")
        head = self.work.commit(files, message, env=env)
        self.work.git("push", "-q", "-f", "origin", f"pr/{name}")
        return head

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", headers={"authorization": f"Bearer {ADMIN}"}, timeout=10)

    def list_of(self, noun: str) -> list[dict[str, Any]]:
        answer = self.get(f"/api/v1/{noun}?limit=500")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    def wait_for_plan(self, name: str, head: str) -> dict[str, Any]:
        """Give the current plan of this head once reviewers can read it."""

        def look() -> dict[str, Any] | None:
            pull = next((item for item in self.list_of("pulls") if item["pull"] == name), None)
            if pull is None or pull["head"] != head or pull["planning"] != "planned":
                return None
            plans = [item for item in self.list_of("plans") if item["pull"] == name and item["current"] and item["published"]]
            return plans[0] if plans else None

        return self.wait(look, f"a plan of {name}")

    def wait_for_pull(self, name: str, **expected: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            pull = next((item for item in self.list_of("pulls") if item["pull"] == name), None)
            return pull if pull is not None and all(pull[key] == value for key, value in expected.items()) else None

        return self.wait(look, f"{name} to be {expected}")

    def approve(self, name: str, user: str, change_digest: str) -> httpx.Response:
        return self._post(f"/api/v1/pulls/{name}/approve", user, {"change_digest": change_digest})

    def merge(self, name: str, user: str, head: str) -> httpx.Response:
        return self._post(f"/api/v1/pulls/{name}/merge", user, {"head": head})

    def wait(self, look: Callable[[], Found | None], what: str) -> Found:
        deadline = time.monotonic() + PATIENCE
        while True:
            found = look()
            if found:
                return found
            assert self.process is None or self.process.poll() is None, (self.folder / "service.log").read_text()
            assert time.monotonic() < deadline, f"waited for {what}\n{(self.folder / 'service.log').read_text()[-3000:]}"
            time.sleep(0.05)

    def _post(self, path: str, user: str, body: object) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=body, auth=(user, PASSWORD), timeout=30)


@contextmanager
def running_forge(folder: Path, files: Mapping[str, str] | None = None) -> Iterator[LocalForge]:
    """Make and start; stop at the end whatever happened."""
    forge = LocalForge.make(folder, files)
    forge.start()
    try:
        yield forge
    finally:
        if forge.process is not None:
            forge.stop()
