"""The API of the local forge: the same two acts, for programs with a user's name and password."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest
from starlette.applications import Starlette

from tests.support.browser import Browser
from tests.support.desk import HEAD, TARGET, FakeReviews, make_desk
from tests.support.people import PASSWORD
from tests.support.plans import fleet_plan
from webhooks.api.reviews import make_local_api

DIGEST = fleet_plan().change_digest
BOB = ("bob", PASSWORD)
APPROVE, MERGE, REFRESH = "/api/v1/pulls/site-8080/approve", "/api/v1/pulls/site-8080/merge", "/api/v1/pulls/refresh"
UNAPPROVE = "/api/v1/pulls/site-8080/unapprove"


@pytest.fixture
def reviews() -> FakeReviews:
    return FakeReviews()


@pytest.fixture
def program(tmp_path: Path, reviews: FakeReviews) -> Browser:
    return Browser(Starlette(routes=make_local_api(make_desk(tmp_path).gate, reviews)))


def test_approve_merge_and_refresh(program: Browser, reviews: FakeReviews) -> None:
    assert program.post_json(APPROVE, {"change_digest": DIGEST}, user=BOB).json() == {"result": "approved"}
    assert program.post_json(MERGE, {"head": HEAD}, user=BOB).json() == {"result": "merged", "commit": TARGET}
    assert program.post_json(REFRESH, {}, user=BOB).status_code == 202
    assert reviews.asked == [("approve", "site-8080", "bob", DIGEST), ("merge", "site-8080", "bob", HEAD), ("refresh",)]


def test_an_approval_is_taken_back(program: Browser, reviews: FakeReviews, monkeypatch: pytest.MonkeyPatch) -> None:
    assert program.post_json(UNAPPROVE, {}, user=BOB).json() == {"result": "taken-back"}
    assert program.post_json(UNAPPROVE, {"more": 1}, user=BOB).status_code == 422
    assert reviews.asked == [("take back", "site-8080", "bob")]
    monkeypatch.setattr(reviews, "take_back", lambda _key, _user: "asked")
    assert program.post_json(UNAPPROVE, {}, user=BOB).status_code == 202


@pytest.mark.parametrize("name", ["alice/motd", "fix-%2312", "a+b", "me@home", "%C3%A9", "x/approve"])
def test_a_name_with_slashes_and_signs_is_reached(program: Browser, reviews: FakeReviews, name: str) -> None:
    assert program.post_json(f"/api/v1/pulls/{name}/merge", {"head": HEAD}, user=BOB).status_code == 200
    assert reviews.asked == [("merge", unquote(name), "bob", HEAD)]


def test_an_undecided_approval_is_202(program: Browser, reviews: FakeReviews, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews, "approve", lambda _key, _user, _digest: "asked")
    assert program.post_json(APPROVE, {"change_digest": DIGEST}, user=BOB).status_code == 202


@pytest.mark.parametrize("path", [APPROVE, UNAPPROVE, MERGE, REFRESH])
def test_nobody_is_asked_who_they_are(program: Browser, reviews: FakeReviews, path: str) -> None:
    answer = program.post_json(path, {"change_digest": DIGEST})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert program.post_json(path, {}, user=("bob", "wrong")).json()["error"]["code"] == "A401"
    assert program.send("POST", path, data={}, auth=BOB).status_code == 415
    assert reviews.asked == []


@pytest.mark.parametrize(
    "body", [{}, {"change_digest": DIGEST[:12]}, {"change_digest": 7}, {"change_digest": DIGEST, "more": 1}, [], "text"]
)
def test_a_body_that_is_not_the_document_is_422(program: Browser, reviews: FakeReviews, body: object) -> None:
    answer = program.post_json(APPROVE, body, user=BOB)
    assert answer.status_code == 422
    assert set(answer.json()["error"]) == {"code", "message", "hint"}
    assert reviews.asked == []


def test_a_body_is_bounded(program: Browser) -> None:
    assert program.post_json(APPROVE, {"change_digest": "x" * 70_000}, user=BOB).status_code == 413


def test_what_may_not_be_done_is_409_with_the_reason(program: Browser, reviews: FakeReviews) -> None:
    reviews.refusal = "main moved meanwhile"
    for path, body in ((APPROVE, {"change_digest": DIGEST}), (MERGE, {"head": HEAD})):
        answer = program.post_json(path, body, user=BOB)
        assert (answer.status_code, answer.json()["error"]["message"]) == (409, "main moved meanwhile")


def test_without_a_local_forge_there_is_nothing(tmp_path: Path) -> None:
    gate = make_desk(tmp_path).gate
    assert Browser(Starlette(routes=make_local_api(gate, None))).post_json(APPROVE, {}, user=BOB).status_code == 404
