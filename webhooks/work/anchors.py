"""Anchors: what this service knows of a repository by itself, so that nothing proposed decides where a change goes or who approves it.

Takes the store, the settings' bindings of projects, pinned trust roots and the service's own key; gives the routes in force. A project
belongs to one repository: the one that the settings name, else the first that released it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection

from gitops.errors import HeldError, UsageError
from gitops.model.trustroot import TrustRoot
from gitops.pipeline.released import read_signed_manifest
from gitops.pipeline.route import Known, Mark, Memory, Routes
from gitops.signatures.keys import SigningKey
from gitops.source.release import open_release
from webhooks.mirrors import Mirrors
from webhooks.store.releases import (
    find_first_look,
    find_newest_on,
    find_newest_release,
    list_branches_of,
    list_environments_of,
    list_released_repositories,
)
from webhooks.store.repositories import pin_project, read_projects
from webhooks.store.store import Store

HINT = "name whose it is in the service's settings: GITOPS_REPOSITORIES=owner/name=project"


@dataclass(frozen=True)
class Anchors:
    """`bound` are projects by repository as the settings say, `roots` pinned trust roots by project; `key` None: somebody else signs."""

    store: Store
    mirrors: Mirrors
    bound: Mapping[str, str] = field(default_factory=dict[str, str])
    roots: Mapping[str, TrustRoot] = field(default_factory=dict[str, TrustRoot])
    key: SigningKey | None = field(default=None, repr=False)

    def open_routes(self, repository: str, mirror: Path, default: str) -> Routes:
        """Give the routes of a repository; `default` is the commit of its default branch."""
        self._recall(repository)
        with self.store.read() as connection:
            projects = {**read_projects(connection), **self.bound}
            memories = _read_memories(connection, repository)
        project = projects.get(repository, "")
        known = Known(
            repository=mirror,
            default=default,
            project=project,
            taken={name: owner for owner, name in projects.items() if owner != repository and name != project},
            memories=memories,
            roots=self.roots,
            key=None if self.key is None else self.key.public,
        )
        return Routes(known)

    def pin(self, repository: str, project: str) -> None:
        """Make a project this repository's for good; raise HeldError (H054) when it is another's, or this one has another."""
        self._recall(*self._list_unknown())
        with self.store.write() as connection:
            pinned = {**read_projects(connection), **self.bound}
            if pinned.get(repository, project) != project:
                raise HeldError(f"this repository releases {pinned[repository]}, not {project}", code="H054", hint=HINT)
            others = sorted(owner for owner, name in pinned.items() if name == project and owner != repository)
            if others and self.bound.get(repository) != project:
                raise HeldError(f"the project {project} is released by {others[0]}, not by {repository}", code="H054", hint=HINT)
            if repository not in self.bound:
                pin_project(connection, repository, project)

    def _list_unknown(self) -> tuple[str, ...]:
        with self.store.read() as connection:
            return list_released_repositories(connection)

    def _recall(self, *repositories: str) -> None:
        """Pin what an earlier version of this service released without writing whose project it is."""
        with self.store.read() as connection:
            known = read_projects(connection)
        for repository in repositories:
            if repository not in known and repository not in self.bound:
                project = self._read_released_project(repository)
                if project:
                    with self.store.write() as connection:
                        if project not in read_projects(connection).values():
                            pin_project(connection, repository, project)

    def _read_released_project(self, repository: str) -> str:
        """Read the name in the newest release that the store knows of; empty when there is none, or nobody watches it any more."""
        with self.store.read() as connection:
            found = [find_newest_release(connection, repository, name) for name in list_environments_of(connection, repository)]
        commits = [record.commit for record in found if record is not None and record.commit]
        if not commits:
            return ""
        try:
            mirror, _ = self.mirrors.refresh(repository)
        except UsageError:
            return ""
        return read_signed_manifest(open_release(mirror, commits[0])).repository


def _read_memories(connection: Connection, repository: str) -> dict[str, Memory]:
    found: dict[str, Memory] = {}
    for name in list_environments_of(connection, repository):
        record = find_newest_release(connection, repository, name) or find_first_look(connection, repository, name)
        if record is not None:
            found[name] = Memory(record.source, record.branch, _read_marks(connection, repository, name))
    return found


def _read_marks(connection: Connection, repository: str, name: str) -> dict[str, Mark]:
    branches = list_branches_of(connection, repository, name)
    newest = {branch: find_newest_on(connection, repository, name, branch) for branch in branches}
    return {branch: Mark(record.serial, record.digest) for branch, record in newest.items() if record is not None}
