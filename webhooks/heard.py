"""What was said on a pull request, as its forge has it now: who says yes to what, and who takes a yes back. Pure; decides nothing.

Taking back is looked for in everything that can do it: a newer word against (`/gitops unapprove`, a review that requests changes), and what
became of the yes itself: edited, removed, dismissed. All of it is read from what stands there now, never from an event that may be lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from webhooks.approvals import Said, Withdrawal
from webhooks.commands import Command, parse_command
from webhooks.forges.port import ForgeComment, ForgeReview
from webhooks.records import ApprovalRecord

REVIEW = "review:"
TAKEN_BACK, CHANGES, DISMISSED = "they took it back", "they requested changes", "the review was dismissed"
EDITED, REMOVED, GONE = "the comment was edited", "the comment was removed", "the review is no longer there"


@dataclass(frozen=True)
class Heard:
    """What stands on the pull request now, oldest first."""

    comments: tuple[ForgeComment, ...]
    reviews: tuple[ForgeReview, ...]


def list_approving_comments(heard: Heard) -> Iterator[Said]:
    """Give every `/gitops approve`, well formed or not."""
    for comment in heard.comments:
        command = parse_command(comment.body)
        if command is not None and command.kind == "approve":
            yield _said_in_comment(comment, command)


def list_approving_reviews(heard: Heard) -> Iterator[Said]:
    """Give every approving review that was not dismissed."""
    for review in heard.reviews:
        if review.state == "approved":
            yield Said(review.reference, review.author, review.submitted, commit=review.commit, is_bot=review.is_bot)


def find_withdrawals(heard: Heard, known: Sequence[ApprovalRecord]) -> tuple[Withdrawal, ...]:
    """Give every word against, and what is no longer there of the yeses that counted (`known`)."""
    counted = [record for record in known if record.state == "counted"]
    said = (item for comment in heard.comments for item in _withdraw_in_comment(comment))
    reviewed = (item for review in heard.reviews for item in _withdraw_in_review(review))
    return (*said, *reviewed, *_find_gone(heard, counted))


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


def _withdraw_in_comment(comment: ForgeComment) -> Iterator[Withdrawal]:
    """Take an edit's time, not the first one's: what was edited into a word against is said now."""
    command = parse_command(comment.body)
    if command is not None and command.kind == "unapprove":
        yield Withdrawal(comment.author, comment.updated or comment.created, TAKEN_BACK)


def _withdraw_in_review(review: ForgeReview) -> Iterator[Withdrawal]:
    if review.state in ("changes_requested", "dismissed"):
        yield Withdrawal(review.author, review.submitted, DISMISSED if review.state == "dismissed" else CHANGES)


def _find_gone(heard: Heard, counted: Iterable[ApprovalRecord]) -> Iterator[Withdrawal]:
    """Compare what counted with what says so now. It is taken back from when it was given on: an older yes does not come to life again."""
    comments = {comment.reference: comment for comment in heard.comments}
    reviews = {review.reference: review.state for review in heard.reviews}
    for record in counted:
        if record.reference.startswith(REVIEW):
            state = reviews.get(record.reference, "")
            reason = "" if state == "approved" else DISMISSED if state == "dismissed" else GONE
        else:
            reason = _why_gone(comments.get(record.reference), record)
        if reason:
            yield Withdrawal(record.login, record.given, reason)


def _why_gone(comment: ForgeComment | None, record: ApprovalRecord) -> str:
    if comment is None:
        return REMOVED
    command = parse_command(comment.body)
    # An edit within the second in which it was written leaves no trace but the text.
    is_same = command is not None and (command.kind, command.digest) == ("approve", record.change_digest)
    return EDITED if comment.is_edited or not is_same else ""
