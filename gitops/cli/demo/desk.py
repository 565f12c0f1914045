"""The demo's side of the service's API: what reviewers and operators see and do, over real HTTP with their own passwords."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from gitops.errors import RemoteError

PATIENCE = 30.0
PAUSE = 0.1
OK = 300
Json = Mapping[str, Any]


@dataclass(frozen=True)
class Desk:
    """One service, and the passwords of the people who use it."""

    url: str
    admin_token: str
    passwords: Mapping[str, str]

    def is_ready(self) -> bool:
        """Say whether the service answers."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code < OK
        except httpx.HTTPError:
            return False

    def wait_for_plan(self, name: str, head: str) -> Json:
        """Give the pull request once this head of it is planned."""
        return self._wait(lambda: self._find_planned(name, head), f"a plan of pr/{name}")

    def wait_for_release(self, commit: str) -> Json:
        """Give the release of a merge's commit, once it is out."""
        return self._wait(lambda: self._find_release(commit), f"the release of {commit[:12]}")

    def approve(self, name: str, user: str, change_digest: str) -> httpx.Response:
        """Approve exactly one change digest as somebody."""
        return self._post(f"/api/v1/pulls/{name}/approve", user, {"change_digest": change_digest})

    def merge(self, name: str, user: str, head: str) -> httpx.Response:
        """Merge this head as somebody."""
        return self._post(f"/api/v1/pulls/{name}/merge", user, {"head": head})

    def list_of(self, noun: str) -> list[Json]:
        """List what the API has of a noun."""
        answer = httpx.get(f"{self.url}/api/v1/{noun}", headers={"Authorization": f"Bearer {self.admin_token}"}, timeout=10)
        answer.raise_for_status()
        found: list[Json] = answer.json()["items"]
        return found

    def _find_planned(self, name: str, head: str) -> Json | None:
        pull = next((item for item in self.list_of("pulls") if item["pull"] == name), None)
        if pull is None or pull["head"] != head or pull["planning"] != "planned" or not pull["comment"]:
            return None
        plan = next((item for item in self.list_of("plans") if item["pull"] == name and item["current"]), None)
        return None if plan is None or plan["published"] is None else {**pull, "plan": plan}

    def _find_release(self, commit: str) -> Json | None:
        return next((item for item in self.list_of("releases") if item["source"] == commit and item["serial"]), None)

    def _post(self, path: str, user: str, body: Json) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=body, auth=(user, self.passwords[user]), timeout=30)

    @staticmethod
    def _wait(look: Callable[[], Json | None], what: str) -> Json:
        deadline = time.monotonic() + PATIENCE
        while True:
            found = look()
            if found is not None:
                return found
            if time.monotonic() > deadline:
                raise RemoteError(f"the service did not give {what} within {PATIENCE:.0f} s", code="R070", hint="read its log")
            time.sleep(PAUSE)
