"""Which approvals a release may spend, asked at the very moment of spending: of the forge, not of what was known before.

An approval is spent only when (1) its pull request is merged, says the forge now, (2) into the branch that is released, (3) by a commit
that is part of what is released, (4) nothing that went through before contained that merge already, (5) our comment still says what was
approved, and (6) the approval, judged once more with everything that stands on the pull request now, still counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gitops.errors import HeldError, RemoteError
from gitops.model.approval import Approval
from gitops.source.repository import is_ancestor
from webhooks.records import PullKey, PullRecord
from webhooks.store.approvals import list_unspent
from webhooks.store.pulls import find_pull, list_unsettled
from webhooks.work.intact import CHANGED, is_changed
from webhooks.work.judge import JudgePorts, judge_approvals
from webhooks.work.reading import merge_records
from webhooks.work.settle import is_over

MOST_NAMED = 5
AUTHORS_UNKNOWN = "R208"


@dataclass(frozen=True)
class Target:
    """What is about to be released: a commit of a branch, for one environment."""

    repository: str
    environment: str
    branch: str
    tip: str
    mirror: Path


@dataclass(frozen=True)
class Spendable:
    """`approvals` may be spent; `pulls` are the merged pull requests that they are of; `left` says why those of others are not."""

    approvals: tuple[Approval, ...]
    pulls: tuple[PullRecord, ...]
    left: tuple[str, ...] = ()

    def explain(self, error: HeldError) -> HeldError:
        """Give the error with the reason why some approvals were not asked."""
        if not self.left:
            return error
        return HeldError(f"{error.message} (not spent: {'; '.join(self.left[:MOST_NAMED])})", code=error.code, hint=error.hint)


def find_spendable(ports: JudgePorts, target: Target) -> Spendable:
    """Read each pull request whose approvals could be spent from its forge, and judge them once more."""
    with ports.store.read() as connection:
        counted = [item.pull for item in list_unspent(connection, target.repository, target.environment)]
        waiting = [item.key for item in list_unsettled(connection, target.repository) if item.state == "merged"]
    pulls: list[PullRecord] = []
    left: list[str] = []
    for key in dict.fromkeys((*counted, *waiting)):
        pull, reason = _look_at(ports, key, target)
        if pull is not None and (not reason or pull.state == "closed"):
            judge_approvals(ports, pull)
        if pull is not None and not reason:
            pulls.append(pull)
        elif key in counted:
            left.append(f"{key}: {reason}")
    names = {pull.key for pull in pulls}
    with ports.store.read() as connection:
        unspent = list_unspent(connection, target.repository, target.environment)
    found = tuple(item.approval for item in unspent if item.approval is not None and item.pull in names)
    return Spendable(found, tuple(pulls), tuple(left))


def _look_at(ports: JudgePorts, key: PullKey, target: Target) -> tuple[PullRecord | None, str]:
    """Give a pull request as it is now, and why its approvals are not spent."""
    try:
        pull = _read_again(ports, key)
    except RemoteError as error:
        if error.code != AUTHORS_UNKNOWN:
            raise
        # It stays so, and one pull request must not keep all others from being released.
        return None, error.message
    return pull, "it is not there any more" if pull is None else _why_not(ports, pull, target)


def _read_again(ports: JudgePorts, key: PullKey) -> PullRecord | None:
    found = ports.forges.of(key.repository).pulls.read_pull(key)
    with ports.store.read() as connection:
        known = find_pull(connection, key)
    # Not saved: the job of the pull request says there what became of it, and must notice by itself that it changed.
    return None if found is None else merge_records(found, known, (), ports.now())


def _why_not(ports: JudgePorts, pull: PullRecord, target: Target) -> str:
    if pull.state != "merged":
        return f"it is {pull.state}, not merged"
    if pull.branch != target.branch:
        return f"it was merged into {pull.branch}"
    if not pull.merged or not is_ancestor(target.mirror, pull.merged, target.tip):
        return f"its merge is no part of {target.tip[:12]}"
    if is_over(ports.store, pull, target.environment, target.mirror):
        return "its merge went through before"
    if is_changed(ports.store, ports.forges.of(pull.key.repository).talk, pull.key):
        return CHANGED
    return ""
