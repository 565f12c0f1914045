"""One pull request through the handlers, over a real repository and a forge that breaks at every call."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gitops.errors import RemoteError
from gitops.model.observation import Observation
from tests.support.fakeforge import REPOSITORY, FakeForge
from tests.support.loop import APPROVE, HOST, RULES
from tests.support.people import NOW
from tests.support.project import Repository
from tests.support.rows import make_bench
from tests.support.scene import KEY, Scene, make_scene
from webhooks.forges.port import ForgePull
from webhooks.jobs.works import look_at, release_branch, renew_releases, touch_pull
from webhooks.parts import make_handlers
from webhooks.records import HostRecord, JobRecord, PullRecord, ReleaseRecord
from webhooks.store.approvals import list_approvals_of
from webhooks.store.hosts import save_host
from webhooks.store.plans import list_current_plans, list_plans_of
from webhooks.store.pulls import find_pull
from webhooks.store.releases import list_releases, save_release
from webhooks.store.work import list_jobs
from webhooks.work.repository import find_missed


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with make_scene(tmp_path) as made:
        yield made


def test_doing_it_again_says_nothing_again(scene: Scene) -> None:
    scene.push("hello")
    scene.touch()
    said, statuses = list(scene.fake.posted), list(scene.fake.statuses)
    scene.bench.clock.at = NOW.replace(year=2027)
    scene.touch()
    scene.touch("observed")
    scene.touch("plan")
    assert [item.body for item in scene.fake.posted] == [item.body for item in said]
    assert scene.fake.statuses[: len(statuses)] == statuses
    with scene.parts.store.read() as connection:
        assert len(list_plans_of(connection, KEY)) == 1


@pytest.mark.parametrize("lose", [False, True])
def test_broken_at_every_call_there_is_one_comment_and_the_same_end(scene: Scene, lose: bool) -> None:
    scene.push("hello")
    step = 0
    while True:
        step += 1
        fake = FakeForge(scene.fake.bare, scene.fake.pulls, writers=scene.fake.writers, teams=scene.fake.teams)
        fake.break_at, fake.lose = step, lose
        folder = scene.parts.settings.data_dir / f"step-{step}"
        with make_bench(folder, {REPOSITORY: fake.forge()}) as bench:
            again = Scene(bench, fake, scene.work)
            broke = False
            try:
                again.touch()
            except RemoteError:
                broke = True
                again.touch()
            assert len(fake.posted) == 1
            assert APPROVE.search(fake.posted[0].body)
            assert [status.state for _, status in fake.statuses if status.context == "gitops/plan"][-1] == "success"
            with bench.parts.store.read() as connection:
                (plan,) = list_current_plans(connection, KEY)
            assert plan.published == fake.posted[0].at
        if not broke and fake.calls < step:
            break
        assert step < 40
    assert step > 5


def test_a_merge_is_released_once_though_its_records_are_lost(scene: Scene) -> None:
    scene.push("hello")
    scene.touch()
    scene.fake.say("bob", f"/gitops approve {scene.digest()}")
    scene.touch()
    merged = scene.merge()
    scene.touch()
    # The process dies after the push: what was written of it is gone, the branch is not.
    before = scene.parts.store
    scene.do(release_branch(REPOSITORY, "main"))
    with before.write() as connection:
        (made,) = list_releases(connection)
        connection.exec_driver_sql("delete from releases")
        connection.exec_driver_sql("update approvals set state = 'counted', serial = 0")
    scene.do(release_branch(REPOSITORY, "main"))
    scene.do_all()
    with before.read() as connection:
        (again,) = list_releases(connection)
        (approval,) = list_approvals_of(connection, KEY)
    assert (again.state, again.serial, again.commit, again.digest) == ("released", 1, made.commit, made.digest)
    assert (again.source, again.pull) == (merged, "1")
    assert (approval.state, approval.serial) == ("spent", 1)
    assert scene.pull().is_settled
    assert "released as serial 1" in scene.fake.posted[0].body
    scene.touch()
    assert len(scene.fake.posted) == 1


def test_a_release_is_issued_again_at_half_of_its_life_and_no_earlier(scene: Scene) -> None:
    scene.do(renew_releases(REPOSITORY))
    scene.release()
    serials: list[int] = []
    for days in (0, 40, 6, 40, 5):
        scene.bench.clock.at += timedelta(days=days)
        scene.do(renew_releases(REPOSITORY))
        with scene.parts.store.read() as connection:
            serials.extend(item.serial for item in list_releases(connection) if item.state == "released")
    assert serials == [1, 1, 2, 2, 3]
    scene.parts = replace(scene.parts, key=None)
    scene.do(renew_releases(REPOSITORY))


def test_what_cannot_be_issued_again_is_logged(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    odd = ReleaseRecord(REPOSITORY, "production", "a" * 40, "released", NOW, serial=1, branch="main")
    with scene.parts.store.write() as connection:
        save_release(connection, odd)
        save_release(connection, replace(odd, environment="gone", branch="nowhere"))
    scene.do(renew_releases(REPOSITORY))
    assert "production could not be issued again" in caplog.text


def test_without_a_key_a_merge_waits_for_another_signer(scene: Scene) -> None:
    scene.parts = replace(scene.parts, key=None)
    scene.push("hello")
    scene.touch()
    scene.merge()
    scene.touch()
    scene.do_all()
    assert "waits for a signer" in scene.fake.posted[0].body


def test_rules_that_a_merge_loosens_do_not_judge_it(scene: Scene) -> None:
    scene.do(release_branch(REPOSITORY, "main"))
    scene.push("hello", files={"gitops.yaml": RULES.replace("required: 1", "required: 0")})
    scene.touch()
    assert "Approvals: 0 of 1" in scene.fake.posted[0].body
    scene.merge()
    scene.touch()
    scene.do_all()
    assert "held" in scene.fake.posted[0].body
    # Held, it can still be approved, by the rules of before.
    scene.fake.say("bob", f"/gitops approve {scene.digest()}")
    scene.touch()
    scene.do_all()
    assert "released as serial 1" in scene.fake.posted[0].body


def test_rules_that_an_earlier_merge_loosened_alone_do_not_judge_the_next(scene: Scene) -> None:
    scene.release()
    assert "released as serial 1" in scene.fake.posted[0].body
    # Nothing changes on any host, but who judges does: the rules of before are asked.
    scene.work.commit({"gitops.yaml": RULES.replace("required: 1", "required: 0")}, "nobody need approve")
    scene.work.git("push", "-q", str(scene.fake.bare), "main")
    scene.bench.clock.at += timedelta(minutes=1)
    scene.do(release_branch(REPOSITORY, "main"))
    scene.do_all()
    scene.work.commit({"inventory/web-1.yaml": HOST.format(number=1, text="evil")}, "evil")
    scene.work.git("push", "-q", str(scene.fake.bare), "main")
    scene.bench.clock.at += timedelta(minutes=1)
    scene.do(release_branch(REPOSITORY, "main"))
    scene.do_all()
    with scene.parts.store.read() as connection:
        states = [item.state for item in list_releases(connection)]
    assert states == ["held", "held", "released"]


def test_people_whom_an_earlier_merge_named_alone_do_not_judge_the_next(scene: Scene) -> None:
    scene.release()
    # Nothing changes on any host, so nobody is asked who may approve from now on.
    scene.work.commit({"gitops.yaml": RULES.replace('["team:sre", "user:dave"]', '["user:erin", "user:dave"]')}, "erin, too")
    scene.work.git("push", "-q", str(scene.fake.bare), "main")
    scene.bench.clock.at += timedelta(minutes=1)
    scene.do(release_branch(REPOSITORY, "main"))
    scene.fake.writers.add("erin")
    scene.push("more", branch="second")
    second = replace(KEY, name="2")
    scene.work.git("push", "-q", str(scene.fake.bare), "HEAD:refs/pull/2/head")
    scene.fake.pulls["2"] = replace(scene.fake.pulls["1"], key=second, state="open", merged="")
    scene.do(touch_pull(second))
    plan = APPROVE.search(scene.fake.posted[-1].body)
    assert plan is not None
    scene.fake.say("erin", plan[0])
    scene.do(touch_pull(second))
    scene.work.git("checkout", "-q", "main")
    scene.work.git("merge", "-q", "--no-ff", "-m", "merge", "second")
    scene.work.git("push", "-q", str(scene.fake.bare), "main")
    scene.fake.pulls["2"] = replace(scene.fake.pulls["2"], state="merged", merged=scene.work.git("rev-parse", "HEAD"))
    scene.do(touch_pull(second))
    scene.do_all()
    assert "held" in scene.fake.posted[-1].body
    assert "they may not approve production" in scene.fake.posted[-1].body
    # Whoever counts by both rules makes the release, and with it the new rules.
    scene.fake.say("dave", plan[0])
    scene.do(touch_pull(second))
    scene.do_all()
    assert "released as serial 2" in scene.fake.posted[-1].body


def test_rules_that_cannot_be_read_hold_the_release(scene: Scene) -> None:
    scene.do(release_branch(REPOSITORY, "main"))
    # The history is written anew: the commit whose rules stand is gone, and the new ones ask nobody.
    scene.work.git("checkout", "-q", "--orphan", "other")
    files = {
        "gitops.yaml": RULES.replace("required: 1", "required: 0"),
        "inventory/web-1.yaml": HOST.format(number=1, text="evil"),
    }
    scene.work.commit(files, "evil")
    scene.work.git("push", "-q", "-f", str(scene.fake.bare), "HEAD:main")
    shutil.rmtree(scene.parts.settings.data_dir / "mirrors")
    scene.bench.clock.at += timedelta(minutes=1)
    Repository(scene.fake.bare or Path()).git("gc", "-q", "--prune=now")
    scene.do(release_branch(REPOSITORY, "main"))
    with scene.parts.store.read() as connection:
        newest = list_releases(connection)[0]
    assert newest.state == "held"
    assert "cannot be read" in newest.reason


def test_a_merged_config_with_errors_is_not_released(scene: Scene) -> None:
    scene.push("hello", files={"inventory/bad.yaml": HOST.format(number=7, text="x").replace("content", "contents")})
    scene.touch()
    assert scene.pull().planning == "invalid"
    scene.merge()
    scene.touch()
    scene.do_all()
    with scene.parts.store.read() as connection:
        (found,) = list_releases(connection)
    assert (found.state, found.reason) == ("failed", "the merged config has errors")


def test_what_ends_without_a_merge_is_said_and_left_alone(scene: Scene) -> None:
    scene.push("hello")
    scene.touch()
    del scene.fake.pulls["1"]
    scene.touch()
    assert (scene.pull().state, scene.pull().is_settled) == ("closed", True)
    assert "closed without merging" in scene.fake.posted[0].body
    with scene.parts.store.read() as connection:
        assert list_current_plans(connection, KEY) == ()
    scene.touch()
    # Opened again, it is planned again.
    scene.push("hello again")
    scene.touch()
    assert (scene.pull().state, scene.pull().planning) == ("open", "planned")


def test_what_was_never_seen_open_is_none_of_our_business(scene: Scene) -> None:
    scene.push("hello")
    scene.merge()
    scene.touch()
    assert scene.fake.posted == []
    with scene.parts.store.read() as connection:
        assert find_pull(connection, KEY) is None


def test_a_pull_to_a_branch_that_nothing_follows_says_so(scene: Scene) -> None:
    scene.work.git("push", "-q", str(scene.fake.bare), "main:refs/heads/other")
    head = scene.push("hello")
    scene.fake.pulls["1"] = replace(scene.fake.pulls["1"], branch="other")
    scene.touch()
    assert scene.fake.statuses[-2:][0][1].description == "no environment is released from other"
    assert scene.fake.statuses[-1][0] == head
    assert "no environment is released from `other`" in scene.fake.posted[0].body


def test_a_pull_that_is_sent_to_another_branch_is_planned_for_that_one(scene: Scene) -> None:
    scene.work.git("push", "-q", str(scene.fake.bare), "main:refs/heads/other")
    scene.push("hello")
    scene.touch()
    assert APPROVE.search(scene.fake.posted[0].body)
    # Both branches are the same commit: only the name tells that nothing is released from there.
    scene.fake.pulls["1"] = replace(scene.fake.pulls["1"], branch="other")
    scene.touch()
    assert not APPROVE.search(scene.fake.posted[0].body)


def test_a_head_that_git_does_not_show_yet_is_tried_again(scene: Scene) -> None:
    scene.push("hello")
    scene.fake.pulls["1"] = replace(scene.fake.pulls["1"], head="d" * 40)
    with pytest.raises(RemoteError, match="does not show the commit"):
        scene.touch()


def test_a_branch_that_is_gone_is_said(scene: Scene) -> None:
    scene.push("hello")
    scene.fake.pulls["1"] = replace(scene.fake.pulls["1"], branch="nowhere")
    with pytest.raises(RemoteError, match="the branch nowhere is not there"):
        scene.touch()


def test_giving_up_is_said_on_the_pull_request(scene: Scene) -> None:
    scene.push("hello")
    scene.touch()
    job = JobRecord(1, "pull", str(KEY), {"repository": REPOSITORY, "name": "1"}, "dead", 8, NOW)
    give_up = make_handlers(scene.parts)["pull"].give_up
    assert give_up is not None
    give_up(job, "R205: no network at example.org")
    body = scene.fake.posted[0].body
    assert "planning" in body
    assert "failed" in body
    assert "R205" in body
    assert "example.org" not in body
    assert [status.state for _, status in scene.fake.statuses if status.context == "gitops/plan"][-1] == "error"
    # A person can ask again.
    scene.fake.say("bob", "/gitops plan")
    scene.touch()
    scene.do_all()
    assert scene.pull().planning == "planned"


def test_pushers_that_webhooks_name_lose_the_right(scene: Scene) -> None:
    scene.push("hello")
    scene.do(touch_pull(KEY, pusher="bob"))
    scene.fake.say("bob", f"/gitops approve {scene.digest()}")
    scene.touch()
    assert "own work" in scene.fake.posted[0].body


def test_a_comment_that_is_removed_takes_its_approval_along(scene: Scene) -> None:
    scene.push("hello")
    scene.touch()
    scene.fake.say("bob", f"/gitops approve {scene.digest()}")
    scene.touch()
    assert "Approvals: 1 of 1" in scene.fake.posted[0].body
    scene.fake.comments.clear()
    scene.touch()
    assert "the comment was removed" in scene.fake.posted[0].body


def test_only_those_who_may_write_and_the_author_have_it_planned_again(scene: Scene) -> None:
    scene.push("hello")
    scene.touch()
    scene.fake.say("mallory", "/gitops plan")
    scene.touch()
    with scene.parts.store.read() as connection:
        assert [job for job in list_jobs(connection) if job.payload.get("again") == "plan"] == []
    scene.fake.say("mallory", "/gitops dance")
    scene.touch()
    assert "there is no such command" in scene.fake.posted[0].body


def test_an_environment_that_is_taken_away_is_said(scene: Scene) -> None:
    staging = RULES + "    staging:\n      hosts: {env: staging}\n"
    scene.work.commit({"gitops.yaml": staging}, "staging")
    scene.work.git("push", "-q", str(scene.fake.bare), "main")
    scene.push("hello", files={"gitops.yaml": RULES})
    scene.touch()
    assert "staging" in scene.fake.posted[0].body
    assert "stay on their last release" in scene.fake.posted[0].body


def test_what_is_observed_changes_the_plan_but_not_when_only_the_time_does(scene: Scene) -> None:
    scene.push("hello")
    scene.touch()
    first = scene.fake.posted[0].body
    seen = Observation("web-1", NOW, {"init": "systemd"}, {})
    with scene.parts.store.write() as connection:
        save_host(connection, HostRecord("web-1", "production", NOW, observation=seen, repository=REPOSITORY))
    scene.touch("observed")
    second = scene.fake.posted[0].body
    assert second != first
    with scene.parts.store.write() as connection:
        save_host(
            connection,
            HostRecord("web-1", "production", NOW, observation=replace(seen, at=NOW.replace(hour=13)), repository=REPOSITORY),
        )
    scene.touch("observed")
    assert scene.fake.posted[0].body == second
    with scene.parts.store.read() as connection:
        assert len(list_plans_of(connection, KEY)) == 2


def test_the_reconciler_asks_for_what_was_missed_and_for_nothing_else(scene: Scene) -> None:
    scene.push("hello")
    scene.do(look_at(REPOSITORY))
    scene.do_all()
    assert APPROVE.search(scene.fake.posted[0].body)
    scene.do(look_at(REPOSITORY))
    with scene.parts.store.read() as connection:
        assert list_jobs(connection) == ()
    del scene.fake.pulls["1"]
    scene.do(look_at(REPOSITORY))
    scene.do_all()
    assert scene.pull().state == "closed"


def test_what_is_missed() -> None:
    known = PullRecord(KEY, "t", "alice", "a", "main", target="m1", planning="planned", version="v1")
    pull = ForgePull(KEY, "t", "alice", "a", "main", version="v1")
    branches = {"main": "m1"}
    assert find_missed({KEY: pull}, {KEY: known}, branches, ()) == ()
    assert find_missed({KEY: pull}, {}, branches, ()) == (KEY,)
    assert find_missed({}, {KEY: known}, branches, ()) == (KEY,)
    for changed in (replace(pull, head="b"), replace(pull, version="v2"), replace(pull, version=""), replace(pull, branch="x")):
        assert find_missed({KEY: changed}, {KEY: known}, branches, ()) == (KEY,)
    assert find_missed({KEY: pull}, {KEY: known}, {"main": "m2"}, ()) == (KEY,)
    assert find_missed({KEY: pull}, {KEY: replace(known, planning="failed")}, {"main": "m2"}, ()) == ()
    assert find_missed({KEY: pull}, {KEY: replace(known, planning="waiting")}, branches, ()) == (KEY,)


def test_what_is_merged_and_held_is_only_looked_at_when_something_happens() -> None:
    known = PullRecord(KEY, "t", "alice", "a", "main", target="m1", planning="planned", state="merged", version="v1")
    pull = ForgePull(KEY, "t", "alice", "a", "main", state="merged", version="v1")
    assert find_missed({KEY: pull}, {KEY: known}, {"main": "m1"}, ("main",)) == ()
    assert find_missed({}, {KEY: known}, {"main": "m1"}, ("main",)) == ()
    assert find_missed({KEY: replace(pull, version="v2")}, {KEY: known}, {"main": "m1"}, ("main",)) == (KEY,)
    assert find_missed({KEY: replace(pull, version="")}, {KEY: known}, {"main": "m1"}, ("main",)) == (KEY,)
    # It was released, and the process died before it could say so.
    assert find_missed({KEY: pull}, {KEY: known}, {"main": "m1"}, ()) == (KEY,)
    # What ended and was never known open is none of our business.
    assert find_missed({KEY: pull}, {}, {"main": "m1"}, ()) == ()
