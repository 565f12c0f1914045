"""Attacks of a proposer on routing: where releases come from and go to, who judges, what a plan is compared with."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gitops.pipeline.child import compile_commit
from gitops.pipeline.release import ReleaseOrder, make_release
from gitops.pipeline.released import read_released
from gitops.signatures.keys import generate_key
from tests.support.attacks import read_cases
from tests.support.github.standin import Pull
from tests.support.loop import HOST, RULES, Loop, run_loop
from tests.support.service import wait_for

BRANCH = "release/production"
CASES = read_cases(__file__, "routing")


class Proposer:
    """Somebody who may push branches and open pull requests, beside those who review."""

    def __init__(self, loop: Loop, case: dict[str, Any]) -> None:
        self.loop, self.case = loop, case
        self.pull: Pull | None = None

    def do(self, step: str) -> None:
        {
            "write": self._write,
            "open": self._open,
            "pushed": lambda: self._tell("change"),
            "approve": self._approve,
            "merge": self._merge,
            "direct": self._push_directly,
            "forge": self._forge,
            "drop": lambda: self.loop.github.git("update-ref", "-d", f"refs/heads/{BRANCH}"),
        }[step]()
        self.loop.wait_idle()

    def _write(self) -> None:
        self.loop.work.git("fetch", "-q", str(self.loop.github.bare), "main")
        self.loop.work.git("checkout", "-q", "-B", "change", "FETCH_HEAD")
        rules = RULES
        for old, new in self.case.get("rules", {}).items():
            assert old in rules
            rules = rules.replace(old, new)
        files = {"gitops.yaml": rules}
        if "address" in self.case:
            way = f"spec:\n  connection: ssh\n  address: {self.case['address']}\n"
            files["inventory/web-1.yaml"] = HOST.format(number=1, text="hello").replace("spec:\n", way)
        self.loop.write("change", "hello" if self.case.get("same") else "evil", files=files)

    def _open(self) -> None:
        self.pull = self.loop.open(title="Please")
        wait_for(lambda: self.loop.comment(self._known()) and "is planning" not in self.loop.comment(self._known()))
        for text in self.case.get("comment", ()):
            assert text in self.loop.comment(self._known())
        for text in self.case.get("never", ()):
            assert text not in self.loop.comment(self._known())

    def _approve(self) -> None:
        self.loop.say(self._known(), "bob", f"/gitops approve {self.loop.digest(self._known())}")
        self.loop.wait_comment(self._known(), "Approvals: 1 of 1")

    def _merge(self) -> None:
        self.loop.merge(self._known())

    def _push_directly(self) -> None:
        self.loop.github.git("update-ref", "refs/heads/main", "refs/heads/change")
        self._tell("main")

    def _tell(self, branch: str) -> None:
        payload = self.loop.github.payload("push", Pull(0, "", "", branch, base=branch))
        assert self.loop.github.deliver(self.loop.service.url, "push", payload) == 202

    def _forge(self) -> None:
        """Put a well-made release of another key on the release branch."""
        bare = self.loop.github.bare
        deployed = read_released(bare, BRANCH, "production")
        assert deployed is not None
        compiled = compile_commit(bare, deployed.manifest.commit)
        key, now = generate_key(), datetime.now(UTC)
        self.loop.github.git("update-ref", "-d", f"refs/heads/{BRANCH}")
        order = ReleaseOrder(
            repository=bare,
            project="acme",
            environment=replace(compiled.environments["production"], required=0),
            commit=deployed.manifest.commit,
            graphs=compiled.graphs["production"],
            key=key,
            now=now,
        )
        make_release(order, pause=lambda _attempt: None)
        assert make_release(replace(order, is_forced=True), pause=lambda _attempt: None).serial == 2

    def _known(self) -> Pull:
        assert self.pull is not None
        return self.pull


def release_once(loop: Loop) -> None:
    loop.write("change", "hello")
    pull = loop.open()
    loop.say(pull, "bob", f"/gitops approve {loop.digest(pull)}")
    loop.wait_comment(pull, "Approvals: 1 of 1")
    loop.merge(pull)
    loop.wait_comment(pull, "released as serial 1")
    loop.wait_idle()


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_nothing_proposed_decides_where_it_goes_or_who_judges(case: dict[str, Any], tmp_path: Path) -> None:
    with run_loop(tmp_path) as loop:
        release_once(loop)
        before = len(loop.service.items("releases"))
        proposer = Proposer(loop, case)
        for step in case["steps"]:
            proposer.do(step)
        records = loop.service.items("releases")
        added = records[: len(records) - before]
        assert [item["state"] for item in added] == case["records"]
        assert all(case.get("reason", "") in item["reason"] for item in added)
        deployed = read_released(loop.github.bare, BRANCH, "production")
        assert (0 if deployed is None else deployed.manifest.serial) == case["serial"]
