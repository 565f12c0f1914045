"""A stand-in for GitHub on loopback: pull requests over a real bare repository, comments, reviews, statuses, people, webhooks.

Use: `with StandIn.start(bare) as github:` then `github.url`, `github.open_pull(...)`, `github.comment(...)`, `github.deliver(...)`.
Every request and response is checked against GitHub's description (`violations`). What the service did is in `comments`, `statuses`
and `requests`. `offers` can take features away, as servers that only resemble GitHub do (FACTS: reviews, teams, statuses, Link).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import re
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.github.description import Description, make_least

PAYLOADS = Path(__file__).with_name("payloads.json")
OWNER, NAME = "acme", "infra"
BOT = "trueup[bot]"
TOKEN = "ghs_" + "t" * 36
SECRET = "webhook-secret"
ALL = frozenset(("reviews", "teams", "statuses", "commits", "links", "activity"))


@dataclass
class Pull:
    """A pull request; the head is read from the real repository, `pushes` says which commits came by whose push."""

    number: int
    title: str
    author: str
    branch: str
    base: str = "main"
    state: str = "open"
    merged: str = ""
    pushes: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Comment:
    """A comment on a pull request."""

    ident: int
    pull: int
    author: str
    body: str
    created: datetime
    updated: datetime


@dataclass
class Review:
    """A review of a pull request."""

    ident: int
    pull: int
    author: str
    state: str
    commit: str
    submitted: datetime
    body: str = ""


class StandIn:
    """The forge's state and its HTTP face."""

    def __init__(self, bare: Path, offers: frozenset[str] = ALL) -> None:
        self.bare, self.offers = bare, offers
        self.url = ""
        self.pulls: dict[int, Pull] = {}
        self.comments: dict[int, Comment] = {}
        self.reviews: dict[int, Review] = {}
        self.statuses: list[dict[str, str]] = []
        self.permissions: dict[str, str] = {}
        self.teams: dict[str, set[str]] = {}
        self.requests: list[str] = []
        self.violations: list[str] = []
        self.fail_next: list[int] = []
        self.moment = datetime.now(UTC).replace(microsecond=0)
        self.began = self.moment
        self.lock = threading.Lock()
        self._next = 1000

    @classmethod
    @contextlib.contextmanager
    def start(cls, bare: Path, offers: frozenset[str] = ALL) -> Iterator[StandIn]:
        """Serve on a free port of loopback until the block ends."""
        forge = cls(bare, offers)
        server = uvicorn.Server(uvicorn.Config(make_app(forge), host="127.0.0.1", port=0, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            thread.join(0.01)
        forge.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        forge.description = Description(forge.url)
        try:
            yield forge
        finally:
            server.should_exit = True
            thread.join(10)

    description: Description

    # What people do.

    def open_pull(self, title: str, author: str, branch: str, base: str = "main") -> Pull:
        """Open a pull request of a branch that is in the repository."""
        pull = Pull(max(self.pulls, default=0) + 1, title, author, branch, base)
        self.pulls[pull.number] = pull
        self.git("update-ref", f"refs/pull/{pull.number}/head", self.head(pull))
        pull.pushes.append((self.head(pull), author))
        return pull

    def push(self, pull: Pull, by: str = "") -> None:
        """Tell the forge that the branch moved, by the push of somebody (the author, unless said otherwise)."""
        head = self.git("rev-parse", f"refs/heads/{pull.branch}")
        self.git("update-ref", f"refs/pull/{pull.number}/head", head)
        pull.pushes.append((head, by or pull.author))

    def comment(self, pull: Pull, author: str, body: str) -> Comment:
        """Write a comment as somebody."""
        now = self.now()
        comment = Comment(self.ident(), pull.number, author, body, now, now)
        self.comments[comment.ident] = comment
        return comment

    def edit(self, comment: Comment, body: str) -> None:
        """Edit a comment."""
        comment.body, comment.updated = body, self.now()

    def review(self, pull: Pull, author: str, state: str = "APPROVED") -> Review:
        """Review the head as it is now; state APPROVED, DISMISSED, COMMENTED or CHANGES_REQUESTED."""
        review = Review(self.ident(), pull.number, author, state, self.head(pull), self.now())
        self.reviews[review.ident] = review
        return review

    def mark(self, commit: str, by: str = BOT, **given: str) -> None:
        """Set a commit status, which anybody may who may write."""
        row = {"description": "", "target_url": "", **given, "sha": commit, "by": by, "id": str(self.ident())}
        self.statuses.append(row)

    def merge(self, pull: Pull) -> str:
        """Merge for real, as the forge's button does, and give the merge's commit."""
        base, head = self.git("rev-parse", f"refs/heads/{pull.base}"), self.head(pull)
        tree = self.git("merge-tree", "--write-tree", base, head).splitlines()[0]
        people = {"GIT_AUTHOR_NAME": "GitHub", "GIT_AUTHOR_EMAIL": "noreply@example.org"}
        people |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in people.items()}
        merged = self.git("commit-tree", tree, "-p", base, "-p", head, "-m", f"Merge pull request #{pull.number}", env=people)
        self.git("update-ref", f"refs/heads/{pull.base}", merged, base)
        pull.state, pull.merged = "closed", merged
        return merged

    def close(self, pull: Pull) -> None:
        """Close without merging."""
        pull.state = "closed"

    # Webhooks.

    def deliver(self, service: str, event: str, payload: Mapping[str, Any], *, delivery: str = "", secret: str = SECRET) -> int:
        """POST a delivery to the service as GitHub does, and give the status; the same `delivery` is a redelivery."""
        body = json.dumps(payload).encode()
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/044aadd",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery or str(uuid.uuid4()),
            "X-Hub-Signature-256": f"sha256={signature}",
        }
        return httpx.post(f"{service}/webhooks/github", content=body, headers=headers, timeout=20).status_code

    def payload(self, event: str, pull: Pull | None = None, about: Comment | Review | None = None) -> dict[str, Any]:
        """Give a real payload (`pull_request.opened`, `issue_comment.created`, `push` …), adapted in ids, names, times and URLs."""
        found: dict[str, Any] = json.loads(PAYLOADS.read_text(encoding="utf-8"))[event]
        found["repository"].update(name=NAME, full_name=f"{OWNER}/{NAME}", owner={**found["repository"]["owner"], "login": OWNER})
        if "ref" in found and pull is not None:
            found.update(ref=f"refs/heads/{pull.base}", after=self.git("rev-parse", f"refs/heads/{pull.base}"))
        elif pull is not None and event != "ping":
            key = "pull_request" if "pull_request" in found else "issue"
            found[key].update(number=pull.number, title=pull.title, user={**found[key]["user"], "login": pull.author})
            if key == "issue":
                found[key]["pull_request"] = {"url": f"{self.url}/repos/{OWNER}/{NAME}/pulls/{pull.number}"}
            else:
                found[key]["head"].update(sha=self.head(pull), ref=pull.branch)
                found[key]["base"].update(ref=pull.base)
                found[key].update(state=pull.state, merged=bool(pull.merged))
            if "number" in found:
                found["number"] = pull.number
        if about is not None:
            key = "comment" if isinstance(about, Comment) else "review"
            found[key].update(id=about.ident, body=about.body, user={**found[key]["user"], "login": about.author})
            found["sender"]["login"] = about.author
            if isinstance(about, Review):
                found[key].update(state=about.state.lower(), commit_id=about.commit)
        return found

    # The real repository, the clock, ids.

    def head(self, pull: Pull) -> str:
        """Give a pull request's head: its branch, or what is kept of it when the branch is gone."""
        for ref in (f"refs/heads/{pull.branch}", f"refs/pull/{pull.number}/head"):
            if (
                ref.encode()
                in subprocess.run(["git", "show-ref"], cwd=self.bare, capture_output=True, check=False, timeout=20).stdout
            ):
                return self.git("rev-parse", ref)
        raise AssertionError(f"{pull.branch} is not in the repository")

    def git(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        """Run git in the bare repository."""
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/", **(env or {})}
        done = subprocess.run(["git", *arguments], cwd=self.bare, env=environment, capture_output=True, check=False, timeout=30)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def now(self) -> datetime:
        """Give the forge's time: whole seconds, later at every call, never behind the clock."""
        self.moment = max(self.moment + timedelta(seconds=1), datetime.now(UTC).replace(microsecond=0))
        return self.moment

    def changed(self, pull: Pull) -> datetime:
        """Give when something was last said on a pull request."""
        said = [item.updated for item in self.comments.values() if item.pull == pull.number]
        said += [item.submitted for item in self.reviews.values() if item.pull == pull.number]
        return max([self.began, *said])

    def ident(self) -> int:
        """Give a new id."""
        self._next += 1
        return self._next

    def ours(self, pull: Pull) -> list[Comment]:
        """List the service's own comments on a pull request."""
        return [item for item in self.comments.values() if item.pull == pull.number and item.author == BOT]

    def status_of(self, commit: str, context: str) -> dict[str, str]:
        """Give the newest status of a context on a commit."""
        return [item for item in self.statuses if item["sha"] == commit and item["context"] == context][-1]


Handler = Callable[[StandIn, Request], tuple[int, Any]]


def make_app(forge: StandIn) -> Starlette:
    """Make the HTTP face; every answer goes through `_answer`, which checks both directions."""
    base = "/repos/{owner}/{repo}"
    table: list[tuple[str, str, Handler]] = [
        ("GET", base, lambda f, r: (200, _repository(f))),
        ("GET", f"{base}/pulls", _list_pulls),
        ("GET", f"{base}/pulls/{{number:int}}", _get_pull),
        ("GET", f"{base}/pulls/{{number:int}}/commits", _list_commits),
        ("GET", f"{base}/pulls/{{number:int}}/reviews", _list_reviews),
        ("GET", f"{base}/activity", _list_activity),
        ("GET", f"{base}/issues/{{number:int}}/comments", _list_comments),
        ("POST", f"{base}/issues/{{number:int}}/comments", _post_comment),
        ("GET", f"{base}/issues/comments/{{ident:int}}", _get_comment),
        ("PATCH", f"{base}/issues/comments/{{ident:int}}", _patch_comment),
        ("POST", f"{base}/statuses/{{sha}}", _post_status),
        ("GET", f"{base}/commits/{{sha}}/statuses", _list_statuses),
        ("GET", f"{base}/collaborators/{{login}}/permission", _get_permission),
        ("GET", "/orgs/{org}/teams/{team}/memberships/{login}", _get_membership),
        ("GET", "/user", lambda f, r: (200, {**make_least("private-user"), "login": BOT, "user_view_type": "private"})),
    ]
    routes: dict[str, dict[str, Handler]] = {}
    for method, path, handler in table:
        routes.setdefault(path, {})[method] = handler
    return Starlette(routes=[Route(path, _endpoint(forge, found), methods=list(found)) for path, found in routes.items()])


def _endpoint(forge: StandIn, handlers: Mapping[str, Handler]) -> Any:
    async def answer(request: Request) -> Response:
        request.state.body = await request.body()
        with forge.lock:
            return _answer(forge, request, handlers[request.method if request.method != "HEAD" else "GET"])

    return answer


def _answer(forge: StandIn, request: Request, handler: Handler) -> Response:
    path, body = request.url.path, request.state.body
    forge.requests.append(f"{request.method} {path}")
    if request.headers.get("authorization") not in (f"Bearer {TOKEN}", f"token {TOKEN}"):
        return _json(401, {"message": "Bad credentials"})
    if forge.fail_next:
        return _json(forge.fail_next.pop(0), {"message": "try again"})
    problem = forge.description.check_request(request.method, path, request.query_params, request.headers, body)
    if problem:
        forge.violations.append(problem)
        return _json(422, {"message": problem})
    status, value = handler(forge, request)
    headers: dict[str, str] = {}
    if isinstance(value, list):
        value, headers = _page(forge, request, value)
    data = json.dumps(value).encode()
    problem = forge.description.check_response(request.method, path, status, data)
    if problem:
        forge.violations.append(problem)
    return _json(status, value, headers)


def _json(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(value), status, {**(headers or {}), "Content-Type": "application/json; charset=utf-8"})


def _page(forge: StandIn, request: Request, items: list[Any]) -> tuple[list[Any], dict[str, str]]:
    size, number = int(request.query_params.get("per_page", 30)), int(request.query_params.get("page", 1))
    end = size * number
    if end >= len(items) or "links" not in forge.offers:
        return items[end - size : end], {}
    following = request.url.include_query_params(page=number + 1)
    return items[end - size : end], {"Link": f'<{following}>; rel="next"'}


def _not_found() -> tuple[int, Any]:
    return 404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest"}


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _user(login: str) -> dict[str, Any]:
    kind = "Bot" if login.endswith("[bot]") else "User"
    return {**make_least("simple-user"), "login": login, "id": sum(login.encode()), "type": kind}


def _repository(forge: StandIn) -> dict[str, Any]:
    found = {**make_least("full-repository"), "name": NAME, "full_name": f"{OWNER}/{NAME}", "owner": _user(OWNER)}
    return {**found, "clone_url": f"file://{forge.bare}", "default_branch": "main"}


def _pull(forge: StandIn, pull: Pull, schema: str) -> dict[str, Any]:
    found = make_least(schema)
    found.update(number=pull.number, title=pull.title, user=_user(pull.author), state=pull.state, draft=False)
    found.update(html_url=f"{forge.url}/{OWNER}/{NAME}/pull/{pull.number}", body=None)
    found["head"].update(sha=forge.head(pull), ref=pull.branch, label=f"{OWNER}:{pull.branch}")
    if isinstance(found["head"].get("repo"), dict):
        found["head"]["repo"].update(name=NAME, full_name=f"{OWNER}/{NAME}")
    found["base"].update(sha=forge.git("rev-parse", f"refs/heads/{pull.base}"), ref=pull.base, label=f"{OWNER}:{pull.base}")
    found["updated_at"] = _text(forge.changed(pull))
    found["merged_at"] = _text(forge.moment) if pull.merged else None
    found["merge_commit_sha"] = pull.merged or None
    if schema == "pull-request":
        found["merged"] = bool(pull.merged)
        found["commits"] = len(_log(forge, pull))
    return found


def _log(forge: StandIn, pull: Pull) -> list[str]:
    base = pull.base if not pull.merged else f"{pull.merged}^1"
    return forge.git("log", "--reverse", "--format=%H%x00%an%x00%cn", f"{base}..{forge.head(pull)}").splitlines()


def _list_pulls(forge: StandIn, request: Request) -> tuple[int, Any]:
    state = request.query_params.get("state", "open")
    found = [item for item in forge.pulls.values() if state in (item.state, "all")]
    return 200, [_pull(forge, item, "pull-request-simple") for item in reversed(found)]


def _get_pull(forge: StandIn, request: Request) -> tuple[int, Any]:
    pull = forge.pulls.get(request.path_params["number"])
    return _not_found() if pull is None else (200, _pull(forge, pull, "pull-request"))


def _list_commits(forge: StandIn, request: Request) -> tuple[int, Any]:
    pull = forge.pulls.get(request.path_params["number"])
    if pull is None or "commits" not in forge.offers:
        return _not_found()
    found: list[Any] = []
    for row in _log(forge, pull):
        sha, author, committer = row.split("\0")
        commit = {**make_least("commit"), "sha": sha}
        commit.update(author=_user(_login(author)), committer=_user(_login(committer)))
        found.append(commit)
    return 200, found


def _list_activity(forge: StandIn, request: Request) -> tuple[int, Any]:
    if "activity" not in forge.offers:
        return _not_found()
    found: list[Any] = []
    for pull in forge.pulls.values():
        if request.query_params.get("ref") == f"refs/heads/{pull.branch}":
            for after, login in reversed(pull.pushes):
                value = {**make_least("activity"), "after": after, "ref": f"refs/heads/{pull.branch}", "activity_type": "push"}
                found.append({**value, "actor": _user(login)})
    return 200, found


def _login(name: str) -> str:
    return re.sub(r"[^a-z0-9-]", "-", name.lower())


def _list_reviews(forge: StandIn, request: Request) -> tuple[int, Any]:
    if "reviews" not in forge.offers:
        return _not_found()
    found: list[Any] = []
    for review in forge.reviews.values():
        if review.pull == request.path_params["number"]:
            value = {**make_least("pull-request-review"), "id": review.ident, "user": _user(review.author), "state": review.state}
            found.append({**value, "commit_id": review.commit, "submitted_at": _text(review.submitted), "body": review.body})
    return 200, found


def _comment(comment: Comment) -> dict[str, Any]:
    value = {**make_least("issue-comment"), "id": comment.ident, "body": comment.body, "user": _user(comment.author)}
    return {**value, "created_at": _text(comment.created), "updated_at": _text(comment.updated)}


def _list_comments(forge: StandIn, request: Request) -> tuple[int, Any]:
    return 200, [_comment(item) for item in forge.comments.values() if item.pull == request.path_params["number"]]


def _post_comment(forge: StandIn, request: Request) -> tuple[int, Any]:
    pull = forge.pulls.get(request.path_params["number"])
    if pull is None:
        return _not_found()
    return 201, _comment(forge.comment(pull, BOT, json.loads(request.state.body)["body"]))


def _get_comment(forge: StandIn, request: Request) -> tuple[int, Any]:
    comment = forge.comments.get(request.path_params["ident"])
    return _not_found() if comment is None else (200, _comment(comment))


def _patch_comment(forge: StandIn, request: Request) -> tuple[int, Any]:
    comment = forge.comments.get(request.path_params["ident"])
    if comment is None:
        return _not_found()
    forge.edit(comment, json.loads(request.state.body)["body"])
    return 200, _comment(comment)


def _post_status(forge: StandIn, request: Request) -> tuple[int, Any]:
    if "statuses" not in forge.offers:
        return _not_found()
    given = json.loads(request.state.body)
    assert len(given.get("description") or "") <= 140, "GitHub refuses longer descriptions"
    forge.mark(request.path_params["sha"], **given)
    return 201, _status(forge, forge.statuses[-1])


def _status(forge: StandIn, given: Mapping[str, str]) -> dict[str, Any]:
    value = {**make_least("status"), "id": int(given["id"]), "state": given["state"], "context": given.get("context", "default")}
    return {**value, "description": given["description"], "target_url": given["target_url"], "creator": _user(given["by"])}


def _list_statuses(forge: StandIn, request: Request) -> tuple[int, Any]:
    if "statuses" not in forge.offers:
        return _not_found()
    return 200, [_status(forge, item) for item in reversed(forge.statuses) if item["sha"] == request.path_params["sha"]]


def _get_permission(forge: StandIn, request: Request) -> tuple[int, Any]:
    login = request.path_params["login"]
    level = forge.permissions.get(login, "none")
    return 200, {**make_least("repository-collaborator-permission"), "permission": level, "role_name": level}


def _get_membership(forge: StandIn, request: Request) -> tuple[int, Any]:
    team, login = request.path_params["team"], request.path_params["login"]
    if "teams" not in forge.offers or login not in forge.teams.get(team, set()):
        return _not_found()
    return 200, {**make_least("team-membership"), "state": "active", "role": "member"}
