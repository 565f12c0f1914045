"""The stand-in itself: it speaks as GitHub's description says, and notices when somebody does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.github.standin import TOKEN, Pull, StandIn
from tests.support.project import Repository

EVENTS = (
    "ping",
    "push",
    "pull_request.opened",
    "pull_request.synchronize",
    "pull_request.closed",
    "issue_comment.created",
    "issue_comment.edited",
    "pull_request_review.submitted",
    "pull_request_review.dismissed",
)


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[StandIn]:
    work, bare = Repository.make(tmp_path / "work"), tmp_path / "infra.git"
    work.git("clone", "-q", "--bare", ".", str(bare))
    work.git("checkout", "-q", "-b", "change")
    work.commit({"more.yaml": ""}, "more")
    work.git("push", "-q", str(bare), "change")
    with StandIn.start(bare) as github:
        yield github


@pytest.fixture
def pull(forge: StandIn) -> Pull:
    forge.permissions["bob"], forge.teams["sre"] = "write", {"bob"}
    return forge.open_pull("More", "alice", "change")


def ask(forge: StandIn, method: str, path: str, body: object = None) -> httpx.Response:
    return httpx.request(method, forge.url + path, json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)


def test_every_operation_answers_as_githubs_description_says(forge: StandIn, pull: Pull) -> None:
    repo = "/repos/acme/infra"
    comment, review = forge.comment(pull, "bob", "/gitops help"), forge.review(pull, "bob")
    asked = [
        ask(forge, "GET", path).status_code
        for path in (
            repo,
            f"{repo}/pulls?state=all&per_page=100",
            f"{repo}/pulls/1",
            f"{repo}/pulls/1/commits",
            f"{repo}/pulls/1/reviews",
            f"{repo}/issues/1/comments",
            f"{repo}/issues/comments/{comment.ident}",
            f"{repo}/commits/{review.commit}/statuses",
            f"{repo}/collaborators/bob/permission",
            "/orgs/acme/teams/sre/memberships/bob",
            "/user",
        )
    ]
    asked.append(ask(forge, "POST", f"{repo}/issues/1/comments", {"body": "hello"}).status_code)
    asked.append(ask(forge, "PATCH", f"{repo}/issues/comments/{comment.ident}", {"body": "changed"}).status_code)
    asked.append(ask(forge, "POST", f"{repo}/statuses/{review.commit}", {"state": "success", "context": "x"}).status_code)
    assert (set(asked), forge.violations) == ({200, 201}, [])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/repos/acme/infra/pulls?state=nonsense", None),
        ("POST", "/repos/acme/infra/issues/1/comments", {"text": "no body"}),
        ("POST", "/repos/acme/infra/statuses/abc", {"state": "great"}),
    ],
)
def test_what_github_would_not_take_is_noticed(forge: StandIn, pull: Pull, method: str, path: str, body: object) -> None:
    assert ask(forge, method, path, body).status_code == 422
    assert len(forge.violations) == 1


def test_without_the_token_nothing_is_said(forge: StandIn) -> None:
    assert httpx.get(f"{forge.url}/repos/acme/infra/pulls", timeout=10).status_code == 401


@pytest.mark.parametrize("event", EVENTS)
def test_payloads_are_real_ones_about_this_pull(forge: StandIn, pull: Pull, event: str) -> None:
    about = {"issue_comment": forge.comment(pull, "bob", "x"), "pull_request_review": forge.review(pull, "bob")}
    payload = forge.payload(event, pull, about.get(event.partition(".")[0]))
    assert payload["repository"]["full_name"] == "acme/infra"
    assert len(str(payload)) > 5000


def test_merging_is_real(forge: StandIn, pull: Pull) -> None:
    merged = forge.merge(pull)
    found = ask(forge, "GET", "/repos/acme/infra/pulls/1").json()
    assert (found["merged"], found["merge_commit_sha"], forge.git("rev-parse", "refs/heads/main")) == (True, merged, merged)
