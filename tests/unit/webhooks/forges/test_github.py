"""GitHub, and what only resembles it: what is missing is not offered, what is odd is an error, the token stays at home."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gitops.errors import RemoteError
from gitops.render.comment import MARKER
from gitops.source.repository import update_mirror
from webhooks.forges.github import GitHubPeople, GitHubPulls, GitHubStatuses, GitHubTalk
from webhooks.forges.port import Status
from webhooks.forges.watched import Forges
from webhooks.http import JsonClient
from webhooks.mirrors import Mirrors
from webhooks.records import PullKey

BASE, TOKEN = "https://api.github.example", "ghs_secret"
KEY = PullKey("acme/infra", "7")
PULL = {
    "number": 7,
    "title": "T",
    "user": {"login": "alice"},
    "head": {"sha": "a" * 40},
    "base": {"ref": "main"},
    "state": "open",
    "html_url": "https://github.example/acme/infra/pull/7",
    "updated_at": "2026-11-25T12:00:00Z",
}
COMMENT = {"id": 5, "body": "hi", "user": {"login": "bob", "type": "User"}, "created_at": "2026-11-25T12:00:00Z"}


def client_of(answers: Mapping[str, Any], seen: list[httpx.Request] | None = None) -> JsonClient:
    """Answer `METHOD /path` with a JSON value, or a status; everything else is 404."""

    def reply(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        found = answers.get(f"{request.method} {request.url.path}", 404)
        return httpx.Response(found) if isinstance(found, int) else httpx.Response(200, json=found)

    return JsonClient(BASE, {}, sleep=lambda _seconds: None, transport=httpx.MockTransport(reply))


def pulls_of(answers: Mapping[str, Any], base: str = BASE) -> GitHubPulls:
    return GitHubPulls(client_of(answers), base, TOKEN)


def test_a_pull_with_everybody_in_it() -> None:
    commits = [
        {"author": {"login": "alice"}, "committer": {"login": "web-flow"}, "commit": {}},
        {
            "author": None,
            "committer": None,
            "commit": {"author": {"email": "7+carol@users.noreply.github.com"}, "committer": {"email": "x@example.org"}},
        },
        {},
    ]
    found = pulls_of({"GET /repos/acme/infra/pulls/7": PULL, "GET /repos/acme/infra/pulls/7/commits": commits}).read_pull(KEY)
    assert found is not None
    assert (found.head, found.branch, found.state, found.version) == ("a" * 40, "main", "open", PULL["updated_at"])
    assert found.contributors == ("alice", "web-flow", "carol", "x@example.org")


def test_who_pushed_its_commits_is_in_it_whoever_wrote_them() -> None:
    pull = {**PULL, "head": {"sha": "a" * 40, "ref": "change", "repo": {"full_name": "fork/infra"}}}
    rows = [
        {"after": "a" * 40, "actor": {"login": "erin"}},
        {"after": "b" * 40, "actor": {"login": "dave"}},
        {"after": "c" * 40, "actor": {"login": "somebody-long-ago"}},
        {"after": "a" * 40, "actor": None},
    ]
    path = "GET /repos/acme/infra/pulls/7"
    answers = {path: pull, f"{path}/commits": [{"sha": "b" * 40}], "GET /repos/fork/infra/activity": rows}
    found = pulls_of(answers).read_pull(KEY)
    assert found is not None
    assert found.contributors == ("alice", "erin", "dave")
    for refused in (403, 404):
        found = pulls_of({**answers, "GET /repos/fork/infra/activity": refused}).read_pull(KEY)
        assert found is not None
        assert found.contributors == ("alice",)


def test_who_pushed_before_the_last_hundred_pushes_is_in_it() -> None:
    head = {**PULL, "head": {"sha": "a" * 40, "ref": "change", "repo": {"full_name": "acme/infra"}}}
    pages = [[{"after": "a" * 40, "actor": {"login": "dave"}}] * 100, [{"after": "b" * 40, "actor": {"login": "mallory"}}]]
    answers: dict[str, Any] = {"/pulls/7": head, "/pulls/7/commits": [{"sha": "b" * 40}]}

    def reply(request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/repos/acme/infra")
        if path != "/activity":
            return httpx.Response(200, json=answers[path])
        is_first = "after" not in request.url.params
        links = {"link": f'<{BASE}/repos/acme/infra/activity?after=x>; rel="next"'} if is_first else {}
        return httpx.Response(200, json=pages[0 if is_first else 1], headers=links)

    client = JsonClient(BASE, {}, sleep=lambda _seconds: None, transport=httpx.MockTransport(reply))
    found = GitHubPulls(client, BASE, TOKEN).read_pull(KEY)
    assert found is not None
    assert found.contributors == ("alice", "dave", "mallory")


@pytest.mark.parametrize("status", [301, 307, 308])
def test_a_repository_of_another_name_is_told_so(status: int) -> None:
    with pytest.raises(RemoteError, match=str(status)) as told:
        pulls_of({"GET /repos/acme/infra": status}).find_remote("acme/infra")
    assert "another name" in told.value.hint


def test_a_pull_that_is_not_there_or_no_number_is_none() -> None:
    assert pulls_of({"GET /repos/acme/infra": {"full_name": "acme/infra"}}).read_pull(KEY) is None
    # Without a look at the repository, nobody knows what is there: that is no end of a pull request.
    with pytest.raises(RemoteError, match="acme/infra"):
        pulls_of({}).read_pull(KEY)
    for name in ("../7", "7/../8", "", "x", "٣"):
        assert pulls_of({}).read_pull(PullKey("acme/infra", name)) is None


def test_whoever_wrote_a_commit_beyond_those_that_are_listed_is_in_it() -> None:
    row = {**PULL, "commits": 3, "base": {"ref": "main", "sha": "b" * 40}}
    listed = [{"author": {"login": "alice"}, "committer": {"login": "alice"}, "commit": {}}] * 2
    hidden = {"author": {"login": "mallory"}, "committer": {"login": "mallory"}, "commit": {}}
    path = f"GET /repos/acme/infra/compare/{'b' * 40}...{'a' * 40}"
    answers = {"GET /repos/acme/infra/pulls/7": row, "GET /repos/acme/infra/pulls/7/commits": listed}
    found = pulls_of({**answers, path: {"commits": [*listed, hidden]}}).read_pull(KEY)
    assert found is not None
    assert found.contributors == ("alice", "mallory")
    for answer in ({"commits": listed}, {"commits": None}, 404):
        with pytest.raises(RemoteError):
            pulls_of({**answers, path: answer}).read_pull(KEY)


@pytest.mark.parametrize("answers", [{}, {"GET /repos/acme/infra/pulls/7/commits": []}])
def test_commits_that_are_not_listed_are_not_taken_for_none(answers: dict[str, Any]) -> None:
    row = {**PULL, "commits": 1, "base": {"ref": "main", "sha": "b" * 40}}
    with pytest.raises(RemoteError):
        pulls_of({"GET /repos/acme/infra/pulls/7": row, **answers}).read_pull(KEY)


def test_a_pull_whose_commits_the_forge_never_names_cannot_be_judged() -> None:
    with pytest.raises(RemoteError, match="who wrote them is not known"):
        pulls_of({"GET /repos/acme/infra/pulls/7": PULL}).read_pull(KEY)


@pytest.mark.parametrize(
    ("row", "state"),
    [
        ({"state": "APPROVED"}, "approved"),
        ({"state": "APPROVED", "dismissed": True}, "dismissed"),
        ({"state": "DISMISSED"}, "dismissed"),
        ({"state": "COMMENT"}, "commented"),
        ({"state": "PENDING"}, "commented"),
        ({"state": "CHANGES_REQUESTED"}, "changes_requested"),
        ({"state": "REQUEST_CHANGES"}, "changes_requested"),
        ({"state": "SOMETHING_NEW"}, "changes_requested"),
        ({}, "changes_requested"),
    ],
)
def test_a_review_in_words_of_its_own_takes_back_and_never_gives(row: dict[str, Any], state: str) -> None:
    given = {"id": 1, "user": {"login": "bob"}, "submitted_at": "2026-11-25T12:00:00Z", "commit_id": "a" * 40, **row}
    (found,) = talk_of({"GET /repos/acme/infra/pulls/7/reviews": [given]}).list_reviews(KEY)
    assert found.state == state


@pytest.mark.parametrize(
    ("changes", "state", "merged"),
    [
        ({"state": "closed"}, "closed", ""),
        ({"state": "closed", "merged": True, "merge_commit_sha": "m"}, "merged", "m"),
        ({"state": "closed", "merged_at": "2026-11-25T12:00:00Z", "merge_commit_sha": None}, "merged", ""),
        ({"merge_commit_sha": "test-merge"}, "open", ""),
    ],
)
def test_how_a_pull_ended(changes: dict[str, Any], state: str, merged: str) -> None:
    path = "GET /repos/acme/infra/pulls"
    (found,) = pulls_of({path: [{**PULL, **changes}]}).list_recently_closed("acme/infra")
    assert (found.state, found.merged) == (state, merged)


@pytest.mark.parametrize("odd", [{}, {"number": "x"}, {"number": 7, "head": None}, 7])
def test_a_pull_that_cannot_be_read_is_an_error(odd: Any) -> None:
    with pytest.raises(RemoteError, match="cannot be read"):
        pulls_of({"GET /repos/acme/infra/pulls": [odd]}).list_open("acme/infra")


def test_lists_that_are_not_offered_are_empty() -> None:
    assert pulls_of({}).list_open("acme/infra") == ()
    assert pulls_of({}).list_recently_closed("acme/infra") == ()


@pytest.mark.parametrize(
    ("clone", "base", "is_given"),
    [
        ("https://github.com/acme/infra.git", "https://api.github.com", True),
        ("https://ghe.example.org/acme/infra.git", "https://ghe.example.org/api/v3", True),
        ("http://127.0.0.1:99/acme/infra.git", "http://127.0.0.1:98", True),
        ("http://github.com/acme/infra.git", "https://api.github.com", False),
        ("https://evil.example/acme/infra.git", "https://api.github.com", False),
        ("https://github.com.evil.example/x.git", "https://api.github.com", False),
        ("file:///srv/git/infra.git", "https://api.github.com", False),
    ],
)
def test_the_token_goes_to_git_only_for_the_forges_own_server(clone: str, base: str, is_given: bool) -> None:
    found = pulls_of({"GET /repos/acme/infra": {"clone_url": clone, "default_branch": "main"}}, base).find_remote("acme/infra")
    assert (found.url, found.branch, bool(found.environment)) == (clone, "main", is_given)
    assert TOKEN not in repr(found)


@pytest.mark.parametrize("clone", ["", "ssh://x/y", "ext::sh -c id", "-u", None])
def test_an_odd_address_is_refused(clone: str | None) -> None:
    with pytest.raises(RemoteError, match="no address"):
        pulls_of({"GET /repos/acme/infra": {"clone_url": clone}}).find_remote("acme/infra")


@contextmanager
def listen() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Refuse whatever git asks, and keep its headers."""
    seen: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(dict(self.headers))
            self.send_response(302 if "moved" in self.path else 401)
            if "moved" in self.path:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server names it
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("name", ["infra", "moved"])
def test_git_sends_the_token_in_a_header_follows_no_redirect_and_errors_do_not_tell(tmp_path: Path, name: str) -> None:
    with listen() as (url, seen):
        answers = {"GET /repos/acme/infra": {"clone_url": f"{url}/{name}.git"}}
        remote = pulls_of(answers, url).find_remote("acme/infra")
        with pytest.raises(RemoteError) as error:
            update_mirror(remote.url, tmp_path / "m.git", access=remote.environment)
    assert [item["Authorization"].split()[0] for item in seen] == ["Basic"]
    secret = remote.environment["GIT_CONFIG_VALUE_0"].split()[-1]
    assert TOKEN not in error.value.message
    assert secret not in error.value.message


def statuses_of(answers: Mapping[str, Any], seen: list[httpx.Request] | None = None) -> GitHubStatuses:
    return GitHubStatuses(client_of(answers, seen))


def talk_of(answers: Mapping[str, Any], seen: list[httpx.Request] | None = None) -> GitHubTalk:
    return GitHubTalk(client_of(answers, seen))


def ours(login: str, kind: str = "Bot", body: str = MARKER + "\nx") -> dict[str, Any]:
    return {**COMMENT, "id": 9, "body": body, "user": {"login": login, "type": kind}}


def test_our_comment_is_known_by_author_and_marker() -> None:
    path = "GET /repos/acme/infra/issues/7/comments"
    copied, mine = ours("mallory", "User"), {**ours("trueup"), "id": 10}
    talk = talk_of({path: [COMMENT, copied, mine], "GET /user": {"login": "trueup"}})
    found = talk.find_comment(KEY, MARKER)
    assert found is not None
    assert found.ident == "10"
    assert [item.author for item in talk.list_comments(KEY)] == ["bob", "mallory"]


def test_a_token_without_a_login_knows_a_bots_comment() -> None:
    path = "GET /repos/acme/infra/issues/7/comments"
    talk = talk_of({path: [ours("mallory", "User"), {**ours("app[bot]"), "id": 10}], "GET /user": 403})
    found = talk.find_comment(KEY, MARKER)
    assert found is not None
    assert found.ident == "10"
    assert talk_of({path: [COMMENT]}).find_comment(KEY, MARKER) is None


def test_a_comment_that_is_gone_is_written_anew() -> None:
    seen: list[httpx.Request] = []
    talk = talk_of({"POST /repos/acme/infra/issues/7/comments": {**COMMENT, "id": 11}}, seen)
    assert talk.write_comment(KEY, "text", "9").ident == "11"
    assert [request.method for request in seen] == ["PATCH", "POST"]


def test_a_comment_that_may_not_be_written_is_an_error() -> None:
    with pytest.raises(RemoteError):
        talk_of({}).write_comment(KEY, "text")


def test_an_edited_comment_says_so_and_times_are_times() -> None:
    path = "GET /repos/acme/infra/issues/7/comments"
    edited = {**COMMENT, "updated_at": "2026-11-25T12:00:01Z"}
    same = {**COMMENT, "updated_at": COMMENT["created_at"]}
    assert [item.is_edited for item in talk_of({path: [edited, same, COMMENT]}).list_comments(KEY)] == [True, False, False]
    with pytest.raises(RemoteError, match="no time"):
        talk_of({path: [{**COMMENT, "created_at": "yesterday"}]}).list_comments(KEY)


def test_statuses_are_cut_and_not_missed_where_there_are_none() -> None:
    seen: list[httpx.Request] = []
    statuses = statuses_of({"POST /repos/acme/infra/statuses/abc": {}}, seen)
    statuses.set_status("acme/infra", "abc", Status("gitops/plan", "success", "x" * 200, "https://example.org"))
    sent = json.loads(seen[0].content)
    assert (len(sent["description"]), sent["target_url"]) == (140, "https://example.org")
    statuses_of({}).set_status("acme/infra", "abc", Status("gitops/plan", "success", "x"))
    with pytest.raises(RemoteError):
        statuses_of({"POST /repos/acme/infra/statuses/abc": 422}).set_status("acme/infra", "abc", Status("p", "success", "x"))


def test_the_newest_status_of_each_name_stands() -> None:
    path = "GET /repos/acme/infra/commits/abc/statuses"
    rows = [
        {"id": 7, "state": "success", "context": "gitops/plan", "description": None, "target_url": None},
        {"id": 9, "status": "pending", "context": "gitops/plan", "description": "planning", "target_url": "https://example.org"},
        {"id": 8, "state": "failure", "context": "ci"},
    ]
    found = statuses_of({path: rows}).list_statuses("acme/infra", "abc")
    assert found is not None
    assert {item.context: item for item in found} == {
        "gitops/plan": Status("gitops/plan", "pending", "planning", "https://example.org"),
        "ci": Status("ci", "failure", ""),
    }
    assert statuses_of({path: []}).list_statuses("acme/infra", "abc") == ()
    assert statuses_of({}).list_statuses("acme/infra", "abc") is None
    with pytest.raises(RemoteError):
        statuses_of({path: 403}).list_statuses("acme/infra", "abc")


def test_reviews_that_were_submitted() -> None:
    rows = [
        {"id": 1, "state": "APPROVED", "commit_id": "a", "user": {"login": "bob"}, "submitted_at": "2026-11-25T12:00:00Z"},
        {"id": 2, "state": "PENDING", "user": {"login": "bob"}},
    ]
    (found,) = talk_of({"GET /repos/acme/infra/pulls/7/reviews": rows}).list_reviews(KEY)
    assert (found.reference, found.state, found.commit) == ("review:1", "approved", "a")
    assert talk_of({}).list_reviews(KEY) == ()


@pytest.mark.parametrize(
    ("answer", "may"),
    [
        ({"permission": "write"}, True),
        ({"permission": "admin"}, True),
        ({"permission": "read", "role_name": "maintain"}, True),
        ({"permission": "read"}, False),
        ({"permission": "none"}, False),
        (404, False),
    ],
)
def test_who_may_write(answer: Any, may: bool) -> None:
    people = GitHubPeople(client_of({"GET /repos/acme/infra/collaborators/bob/permission": answer}))
    assert people.may_write("acme/infra", "bob") is may


@pytest.mark.parametrize(("answer", "is_in"), [({"state": "active"}, True), ({"state": "pending"}, False), (404, False)])
def test_who_is_in_a_team(answer: Any, is_in: bool) -> None:
    people = GitHubPeople(client_of({"GET /orgs/acme/teams/sre/memberships/bob": answer}))
    assert people.is_in_team("acme/infra", "sre", "bob") is is_in


def test_odd_names_stay_inside_their_place_in_the_address() -> None:
    seen: list[httpx.Request] = []
    people = GitHubPeople(client_of({}, seen))
    people.may_write("acme/infra", "../../x?y#z")
    people.is_in_team("acme/infra", "a/b", "c/d")
    assert [request.url.raw_path.decode() for request in seen] == [
        "/repos/acme/infra/collaborators/..%2F..%2Fx%3Fy%23z/permission",
        "/orgs/acme/teams/a%2Fb/memberships/c%2Fd",
    ]


def test_a_rights_question_that_fails_is_no_yes() -> None:
    people = GitHubPeople(client_of({"GET /repos/acme/infra/collaborators/bob/permission": 401}))
    with pytest.raises(RemoteError):
        people.may_write("acme/infra", "bob")


def test_a_mirror_lies_in_the_folder_whatever_the_name(tmp_path: Path) -> None:
    assert Mirrors(tmp_path, Forges()).path_of("acme/infra") == tmp_path / "acme%infra.git"
