"""What a fleet plan is compared with: a revision, else what the environment's release branch holds, else nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gitops.cli.output import print_message
from gitops.cli.project import Opened, open_project
from gitops.errors import ConfigError, TrueupError
from gitops.model.graph import Graphs
from gitops.pipeline.project import Built
from gitops.pipeline.released import Deployed, anchor_of, read_release, read_released
from gitops.source.repository import find_ref, locate

REMOTE = "refs/remotes/origin/"


@dataclass(frozen=True)
class Baseline:
    """The commit that is compared with (empty: none), its graphs (None: nothing was ever released), its serial (0: not a release).

    `built` is the project that says how hosts are reached and who approves until then; None: there is none, or it cannot be read here.
    """

    commit: str = ""
    graphs: Graphs | None = None
    serial: int = 0
    built: Built | None = None


def find_baseline(directory: Path, opened: Opened, environment: str, *, revision: str = "") -> Baseline:
    """Give the baseline of an environment; a revision that lacks the environment wants nothing of it."""
    if revision:
        base = open_project(directory, revision)
        graphs = base.built.compiled.graphs.get(environment) or Graphs(environment)
        return Baseline(base.snapshot.commit, graphs, built=base.built)
    declared = opened.built.config.project.environments.get(environment)
    if declared is None:
        return Baseline()
    deployed = _find_deployed(directory, declared.release, environment)
    if deployed is None:
        return Baseline()
    manifest = deployed.manifest
    return Baseline(
        manifest.commit, deployed.graphs, manifest.serial, _read_in_force(directory, anchor_of(manifest), environment)
    )


def _read_in_force(directory: Path, commit: str, environment: str) -> Built | None:
    """Read the rules that the last release stands for; what cannot be read here (a shallow clone lacks it) is said, not passed over."""
    try:
        return open_project(directory, commit).built
    except TrueupError as error:
        print_message(
            f"whether the rules of {environment} change is not shown: {commit[:12]} cannot be read here ({error.message})"
        )
        return None


def _find_deployed(directory: Path, branch: str, environment: str) -> Deployed | None:
    """Read the branch here, else what was last fetched of it (a checkout in CI has only that)."""
    try:
        root = locate(directory).root
    except ConfigError:
        return None
    here = read_released(root, branch, environment)
    if here is not None:
        return here
    fetched = find_ref(root, REMOTE + branch.removeprefix("refs/heads/"))
    return read_release(root, fetched, environment) if fetched else None
