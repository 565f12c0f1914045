"""What is released: the tip of a release branch as commit, manifest and graphs. The baseline of every fleet plan.

Every byte is compared with the digest that the manifest hangs it from; whose signature the manifest bears is not asked here (agents,
`gitops verify` and the next release do). A branch that holds something else is TrustError (exit 6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gitops.errors import TrustError
from gitops.model.candidate import Candidate
from gitops.model.graph import Graphs
from gitops.model.limits import DEFAULTS
from gitops.model.manifest import Manifest
from gitops.source.release import list_history, open_release
from gitops.source.repository import find_ref
from gitops.trust.contents import read_graphs
from gitops.trust.layout import check_layout
from gitops.trust.reading import read_bounded
from gitops.trust.release import parse_manifest

ANCHOR = "anchor"  # the extension that names the commit whose routing stands, where that is not the source


@dataclass(frozen=True)
class Deployed:
    """A release as it lies on its branch: the commit that holds it, what it says, the graphs as released."""

    commit: str
    manifest: Manifest
    digest: str
    graphs: Graphs


def read_released(repository: Path, branch: str, environment: str) -> Deployed | None:
    """Read the tip of a local branch (`release/production`, with or without `refs/heads/`); None when there is no such branch."""
    tip = find_ref(repository, f"refs/heads/{branch.removeprefix('refs/heads/')}")
    return read_release(repository, tip, environment) if tip else None


def read_release(repository: Path, commit: str, environment: str) -> Deployed:
    """Read one release commit; raise TrustError when it is another environment's, or not whole."""
    candidate = open_release(repository, commit)
    manifest = read_signed_manifest(candidate)
    if manifest.environment != environment:
        raise TrustError(f"{commit[:12]} is a release of {manifest.environment}, expected {environment}", code="T103")
    check_layout(candidate, manifest)
    return Deployed(commit, manifest, manifest.digest, read_graphs(candidate, manifest))


def read_signed_manifest(candidate: Candidate) -> Manifest:
    """Read a candidate's manifest; its signatures are not looked at."""
    return parse_manifest(read_bounded(candidate, "manifest.json", DEFAULTS.manifest_bytes), "")


def read_chain(
    repository: Path, tip: Deployed, *, until: int = 1, since: datetime | None = None
) -> Mapping[int, tuple[str, Manifest]]:
    """Give the releases before a tip by serial, down to `until`, none issued before `since`, as far as the repository has them.

    Each is the one whose digest its successor names, so that who believes the tip believes all.
    """
    found: dict[int, tuple[str, Manifest]] = {}
    expected, newest = tip.manifest.previous, tip.manifest.issued
    for commit in list_history(repository, tip.commit):
        if expected is None or expected.serial < until or (since is not None and newest < since):
            break
        manifest = read_signed_manifest(open_release(repository, commit))
        if (manifest.serial, manifest.digest) != (expected.serial, expected.digest):
            message = f"release {manifest.serial} at {commit[:12]} is not the one that release {expected.serial + 1} follows"
            raise TrustError(message, code="T104", hint="somebody rewrote the release branch")
        found[manifest.serial] = (commit, manifest)
        expected, newest = manifest.previous, manifest.issued
    return found


def anchor_of(manifest: Manifest) -> str:
    """Give the commit whose routing a release stands for: its source, but for a release that puts old content back."""
    found = manifest.extensions.get(ANCHOR)
    return found if isinstance(found, str) else manifest.commit
