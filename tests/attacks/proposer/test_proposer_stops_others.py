"""What one pull request or environment brings does not keep the others from being released."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitops.errors import RemoteError
from tests.support.fakeforge import REPOSITORY
from tests.support.loop import RULES
from tests.support.scene import KEY, Scene, make_scene
from webhooks.forges.port import ForgePull
from webhooks.jobs.works import release_branch
from webhooks.records import PullKey, ReleaseRecord
from webhooks.store.releases import list_releases
from webhooks.work import release as releasing


def releases(scene: Scene) -> dict[str, ReleaseRecord]:
    with scene.parts.store.read() as connection:
        return {item.environment: item for item in reversed(list_releases(connection)) if item.state != "nothing"}


def push_to_main(scene: Scene, text: str) -> None:
    scene.work.git("checkout", "-q", "main")
    scene.work.commit({"gitops.yaml": text}, "rules")
    scene.work.git("push", "-q", str(scene.fake.bare), "main")


@pytest.mark.parametrize(("code", "held"), [("R208", "who wrote the others is not known"), ("R200", "")])
def test_an_approved_pull_request_whose_authors_cannot_be_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, held: str
) -> None:
    with make_scene(tmp_path) as scene:
        scene.push("hello")
        scene.touch()
        scene.fake.say("bob", f"/gitops approve {scene.digest()}")
        scene.touch()
        read = type(scene.fake).read_pull

        def read_odd(self: object, key: PullKey) -> ForgePull | None:
            if key == KEY:
                raise RemoteError("1 has 90000 commits: who wrote the others is not known", code=code)
            return read(scene.fake, key)

        monkeypatch.setattr(type(scene.fake), "read_pull", read_odd)
        scene.work.git("checkout", "-q", "main")
        scene.work.git("merge", "-q", "--no-ff", "-m", "past it", "change")
        scene.work.git("push", "-q", str(scene.fake.bare), "main")
        if not held:
            # A forge that is not reached is asked again: what it would say is not known.
            with pytest.raises(RemoteError):
                scene.do(release_branch(REPOSITORY, "main"))
            return
        scene.do(release_branch(REPOSITORY, "main"))
        record = releases(scene)["production"]
        assert (record.state, held in record.reason) == ("held", True), record.reason


def test_an_environment_that_cannot_be_judged_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = "environments:\n    first:\n      hosts: {role: none}\n"
    with make_scene(tmp_path) as scene:
        push_to_main(scene, RULES.replace("environments:\n", free).replace("required: 1", "required: 0"))
        scene.push("hello", files={"gitops.yaml": RULES.replace("environments:\n", free).replace("required: 1", "required: 0")})
        scene.work.git("push", "-q", str(scene.fake.bare), "change:main")
        find = releasing.Routes.find

        def find_or_break(self: releasing.Routes, name: str) -> releasing.Route | None:
            if name == "first":
                raise RemoteError("the rules of first cannot be read", code="R207")
            return find(self, name)

        monkeypatch.setattr(releasing.Routes, "find", find_or_break)
        with pytest.raises(RemoteError, match="rules of first"):
            scene.do(release_branch(REPOSITORY, "main"))
        assert releases(scene)["production"].state == "released"
