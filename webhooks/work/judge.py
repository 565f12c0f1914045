"""Hear what was said on a pull request and decide what counts: new approvals, lost ones, questions.

Every comment and review is read from the forge again; each is decided once and remembered by its reference. Gives the note that the
comment bears: answers stand in the one comment, never in a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from webhooks.approvals import Case, Said, judge_comment, judge_review, why_lost
from webhooks.commands import HELP, Command, parse_command
from webhooks.forges.port import Forge, ForgeComment, ForgeReview
from webhooks.forges.watched import Forges
from webhooks.jobs.works import touch_pull
from webhooks.records import ApprovalRecord, PullRecord
from webhooks.store.approvals import add_approval, change_approval, list_approvals_of
from webhooks.store.asked import take_request, was_asked
from webhooks.store.plans import list_plans_of
from webhooks.store.store import Store
from webhooks.store.work import Work, add_job


@dataclass(frozen=True)
class JudgePorts:
    """What judging works with."""

    store: Store
    forges: Forges
    now: Callable[[], datetime]


@dataclass(frozen=True)
class Heard:
    """What stands on the pull request now."""

    comments: tuple[ForgeComment, ...]
    reviews: tuple[ForgeReview, ...]


def judge_pull(ports: JudgePorts, pull: PullRecord) -> str:
    """Decide on everything new, look again at what counted; give the note."""
    forge = ports.forges.of(pull.key.repository)
    heard = Heard(forge.talk.list_comments(pull.key), forge.talk.list_reviews(pull.key))
    with ports.store.read() as connection:
        case = Case(pull, list_plans_of(connection, pull.key), forge.people, ports.now())
        known = list_approvals_of(connection, pull.key)
    fresh = _judge_new(heard, known, case)
    lost = [(record, reason) for record, reason in _find_lost(heard, known, case) if reason]
    with ports.store.write() as connection:
        for record in fresh:
            add_approval(connection, record)
        for record, reason in lost:
            change_approval(connection, record.ident, state="lost", reason=reason)
    return _answer_requests(ports, pull, forge, heard)


def _judge_new(heard: Heard, known: Sequence[ApprovalRecord], case: Case) -> list[ApprovalRecord]:
    decided = {record.reference for record in known}
    found: list[ApprovalRecord] = []
    for comment in heard.comments:
        command = parse_command(comment.body)
        if command is not None and command.kind == "approve" and comment.reference not in decided:
            found.append(judge_comment(_said_in_comment(comment, command), case))
    for review in heard.reviews:
        if review.state == "approved" and review.reference not in decided:
            said = Said(review.reference, review.author, review.submitted, commit=review.commit, is_bot=review.is_bot)
            found.extend(judge_review(said, case))
    return found


def _said_in_comment(comment: ForgeComment, command: Command) -> Said:
    return Said(
        comment.reference,
        comment.author,
        comment.created,
        digest=command.digest,
        is_bot=comment.is_bot,
        is_edited=comment.is_edited,
        problem=command.problem,
    )


def _find_lost(heard: Heard, known: Sequence[ApprovalRecord], case: Case) -> list[tuple[ApprovalRecord, str]]:
    comments = {comment.reference for comment in heard.comments}
    reviews = {review.reference: review.state for review in heard.reviews}
    found: list[tuple[ApprovalRecord, str]] = []
    for record in known:
        if record.state != "counted":
            continue
        if record.reference.startswith("review:"):
            is_there = reviews.get(record.reference) == "approved"
            found.append((record, why_lost(record, case) if is_there else "the review was dismissed"))
        else:
            found.append((record, why_lost(record, case) if record.reference in comments else "the comment was removed"))
    return found


def _answer_requests(ports: JudgePorts, pull: PullRecord, forge: Forge, heard: Heard) -> str:
    """Do `/gitops plan` and `/gitops help`, each comment once; give the note."""
    note = pull.note
    for comment in heard.comments:
        command = parse_command(comment.body)
        if command is None or command.kind == "approve" or comment.is_edited or comment.is_bot:
            continue
        with ports.store.read() as connection:
            is_known = was_asked(connection, pull.key, comment.reference)
        if is_known:
            continue
        again: Work | None = None
        if command.kind == "help":
            note = f"{comment.author}: {command.problem}. {HELP}" if command.problem else HELP
        elif comment.author == pull.author or forge.people.may_write(pull.key.repository, comment.author):
            again = touch_pull(pull.key, reason="plan")
        with ports.store.write() as connection:
            take_request(connection, pull.key, comment.reference)
            if again is not None:
                add_job(connection, again, ports.now())
    return note
