"""GitHub by its REST API, at any base URL: github.com, GitHub Enterprise, and servers that only resemble them (FACTS §5).

Takes a client that carries the token; gives the nouns of `port`. Takes any 2xx; what answers 404 is "not offered" and gives nothing.
Nothing a webhook said is used here. The token goes to Git only for this server, in the environment of that one process.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote, urlsplit

from gitops.errors import RemoteError
from gitops.render.comment import MARKER
from webhooks.forges.port import DESCRIPTION, Forge, ForgeComment, ForgePull, ForgeReview, Posted, Remote, Status
from webhooks.http import NOT_FOUND, Answer, JsonClient, refuse
from webhooks.records import PullKey
from webhooks.settings import Settings

PAGE = {"per_page": "100"}
MOST_PAGES = 50
NEUTRAL = ("commented", "comment", "pending", "request_review")
MAY_WRITE = ("write", "maintain", "admin")
TITLE = 300
NOREPLY = re.compile(r"(?:[0-9]+\+)?([A-Za-z0-9-]+(?:\[bot\])?)@users\.noreply\.[a-z0-9.-]+")
HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


def open_github(settings: Settings) -> Forge:
    """Give the forge that the settings name; the token is checked at the first request, not now."""
    client = JsonClient(settings.github_api_url, {**HEADERS, "Authorization": f"Bearer {settings.github_token}"})
    pulls = GitHubPulls(client, settings.github_api_url, settings.github_token)
    return Forge("github", settings.repositories, pulls, GitHubTalk(client), GitHubStatuses(client), GitHubPeople(client))


class GitHubPulls:
    """Pull requests and where Git gets them."""

    def __init__(self, client: JsonClient, base: str, token: str) -> None:
        self._client = client
        self._base = base
        self._token = token

    def read_pull(self, key: PullKey) -> ForgePull | None:
        """Give a pull request with all logins that its commits name, or None."""
        if not key.name.isascii() or not key.name.isdigit():
            return None
        answer = self._client.ask("GET", f"/repos/{key.repository}/pulls/{key.name}")
        if answer.status == NOT_FOUND:
            # A token that may no longer see the repository gets the same answer: that closes no pull request.
            _table(self._client.ask("GET", f"/repos/{key.repository}"), key.repository)
            return None
        row = _table(answer, str(key))
        found = _pull_of(key.repository, row)
        commits = self._list_commits(row, key)
        people = (
            *_people_of(found.author, commits),
            *self._read_pushers(row, {found.head, *(_text(item, "sha") for item in commits)}),
        )
        return replace(found, contributors=tuple(dict.fromkeys(people)))

    def list_open(self, repository: str) -> tuple[ForgePull, ...]:
        """List open pull requests."""
        rows = self._client.ask_pages(f"/repos/{repository}/pulls", {"state": "open", **PAGE})
        return tuple(_pull_of(repository, row) for row in rows or [])

    def list_recently_closed(self, repository: str) -> tuple[ForgePull, ...]:
        """List the pull requests that changed last among the closed ones: one page."""
        query = {"state": "closed", "sort": "updated", "direction": "desc", "per_page": "30"}
        answer = self._client.ask("GET", f"/repos/{repository}/pulls", query=query)
        body: Any = answer.body
        if not answer.is_good or not isinstance(body, list):
            return ()
        return tuple(_pull_of(repository, row) for row in cast("list[Any]", body))

    def find_remote(self, repository: str) -> Remote:
        """Give the clone URL; the token goes along only to the API's own host, over TLS or loopback."""
        found = _table(self._client.ask("GET", f"/repos/{repository}"), repository)
        url, branch = _text(found, "clone_url"), _text(found, "default_branch")
        if urlsplit(url).scheme not in ("https", "http", "file"):
            raise RemoteError(f"{repository}: the forge names no address to clone from", code="R204")
        if not _is_own(url, self._base):
            return Remote(url, branch=branch)
        basic = base64.b64encode(f"x-access-token:{self._token}".encode()).decode()
        parts = urlsplit(url)
        return Remote(
            url,
            {
                "GIT_CONFIG_COUNT": "2",
                "GIT_CONFIG_KEY_0": f"http.{parts.scheme}://{parts.netloc}/.extraHeader",
                "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
                "GIT_CONFIG_KEY_1": "http.followRedirects",
                "GIT_CONFIG_VALUE_1": "false",
            },
            branch,
        )

    def _list_commits(self, row: Mapping[str, Any], key: PullKey) -> list[Any]:
        """Give all commits: an answer without any is no proof that nobody wrote them."""
        listed = self._client.ask_pages(f"/repos/{key.repository}/pulls/{key.name}/commits", PAGE)
        count = row.get("commits")
        if isinstance(count, int) and count > len(listed or []):
            return self._compare(row, key, count)
        if listed is None:
            raise RemoteError(f"{key}: the forge does not name its commits: who wrote them is not known", code="R208")
        return listed

    def _compare(self, row: Mapping[str, Any], key: PullKey, count: int) -> list[Any]:
        """Give all commits of a pull request that has more than the 250 that its own list ends at: who wrote the others counts too."""
        span = f"{_text(row, 'base', 'sha')}...{_text(row, 'head', 'sha')}"
        found: list[Any] = []
        for page in range(1, min(MOST_PAGES, -(-count // int(PAGE["per_page"]))) + 1):
            answer = self._client.ask("GET", f"/repos/{key.repository}/compare/{span}", query={**PAGE, "page": str(page)})
            listed: Any = _table(answer, f"the commits of {key}").get("commits")
            found.extend(cast("list[Any]", listed) if isinstance(listed, list) else [])
        if len(found) < count:
            message = f"{key} has {count} commits, and the forge names {len(found)}: who wrote the others is not known"
            raise RemoteError(message, code="R208", hint="open it again with fewer commits")
        return found

    def _read_pushers(self, row: Mapping[str, Any], commits: Collection[str]) -> list[str]:
        """Name those who pushed these commits to the head's branch, whoever wrote them; nobody where the forge does not tell."""
        repository, branch = _text(row, "head", "repo", "full_name"), _text(row, "head", "ref")
        if not repository or not branch:
            return []
        path, query = f"/repos/{repository}/activity", {"ref": f"refs/heads/{branch}", **PAGE}
        answer = self._client.ask("GET", path, query=query)
        body: Any = answer.body
        rows = cast("list[Any]", body) if answer.is_good and isinstance(body, list) else []
        if len(rows) >= int(PAGE["per_page"]):
            rows = self._client.ask_pages(path, query) or []
        return [login for item in rows if _text(item, "after") in commits and (login := _text(item, "actor", "login"))]

    def head_ref(self, key: PullKey) -> str:
        """Give the ref that GitHub keeps for a pull request's head, forks included."""
        return f"refs/pull/{key.name}/head"


class GitHubTalk:
    """Comments and reviews."""

    def __init__(self, client: JsonClient) -> None:
        self._client = client
        self._login: str | None = None

    def find_comment(self, key: PullKey, marker: str) -> Posted | None:
        """Find our comment by its author and marker; the first, should there be more."""
        for row in self._list(key):
            if self._is_ours(row, marker):
                return _posted_of(row)
        return None

    def write_comment(self, key: PullKey, body: str, ident: str = "") -> Posted:
        """Edit the comment of this name, or write a new one when there is none (any more)."""
        if ident:
            path = f"/repos/{key.repository}/issues/comments/{ident}"
            answer = self._client.ask("PATCH", path, body={"body": body})
            if answer.status != NOT_FOUND:
                return _posted_of(_table(answer, f"comment {ident}"))
        answer = self._client.ask("POST", f"/repos/{key.repository}/issues/{key.name}/comments", body={"body": body})
        return _posted_of(_table(answer, f"comment on {key}"))

    def list_comments(self, key: PullKey) -> tuple[ForgeComment, ...]:
        """List what others said."""
        return tuple(_comment_of(row) for row in self._list(key) if not self._is_ours(row, MARKER))

    def list_reviews(self, key: PullKey) -> tuple[ForgeReview, ...]:
        """List submitted reviews."""
        rows = self._client.ask_pages(f"/repos/{key.repository}/pulls/{key.name}/reviews", PAGE)
        return tuple(_review_of(row) for row in rows or [] if _text(row, "submitted_at"))

    def _list(self, key: PullKey) -> list[Any]:
        return self._client.ask_pages(f"/repos/{key.repository}/issues/{key.name}/comments", PAGE) or []

    def _is_ours(self, row: Mapping[str, Any], marker: str) -> bool:
        """Say whether a comment is ours: our own login; for a token that has none (an App's), any bot's that begins with the marker."""
        if not str(row.get("body") or "").startswith(marker):
            return False
        login = self._own_login()
        return _login_of(row) == login if login else _is_bot(row)

    def _own_login(self) -> str:
        if self._login is None:
            answer = self._client.ask("GET", "/user")
            body: Any = answer.body
            self._login = str(cast("dict[str, Any]", body).get("login", "")) if answer.is_good and isinstance(body, dict) else ""
        return self._login


class GitHubStatuses:
    """Commit statuses: each setting is a row of its own, and the newest of a name stands."""

    def __init__(self, client: JsonClient) -> None:
        self._client = client

    def list_statuses(self, repository: str, commit: str) -> tuple[Status, ...] | None:
        """Give what stands, from one page, the newest rows: what is not among them is set again rather than looked for."""
        answer = self._client.ask("GET", f"/repos/{repository}/commits/{commit}/statuses", query=PAGE)
        if answer.status == NOT_FOUND:
            return None
        body: Any = answer.body
        if not answer.is_good or not isinstance(body, list):
            raise refuse(answer, f"statuses of {commit[:7]}")
        found: dict[str, Status] = {}
        for row in sorted(cast("list[Any]", body), key=_number_of):
            found[_text(row, "context")] = _status_of(row)
        return tuple(found.values())

    def set_status(self, repository: str, commit: str, status: Status) -> None:
        """Set a commit status, where the forge has them."""
        body = {"state": status.state, "context": status.context, "description": status.description[:DESCRIPTION]}
        if status.url:
            body["target_url"] = status.url
        answer = self._client.ask("POST", f"/repos/{repository}/statuses/{commit}", body=body)
        if not answer.is_good and answer.status != NOT_FOUND:
            raise refuse(answer, f"status on {commit[:7]}")


class GitHubPeople:
    """Rights and teams, asked anew every time."""

    def __init__(self, client: JsonClient) -> None:
        self._client = client

    def may_write(self, repository: str, login: str) -> bool:
        """Say whether somebody's permission is write or more."""
        answer = self._client.ask("GET", f"/repos/{repository}/collaborators/{quote(login, safe='')}/permission")
        if answer.status == NOT_FOUND:
            return False
        table = _table(answer, f"permission of {login}")
        return table.get("permission") in MAY_WRITE or table.get("role_name") in MAY_WRITE

    def is_in_team(self, repository: str, team: str, login: str) -> bool:
        """Say whether a team's membership is active; a pending invitation is not."""
        owner = repository.partition("/")[0]
        path = f"/orgs/{owner}/teams/{quote(team, safe='')}/memberships/{quote(login, safe='')}"
        answer = self._client.ask("GET", path)
        return answer.status != NOT_FOUND and _table(answer, f"membership of {login}").get("state") == "active"


def _table(answer: Answer, what: str) -> dict[str, Any]:
    body: Any = answer.body
    if not answer.is_good or not isinstance(body, dict):
        raise refuse(answer, what)
    return cast("dict[str, Any]", body)


def _pull_of(repository: str, row: Any) -> ForgePull:
    try:
        is_merged = bool(row.get("merged") or row.get("merged_at"))
        return ForgePull(
            key=PullKey(repository, str(int(row["number"]))),
            title=str(row.get("title") or "")[:TITLE],
            author=_login_of(row),
            head=str(row["head"]["sha"]),
            branch=str(row["base"]["ref"]),
            state="merged" if is_merged else "closed" if row.get("state") == "closed" else "open",
            merged=str(row.get("merge_commit_sha") or "") if is_merged else "",
            url=str(row.get("html_url") or ""),
            version=str(row.get("updated_at") or ""),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RemoteError(f"{repository}: a pull request of the forge cannot be read: {error!r}", code="R204") from error


def _people_of(author: str, commits: list[Any]) -> tuple[str, ...]:
    """Name everybody: logins where the forge knows them, else the address that the commit carries."""
    found = [author]
    for row in commits:
        for side in ("author", "committer"):
            login, email = _text(row, side, "login"), _text(row, "commit", side, "email")
            noreply = NOREPLY.fullmatch(email)
            found.append(login or (noreply[1] if noreply else email))
    return tuple(dict.fromkeys(name for name in found if name))


def _login_of(row: Mapping[str, Any]) -> str:
    return _text(row, "user", "login")


def _is_bot(row: Mapping[str, Any]) -> bool:
    return _text(row, "user", "type") in ("Bot", "App") or _login_of(row).endswith("[bot]")


def _text(row: Any, *path: str) -> str:
    """Give a text somewhere inside; what is missing, null or no object on the way is an empty text."""
    for name in path:
        row = cast("dict[str, Any]", row).get(name) if isinstance(row, dict) else None
    return "" if row is None else str(row)


def _comment_of(row: Mapping[str, Any]) -> ForgeComment:
    created = _time_of(row.get("created_at"))
    updated = _time_of(row.get("updated_at") or row.get("created_at"))
    return ForgeComment(
        f"comment:{row.get('id')}", _login_of(row), str(row.get("body") or ""), created, _is_bot(row), updated != created, updated
    )


def _review_of(row: Mapping[str, Any]) -> ForgeReview:
    state, commit = _state_of_review(row), str(row.get("commit_id") or "")
    return ForgeReview(f"review:{row.get('id')}", _login_of(row), state, commit, _time_of(row.get("submitted_at")), _is_bot(row))


def _state_of_review(row: Mapping[str, Any]) -> str:
    """Give one of REVIEW_STATES. Servers that resemble GitHub have names of their own: what is not known takes back, it never gives."""
    state = str(row.get("state") or "").lower()
    if row.get("dismissed") is True or state == "dismissed":
        return "dismissed"
    return "approved" if state == "approved" else "commented" if state in NEUTRAL else "changes_requested"


def _number_of(row: Any) -> int:
    found = _text(row, "id")
    return int(found) if found.isascii() and found.isdigit() else 0


def _status_of(row: Any) -> Status:
    """Read a status; servers that resemble GitHub call its state `status`."""
    state = _text(row, "state") or _text(row, "status")
    return Status(_text(row, "context"), state, _text(row, "description"), _text(row, "target_url"))


def _posted_of(row: Mapping[str, Any]) -> Posted:
    return Posted(str(row.get("id")), _time_of(row.get("updated_at") or row.get("created_at")), str(row.get("body") or ""))


def _time_of(value: Any) -> datetime:
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    except ValueError:
        raise RemoteError(f"the forge gave what is no time: {str(value)[:40]!r}", code="R204") from None


def _is_own(url: str, base: str) -> bool:
    """Say whether a clone URL is on the API's own server: the same host, or `github.com` for `api.github.com`."""
    clone, api = urlsplit(url), urlsplit(base)
    is_safe = clone.scheme == "https" or (clone.scheme == "http" and clone.hostname in ("127.0.0.1", "localhost", "::1"))
    return is_safe and clone.hostname in (api.hostname, (api.hostname or "").removeprefix("api."))
