"""Hear what was said on a pull request and decide what counts: new approvals, lost ones, questions.

Every comment and review is read from the forge again. A yes is remembered by its reference, and asked again at every look whether it
still stands. Gives the note that the comment bears: answers stand in the one comment, never in a second.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from webhooks.approvals import Case, judge_comment, judge_review, why_lost
from webhooks.commands import BELOW, HELP, Command, parse_command
from webhooks.forges.port import Forge, ForgeComment
from webhooks.forges.watched import Forges
from webhooks.heard import Heard, find_withdrawals, list_approving_comments, list_approving_reviews
from webhooks.jobs.works import touch_pull
from webhooks.records import ApprovalRecord, PullRecord
from webhooks.store.approvals import add_approval, list_approvals_of, lose_approval
from webhooks.store.asked import take_request, was_asked
from webhooks.store.plans import list_plans_of
from webhooks.store.store import Store
from webhooks.store.work import add_job


@dataclass(frozen=True)
class JudgePorts:
    """What judging works with."""

    store: Store
    forges: Forges
    now: Callable[[], datetime]


def judge_pull(ports: JudgePorts, pull: PullRecord, edited: Collection[str] = ()) -> str:
    """Decide on everything new, look again at what counted, answer what was asked; give the note.

    `edited` are references of comments that are known to be edited, whatever the forge says of them.
    """
    return _answer_requests(ports, pull, judge_approvals(ports, pull, edited))


def judge_approvals(ports: JudgePorts, pull: PullRecord, edited: Collection[str] = ()) -> Heard:
    """Decide on every yes that stands on the pull request now, and on those that counted; give what was heard."""
    forge = ports.forges.of(pull.key.repository)
    comments = (
        replace(said, is_edited=said.is_edited or said.reference in edited) for said in forge.talk.list_comments(pull.key)
    )
    heard = Heard(tuple(comments), forge.talk.list_reviews(pull.key))
    with ports.store.read() as connection:
        plans, known = list_plans_of(connection, pull.key), list_approvals_of(connection, pull.key)
    case = Case(pull, plans, forge.people, ports.now(), find_withdrawals(heard, known))
    fresh = _judge_new(heard, known, case)
    lost = [(record, why_lost(record, case)) for record in known if record.state == "counted"]
    with ports.store.write() as connection:
        # Another job may have judged or spent meanwhile: what is decided stays, what is spent is never lost.
        decided = {record.reference for record in list_approvals_of(connection, pull.key)}
        for record in fresh:
            if record.reference not in decided:
                add_approval(connection, record)
        for record, reason in lost:
            if reason:
                lose_approval(connection, record.ident, reason)
    return heard


def _judge_new(heard: Heard, known: Sequence[ApprovalRecord], case: Case) -> list[ApprovalRecord]:
    decided = {record.reference for record in known}
    found = [judge_comment(said, case) for said in list_approving_comments(heard) if said.reference not in decided]
    for said in list_approving_reviews(heard):
        if said.reference not in decided:
            found.extend(judge_review(said, case))
    return found


def _answer_requests(ports: JudgePorts, pull: PullRecord, heard: Heard) -> str:
    """Do `/gitops plan` and `/gitops help`, and answer what was no command where it stands; each comment once. Give the note."""
    note, forge = pull.note, ports.forges.of(pull.key.repository)
    for comment in heard.comments:
        command = parse_command(comment.body)
        if command is None or comment.is_edited or comment.is_bot or not _is_request(command):
            continue
        with ports.store.read() as connection:
            is_known = was_asked(connection, pull.key, comment.reference)
        if is_known:
            continue
        again = command.kind == "plan" and not command.problem and _may_ask(pull, forge, comment)
        note = _answer(command, comment) or note
        with ports.store.write() as connection:
            take_request(connection, pull.key, comment.reference)
            if again:
                add_job(connection, touch_pull(pull.key, reason="plan"), ports.now())
    return note


def _is_request(command: Command) -> bool:
    """Leave out what is answered where approvals stand."""
    return command.has_more or command.kind in ("plan", "help")


def _may_ask(pull: PullRecord, forge: Forge, comment: ForgeComment) -> bool:
    return comment.author == pull.author or forge.people.may_write(pull.key.repository, comment.author)


def _answer(command: Command, comment: ForgeComment) -> str:
    if command.has_more:
        return f"{comment.author}: {BELOW}."
    if command.problem:
        return f"{comment.author}: {command.problem}." + (f" {HELP}" if command.kind == "help" else "")
    return HELP if command.kind == "help" else ""
