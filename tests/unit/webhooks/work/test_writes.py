"""Every write to the forge, in order: at no moment does what stands there say more than is known.

Whoever merges by the statuses (an auto-merge) does so the moment they allow it: after each write the test looks at what stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gitops.model.observation import Observation
from gitops.plan.covers import covers
from tests.support.fakeforge import REPOSITORY
from tests.support.loop import APPROVE, RULES
from tests.support.people import NOW
from tests.support.scene import KEY, Scene, make_scene
from webhooks.forges.port import ForgePull
from webhooks.jobs.works import touch_pull
from webhooks.records import HostRecord, PullKey
from webhooks.store.approvals import list_approvals_of
from webhooks.store.hosts import save_host
from webhooks.store.plans import list_current_plans

APPROVAL, PLAN = "gitops/approval", "gitops/plan"
Move = Callable[[Scene], None]


@dataclass
class Watcher:
    """Looks after every write; `seen` are the (digest shown, approvals shown, status of the approval) that stood there."""

    scene: Scene
    seen: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])

    def look(self) -> None:
        fake = self.scene.fake
        body = fake.posted[0].body if fake.posted else ""
        digest = APPROVE.search(body)
        status = fake.status(fake.pulls["1"].head, APPROVAL)
        count = next((line for line in body.splitlines() if line.startswith("Approvals: ")), "")
        state = "" if status is None else status.state
        self.seen.append((digest[1] if digest else "", count, state))
        if state == "success" and digest is not None:
            self._check_success(digest[1])

    def _check_success(self, shown: str) -> None:
        """A success stands beside a plan: it is the current one, and what was said covers it."""
        with self.scene.parts.store.read() as connection:
            (plan,) = list_current_plans(connection, KEY)
            given = [item.approval for item in list_approvals_of(connection, KEY) if item.state == "counted"]
        assert plan.change_digest == shown, "the status is ahead of the comment"
        scopes = [item.scope for item in given if item is not None]
        assert len(scopes) >= plan.required, "the status says more than was approved"
        assert all(covers((scope,), plan.plan.scope) for scope in scopes), "the status is of another plan"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with make_scene(tmp_path) as made:
        yield made


@pytest.fixture
def watcher(scene: Scene) -> Watcher:
    made = Watcher(scene)
    scene.fake.written = made.look
    return made


def approve(scene: Scene) -> str:
    """Have an approved plan; give its digest."""
    scene.push("hello")
    scene.touch()
    scene.fake.say("bob", f"/gitops approve {scene.digest()}")
    scene.touch()
    assert scene.fake.status(scene.fake.pulls["1"].head, APPROVAL) is not None
    assert "Approvals: 1 of 1" in scene.fake.posted[0].body
    return scene.digest()


def push_more(scene: Scene) -> None:
    scene.push("hello", hosts=2)


def move_base(scene: Scene) -> None:
    """The head stays, and the merge with the new base changes more: nothing is released, so what the base brings is planned, too."""
    scene.work.git("checkout", "-q", "main")
    host = "apiVersion: gitops/v1\nkind: Host\nmetadata: {name: db-1, labels: {env: production}}\nspec:\n  resources:\n    - file: /x\n"
    scene.work.commit({"inventory/db.yaml": host}, "db")
    scene.work.git("push", "-q", str(scene.fake.bare), "main")


def raise_rules(scene: Scene) -> None:
    """The head and the plan stay, and the base demands one approval more."""
    scene.work.git("checkout", "-q", "main")
    scene.work.commit({"gitops.yaml": RULES.replace("required: 1", "required: 2")}, "two")
    scene.work.git("push", "-q", str(scene.fake.bare), "main")


def observe(scene: Scene) -> None:
    """The head and the base stay, and what the host has now asks for something else: a folder in the file's place."""
    states = {"file:/etc/motd": {"type": "directory", "mode": "0755", "owner": "root", "group": "root"}}
    seen = Observation.from_json({**Observation("web-1", NOW, {"init": "systemd"}, {}).to_json(), "states": states})
    with scene.parts.store.write() as connection:
        save_host(connection, HostRecord("web-1", "production", NOW, observation=seen))


def take_back(scene: Scene) -> None:
    scene.fake.say("bob", "/gitops unapprove")


def lose_right(scene: Scene) -> None:
    scene.fake.teams["sre"].clear()


GROWN: list[tuple[Move, str]] = [(push_more, ""), (move_base, ""), (raise_rules, "")]
LOST: list[tuple[Move, str]] = [(take_back, ""), (lose_right, "")]


@pytest.mark.parametrize(("move", "again"), [*GROWN, *LOST, (observe, "observed")])
def test_at_no_moment_does_a_status_say_more_than_is_known(scene: Scene, watcher: Watcher, move: Move, again: str) -> None:
    approve(scene)
    move(scene)
    began = len(watcher.seen)
    scene.touch(again)
    assert len(watcher.seen) > began or move is observe


@pytest.mark.parametrize("move", [item for item, _ in GROWN[:2]])
def test_a_plan_that_grew_never_stands_beside_what_was_said_to_the_smaller_one(
    scene: Scene, watcher: Watcher, move: Move
) -> None:
    before = approve(scene)
    move(scene)
    began = len(watcher.seen)
    scene.touch()
    after = scene.digest()
    assert after != before
    shown = [(count, state) for digest, count, state in watcher.seen[began:] if digest == after]
    assert shown
    assert {count for count, _ in shown} == {"Approvals: 0 of 1 (none yet)."}
    assert "success" not in {state for _, state in shown}
    assert "the plan has grown since" in scene.fake.posted[0].body


@pytest.mark.parametrize("move", [item for item, _ in LOST])
def test_what_says_less_is_said_first(scene: Scene, watcher: Watcher, move: Move) -> None:
    approve(scene)
    move(scene)
    began = len(watcher.seen)
    scene.touch()
    assert [(count, state) for _, count, state in watcher.seen[began:]] == [
        ("Approvals: 1 of 1 (`bob`).", "pending"),
        ("Approvals: 0 of 1 (none yet).", "pending"),
    ]


def test_what_says_more_is_said_last(scene: Scene, watcher: Watcher) -> None:
    scene.push("hello")
    scene.touch()
    scene.fake.say("bob", f"/gitops approve {scene.digest()}")
    began = len(watcher.seen)
    scene.touch()
    assert [(count, state) for _, count, state in watcher.seen[began:]] == [
        ("Approvals: 1 of 1 (`bob`).", "pending"),
        ("Approvals: 1 of 1 (`bob`).", "success"),
    ]


def test_of_two_pull_requests_with_one_head_the_worst_speaks(scene: Scene) -> None:
    head = scene.push("hello")
    scene.touch()
    # The same commit, proposed to a branch that nothing is released from: nothing needs an approval there.
    second = PullKey(REPOSITORY, "2")
    scene.work.git("push", "-q", str(scene.fake.bare), "main:refs/heads/other", f"{head}:refs/pull/2/head")
    scene.fake.pulls["2"] = ForgePull(second, "Harmless", "alice", head, "other", contributors=("alice",), version="v")
    scene.do(touch_pull(second))
    standing = scene.fake.status(head, APPROVAL)
    assert standing is not None
    assert (standing.state, standing.description) == ("pending", "acme/infra#1 has this commit, too: production has 0 of 1")
    # Approved there, it is approved.
    scene.fake.say("bob", f"/gitops approve {scene.digest()}")
    scene.touch()
    approved = scene.fake.status(head, APPROVAL)
    assert approved is not None
    assert approved.state == "success"


def test_the_status_is_that_of_who_is_left(scene: Scene) -> None:
    head = scene.push("hello")
    scene.touch()
    second = PullKey(REPOSITORY, "2")
    scene.work.git("push", "-q", str(scene.fake.bare), "main:refs/heads/other", f"{head}:refs/pull/2/head")
    scene.fake.pulls["2"] = ForgePull(second, "Harmless", "alice", head, "other", contributors=("alice",), version="v")
    scene.do(touch_pull(second))
    scene.fake.pulls["1"] = replace(scene.fake.pulls["1"], state="closed")
    scene.touch()
    scene.do_all()
    left = scene.fake.status(head, APPROVAL)
    assert left is not None
    assert (left.state, left.description) == ("success", "nothing needs an approval")
