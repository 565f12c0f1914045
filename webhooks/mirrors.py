"""Mirrors: a bare copy of each watched repository in the data folder, refreshed before it is read, one refresh at a time.

Holds heads and the pull requests' heads that were asked for. What the forge says last (a head it named a moment ago) may be missing in
Git for a moment: that is RemoteError, and tried again.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from gitops.errors import RemoteError
from gitops.source.git import run_git
from gitops.source.repository import find_ref, list_refs, update_mirror
from webhooks.forges.port import Remote
from webhooks.forges.watched import Forges
from webhooks.records import PullKey

LOG = logging.getLogger("trueup.mirror")
DAMAGED = (".lock", "corrupt", "bad object", "is empty", "not a git repository", "unable to read", "missing blob", "bad config")
HEADS = "+refs/heads/*:refs/heads/*"


class Mirrors:
    """The folder of mirrors, one for each repository of the forges."""

    def __init__(self, folder: Path, forges: Forges) -> None:
        self._folder = folder
        self._forges = forges
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def path_of(self, repository: str) -> Path:
        """Give where a repository's mirror lies; its name cannot leave the folder."""
        return self._folder / (repository.replace("/", "%") + ".git")

    def refresh(self, repository: str, pull: PullKey | None = None, head: str = "") -> tuple[Path, Remote]:
        """Fetch all branches, and a pull request's head; give the mirror and the remote.

        With `head`, raise RemoteError unless that commit is there now.
        """
        forge = self._forges.of(repository)
        remote = forge.pulls.find_remote(repository)
        mirror = self.path_of(repository)
        refs = [HEADS]
        ref = "" if pull is None else forge.pulls.head_ref(pull)
        if pull is not None and not ref.startswith("refs/heads/"):
            refs.append(f"+{ref}:refs/pulls/{pull.name}")
        with self._lock_of(repository):
            self._fetch(remote, mirror, refs)
        if head and not has_commit(mirror, head):
            raise RemoteError(f"{repository} does not show the commit {head[:12]} yet", code="R205")
        return mirror, remote

    def tidy(self, repository: str) -> None:
        """Pack what many fetches left; what is not reachable and young (a release about to be pushed) stays."""
        mirror = self.path_of(repository)
        if (mirror / "HEAD").exists():
            with self._lock_of(repository):
                run_git(mirror, ["gc", "--quiet"])

    def _fetch(self, remote: Remote, mirror: Path, refs: Sequence[str]) -> None:
        try:
            update_mirror(remote.url, mirror, refs, access=remote.environment)
        except RemoteError as error:
            # A power cut leaves locks and half-written files behind. Everything in a mirror can be fetched again.
            if not any(word in error.message for word in DAMAGED):
                raise
            LOG.warning("the mirror %s is damaged and made anew: %s", mirror.name, error.message)
            shutil.rmtree(mirror, ignore_errors=True)
            update_mirror(remote.url, mirror, refs, access=remote.environment)

    def _lock_of(self, repository: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(repository, threading.Lock())


def has_commit(mirror: Path, commit: str) -> bool:
    """Say whether a full commit id is there."""
    return run_git(mirror, ["cat-file", "-e", f"{commit}^{{commit}}"], accept=(0, 1, 128)).status == 0


def find_branch(mirror: Path, branch: str) -> str:
    """Give the commit of a branch, or an empty text."""
    return find_ref(mirror, f"refs/heads/{branch}")


def list_branches(mirror: Path) -> Mapping[str, str]:
    """Give commits by branch."""
    prefix = "refs/heads/"
    return {name.removeprefix(prefix): commit for name, commit in list_refs(mirror, prefix).items()}
