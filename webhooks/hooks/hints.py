"""Hints: what a GitHub delivery makes the service look at. Only names are taken from it; everything is read again from the forge.

Takes the event's name and the decoded payload; gives jobs. What is not about a watched repository, or says nothing useful, gives none.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from webhooks.jobs.works import look_at, release_branch, touch_pull
from webhooks.records import PullKey
from webhooks.store.work import Work

PUSHED = ("opened", "synchronize", "reopened")
HEADS = "refs/heads/"
EVENTS = ("pull_request", "pull_request_review", "issue_comment", "push")
MOST_LOGIN = 100


def read_hints(event: str, payload: Any, watched: Collection[str], delivery: str) -> tuple[Work, ...]:
    """Give the jobs of a delivery."""
    if event not in EVENTS or not isinstance(payload, dict):
        return ()
    table = cast("dict[str, Any]", payload)
    repository = _find_watched(_text(table, "repository", "full_name"), watched)
    if not repository:
        return ()
    if event == "push":
        return _read_push(table, repository, delivery)
    number = _number_of(event, table)
    if not number:
        return ()
    is_push = event == "pull_request" and _text(table, "action") in PUSHED
    pusher = _text(table, "sender", "login")[:MOST_LOGIN] if is_push else ""
    edited = _name_edited(event, table)
    touched = edited if _text(table, "sender", "login") != _text(table, "comment", "user", "login") else ""
    return (touch_pull(PullKey(repository, number), delivery, pusher=pusher, edited=edited, touched=touched),)


def _find_watched(told: str, watched: Collection[str]) -> str:
    """Give a repository as the settings spell it: to the forge, capital and small letters of its name are the same."""
    return next((name for name in watched if name.casefold() == told.casefold()), "")


def _read_push(table: dict[str, Any], repository: str, delivery: str) -> tuple[Work, ...]:
    ref = _text(table, "ref")
    if not ref.startswith(HEADS):
        return ()
    return (look_at(repository, delivery), release_branch(repository, ref.removeprefix(HEADS), delivery))


def _number_of(event: str, table: dict[str, Any]) -> str:
    if event == "issue_comment" and not _inside(table, "issue", "pull_request"):
        return ""
    found: Any = _inside(table, "issue" if event == "issue_comment" else "pull_request", "number")
    return str(found) if isinstance(found, int) and not isinstance(found, bool) and found > 0 else ""


def _name_edited(event: str, table: dict[str, Any]) -> str:
    found: Any = _inside(table, "comment", "id") if (event, _text(table, "action")) == ("issue_comment", "edited") else None
    return f"comment:{found}" if isinstance(found, int) and not isinstance(found, bool) else ""


def _text(table: Any, *path: str) -> str:
    found: Any = _inside(table, *path)
    return found if isinstance(found, str) else ""


def _inside(value: Any, *path: str) -> Any:
    for name in path:
        value = cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None
    return value
