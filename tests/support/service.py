"""The service as users start it: `gitops serve` in a process of its own, with a data folder, on a free port of loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.support.github.standin import SECRET, TOKEN, StandIn

ADMIN = "admin-" + "a" * 40
PATIENCE = 60.0
Found = TypeVar("Found")


@dataclass
class Service:
    """How to start it, and the process while it runs."""

    folder: Path
    environment: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    url: str = ""
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    starts: int = field(default=0)

    @property
    def log(self) -> str:
        """What all starts wrote to their logs."""
        return "".join(path.read_text(encoding="utf-8", errors="replace") for path in sorted(self.folder.glob("*.log")))

    def start(self) -> None:
        """Start it and wait until it answers; the port stays the same over restarts."""
        self.starts += 1
        out = self.folder / f"start-{self.starts}.out"
        with out.open("wb") as stdout, (self.folder / f"start-{self.starts:03d}.log").open("wb") as stderr:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "gitops.cli",
                    "serve",
                    "--data",
                    str(self.folder / "data"),
                    "--listen",
                    f"127.0.0.1:{self.port}",
                    *self.arguments,
                ],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        wait_for(lambda: self._has_printed(out) or self.process is None or self.process.poll() is not None)
        assert self.process.poll() is None, self.log
        self.url = out.read_text(encoding="utf-8").split()[-1]
        self.port = int(self.url.rpartition(":")[2])
        wait_for(self._is_ready)

    def kill(self) -> None:
        """Kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> int:
        """Stop it gracefully and give its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(40)

    def get(self, path: str) -> Any:
        """Give a document of the API, as the administrator."""
        answer = httpx.get(self.url + path, headers={"Authorization": f"Bearer {ADMIN}"}, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def items(self, name: str) -> list[Any]:
        """Give all items of a list."""
        return self.get(f"/api/v1/{name}?limit=500")["items"]

    def _has_printed(self, out: Path) -> bool:
        return "http://" in out.read_text(encoding="utf-8")

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False


def make_service(folder: Path, github: StandIn | None = None, *, poll: int = 3600, **settings: str) -> Service:
    """Describe a service in a folder; with `github` it watches the stand-in's repository. Polls rarely, so that webhooks count."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {"admin_token": ADMIN, "poll_seconds": str(poll), **settings}
    if github is not None:
        values |= {
            "github_api_url": github.url,
            "github_token": TOKEN,
            "github_webhook_secret": SECRET,
            "repositories": "acme/infra",
        }
    return Service(folder, {f"GITOPS_{name.upper()}": value for name, value in values.items()})


def wait_for(look: Callable[[], Found], patience: float = PATIENCE) -> Found:
    """Look until something true is found, and give it."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.03)  # poll with a deadline
    raise AssertionError(f"nothing within {patience} s")
