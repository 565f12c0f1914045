"""Which rules judge a commit, when several have been in force, or none that released anything yet."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gitops.errors import RemoteError
from gitops.pipeline.child import compile_commit
from gitops.pipeline.release import ReleaseOrder, make_release
from gitops.pipeline.released import read_released
from tests.support.attacks import read_cases
from tests.support.fakeforge import REPOSITORY
from tests.support.loop import HOST, RULES
from tests.support.scene import Scene, make_scene
from webhooks.jobs.works import release_branch
from webhooks.store.releases import find_release, save_release
from webhooks.work import release as releasing
from webhooks.work.judge import JudgePorts
from webhooks.work.spend import Spendable, Target

CASES = read_cases(__file__, "rules")


class Pusher:
    """Somebody who pushes to the source; the rules stay as they were last written."""

    def __init__(self, scene: Scene) -> None:
        assert scene.fake.bare is not None
        self.scene, self.bare, self.rules = scene, scene.fake.bare, RULES
        self.commits: list[str] = []

    def push(self, step: dict[str, Any]) -> str:
        if "back" in step:
            return self._go_back(step["back"])
        for old, new in step["rules"].items():
            assert old in self.rules
            self.rules = self.rules.replace(old, new)
        work = self.scene.work
        work.git("checkout", "-q", "main")
        commit = work.commit(
            {"gitops.yaml": self.rules, "inventory/web-1.yaml": HOST.format(number=1, text=step["text"])}, "next"
        )
        work.git("push", "-q", str(self.bare), "main")
        if "put" in step:
            work.git("fetch", "-q", str(self.bare), "+refs/heads/*:refs/remotes/bare/*")
            source = work.git("rev-parse", f"refs/remotes/bare/{step['put']['from']}")
            work.git("push", "-q", "-f", str(self.bare), f"{source}:refs/heads/{step['put']['to']}")
        self.commits.append(commit)
        return commit

    def _go_back(self, number: int) -> str:
        """Take the source back by force, after somebody had a word that changes the reason why it is held."""
        commit = self.commits[number - 1]
        self.scene.work.git("checkout", "-q", "-B", "main", commit)
        self.scene.work.git("push", "-q", "-f", str(self.bare), "main")
        with self.scene.parts.store.write() as connection:
            known = find_release(connection, REPOSITORY, "production", commit)
            assert known is not None
            save_release(connection, replace(known, reason="other words"))
        return commit


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_commit_is_judged_by_the_rules_that_were_in_force_before_it(case: dict[str, Any], tmp_path: Path) -> None:
    with make_scene(tmp_path) as scene:
        pusher = Pusher(scene)
        for number, step in enumerate(case["steps"], 1):
            commit = pusher.push(step)
            scene.bench.clock.at += timedelta(seconds=1)
            scene.do(release_branch(REPOSITORY, "main"))
            with scene.parts.store.read() as connection:
                record = find_release(connection, REPOSITORY, "production", commit)
            assert (number, record and record.state) == (number, step["state"]), record
            assert record is None or step.get("reason", "") in record.reason
            if "branch" in step:
                deployed = read_released(pusher.bare, step["branch"], "production")
                assert deployed is not None, number
                assert deployed.manifest.serial == step["serial"], number


def test_rules_that_another_signer_released_meanwhile_are_not_overtaken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make_scene(tmp_path) as scene:
        pusher = Pusher(scene)
        pusher.push({"text": "one", "rules": {"required: 1": "required: 0"}})
        scene.do(release_branch(REPOSITORY, "main"))
        stricter = pusher.push({"text": "one", "rules": {"required: 0": "required: 1"}})
        evil = pusher.push({"text": "evil", "rules": {"required: 1": "required: 0"}})
        find = releasing.find_spendable

        def find_late(ports: JudgePorts, target: Target) -> Spendable:
            monkeypatch.setattr(releasing, "find_spendable", find)
            compiled = compile_commit(pusher.bare, stricter)
            lax = replace(compiled.environments["production"], required=0)
            key, graphs = scene.parts.key, compiled.graphs["production"]
            assert key is not None
            order = ReleaseOrder(pusher.bare, "acme", lax, stricter, graphs, key, scene.parts.now(), is_forced=True)
            assert make_release(order, pause=lambda _attempt: None).serial == 2
            return find(ports, target)

        monkeypatch.setattr(releasing, "find_spendable", find_late)
        with pytest.raises(RemoteError, match="may have brought other rules"):
            scene.do(release_branch(REPOSITORY, "main"))
        scene.do(release_branch(REPOSITORY, "main"))
        with scene.parts.store.read() as connection:
            record = find_release(connection, REPOSITORY, "production", evil)
        assert record is not None
        assert record.state == "held"
