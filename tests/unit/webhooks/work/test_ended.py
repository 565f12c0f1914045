"""A compile that does not come to its end, over the real handlers: the pull request gets its comment and failing status, once, with a reason."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.errors import BugError, RemoteError
from gitops.pipeline import child, pull
from gitops.pipeline.answer import CompiledCommit
from tests.support.fakeforge import REPOSITORY
from tests.support.scene import KEY, Scene, make_scene
from webhooks.jobs.works import release_branch
from webhooks.store.plans import list_plans_of
from webhooks.store.releases import list_releases
from webhooks.store.work import list_jobs
from webhooks.work import plan as planning

KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
BROKEN = "import sys; sys.stdin.read(); {}['x']"
SILENT = "import sys; sys.stdin.read()"
DEEP = "f = lambda: f(); f()"
HUNGRY = "import sys; sys.stdin.read(); raise MemoryError"
TOLD = "import os; os.kill(os.getpid(), 15)"
SLOW = "import signal; signal.raise_signal(signal.SIGXCPU)"

MODULE = "apiVersion: gitops/v1\nkind: Module\nmetadata: {name: m}\nspec: {params: {p: {type: strin}}, resources: []}\n"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with make_scene(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("program", "state", "words"),
    [
        (KILLED, "failure", "compiling was killed \\\\(SIGKILL\\\\)"),
        (SLOW, "failure", "longer than 20 s of processor time"),
        (HUNGRY, "failure", "MiB of memory"),
        (DEEP, "failure", "nested too deeply"),
        (TOLD, "failure", "ended from outside"),
        (BROKEN, "error", "KeyError: 'x'"),
        (SILENT, "error", "gave no answer that can be read"),
    ],
)
def test_however_the_child_ends_it_is_said_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, program: str, state: str, words: str
) -> None:
    works = child.START
    monkeypatch.setattr(child, "START", program)
    head = scene.push("hello")
    scene.touch()
    (comment,) = scene.fake.posted
    plan = scene.fake.status(head, "gitops/plan")
    assert plan is not None
    assert plan.state == state
    assert words.replace("\\\\", "") in comment.body.replace("\\", "")
    assert ("report it" in comment.body) == (state == "error")
    said = len(scene.fake.statuses)
    scene.touch()
    with scene.parts.store.read() as connection:
        assert [job for job in list_jobs(connection) if job.kind == "pull"] == []
    assert [len(scene.fake.posted), len(scene.fake.statuses)] == [1, said]
    monkeypatch.setattr(child, "START", works)
    scene.touch("plan")
    again = scene.fake.status(head, "gitops/plan")
    assert again is not None
    assert again.state == "success"
    assert len(scene.fake.posted) == 1


def test_a_schema_that_is_none_is_said_on_the_pull_request(scene: Scene) -> None:
    head = scene.push("hello", files={"modules/m/module.yaml": MODULE})
    scene.touch()
    (comment,) = scene.fake.posted
    plan = scene.fake.status(head, "gitops/plan")
    assert plan is not None
    assert (plan.state, plan.description) == ("failure", "1 error in the config")
    assert f"modules/m/module.yaml:4:{MODULE.splitlines()[3].index('strin') + 1}" in comment.body


def test_a_law_that_we_break_while_planning_is_said_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_law(*_: object) -> None:
        raise BugError("the plan covers nothing", code="B001", hint="report it")

    monkeypatch.setattr(planning, "plan_pull", break_law)
    head = scene.push("hello")
    with caplog.at_level(logging.ERROR):
        scene.touch()
    (comment,) = scene.fake.posted
    plan = scene.fake.status(head, "gitops/plan")
    assert plan is not None
    assert plan.state == "error"
    assert "the plan covers nothing" in comment.body
    assert "the plan covers nothing" in caplog.text


@pytest.mark.parametrize(("program", "error"), [(KILLED, RemoteError), (BROKEN, BugError), (SILENT, BugError)])
def test_a_merge_that_was_not_compiled_is_not_taken_for_one_without_environments(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, program: str, error: type[Exception]
) -> None:
    scene.push("hello")
    scene.touch()
    scene.merge()
    monkeypatch.setattr(child, "START", program)
    with pytest.raises(error):
        scene.do(release_branch(REPOSITORY, "main"))
    with scene.parts.store.read() as connection:
        assert not list_releases(connection)


@pytest.mark.parametrize("program", [KILLED, BROKEN])
def test_rules_that_could_not_be_read_are_not_taken_for_none(scene: Scene, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """The merge compiles, and the default branch, which says who approves, does not."""
    scene.push("hello")
    works, real = child.compile_commit, child.START

    def start_well(repository: Path, head: str, **options: str) -> CompiledCommit:
        with monkeypatch.context() as patch:
            patch.setattr(child, "START", real)
            return works(repository, head, **options)

    monkeypatch.setattr(pull, "compile_commit", start_well)
    monkeypatch.setattr(child, "START", program)
    if program == KILLED:
        with pytest.raises(RemoteError, match="killed"):
            scene.touch()
    else:
        scene.touch()
        assert "could not be compiled" in scene.fake.posted[0].body
    assert scene.pull().planning != "planned"
    with scene.parts.store.read() as connection:
        assert not list_plans_of(connection, KEY)
