"""Merging on a bare repository: a real merge commit on the target branch, or nothing.

Takes what was approved (head and target as they were seen) and who merges; gives the new commit. The tree comes from `git merge-tree`,
as every plan's does; the branch moves by compare-and-swap, never by force; hooks and attributes of the tree play no part. A conflict,
a head or a target that moved meanwhile is HeldError (exit 3), and nothing has changed then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gitops.errors import HeldError
from gitops.source.git import run_git
from gitops.source.merge import Conflict, merge_trees
from gitops.source.repository import find_ref, is_ancestor
from webhooks.forges.local.branches import PREFIX, Person

MOST_NAMED = 10
REF_FAILED = (1, 128)


@dataclass(frozen=True)
class MergeRequest:
    """Merge `head` of pull request `name` into `branch`; both must still be what they were when it was decided."""

    name: str
    head: str
    branch: str
    target: str
    title: str


def merge_branch(repository: Path, asked: MergeRequest, *, by: Person, now: datetime) -> str:
    """Make the merge commit, move the target to it and remove the pull request's branch; give the commit id."""
    branch = f"refs/heads/{asked.branch}"
    if find_ref(repository, PREFIX + asked.name) != asked.head:
        raise HeldError(
            f"pr/{asked.name} moved while you looked at it", code="H041", hint="look at the new plan, then merge that"
        )
    if find_ref(repository, branch) != asked.target:
        raise _moved(asked)
    if is_ancestor(repository, asked.head, asked.target):
        raise HeldError(f"{asked.branch} already has everything of pr/{asked.name}", code="H043", hint="delete the branch")
    tree = _merge_tree(repository, asked)
    commit = _commit_tree(repository, asked, tree, by=by, now=now)
    moved = run_git(
        repository, ["update-ref", "-m", f"merge pr/{asked.name}", branch, commit, asked.target], accept=(0, *REF_FAILED)
    )
    if moved.status != 0:
        raise _moved(asked)
    # If somebody pushed to it in this moment, the branch stays and is a pull request again, with what is not merged yet.
    run_git(repository, ["update-ref", "-d", PREFIX + asked.name, asked.head], accept=(0, *REF_FAILED))
    return commit


def _merge_tree(repository: Path, asked: MergeRequest) -> str:
    merged = merge_trees(repository, asked.target, asked.head)
    if isinstance(merged, Conflict):
        where = ", ".join(merged.files[:MOST_NAMED]) or merged.clashes[0].message
        raise HeldError(
            f"pr/{asked.name} does not merge with {asked.branch}: {f'conflict in {where}' if merged.files else where}",
            code="H042",
            hint=f"merge {asked.branch} into the branch, or rebase it, then push",
        )
    return merged


def _commit_tree(repository: Path, asked: MergeRequest, tree: str, *, by: Person, now: datetime) -> str:
    stamp = f"{int(now.timestamp())} +0000"
    environment = {
        "GIT_AUTHOR_NAME": by.name,
        "GIT_AUTHOR_EMAIL": by.email,
        "GIT_AUTHOR_DATE": stamp,
        "GIT_COMMITTER_NAME": by.name,
        "GIT_COMMITTER_EMAIL": by.email,
        "GIT_COMMITTER_DATE": stamp,
    }
    message = f"Merge pr/{asked.name}: {asked.title}"
    arguments = ["commit-tree", tree, "-p", asked.target, "-p", asked.head, "-m", message]
    return run_git(repository, arguments, environment=environment).output.decode("ascii").strip()


def _moved(asked: MergeRequest) -> HeldError:
    return HeldError(
        f"{asked.branch} moved meanwhile", code="H044", hint="it is planned again on the new state; look and merge then"
    )
