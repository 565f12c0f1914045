"""What a fleet plan is compared with: a revision, else what the environment's release branch holds, else nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gitops.cli.project import Opened, open_project
from gitops.errors import ConfigError
from gitops.model.graph import Graphs
from gitops.pipeline.released import Deployed, read_release, read_released
from gitops.source.repository import find_ref, locate

REMOTE = "refs/remotes/origin/"


@dataclass(frozen=True)
class Baseline:
    """The commit that is compared with (empty: none), its graphs (None: nothing was ever released), its serial (0: not a release)."""

    commit: str = ""
    graphs: Graphs | None = None
    serial: int = 0


def find_baseline(directory: Path, opened: Opened, environment: str, *, revision: str = "") -> Baseline:
    """Give the baseline of an environment; a revision that lacks the environment wants nothing of it."""
    if revision:
        base = open_project(directory, revision)
        graphs = base.built.compiled.graphs.get(environment) or Graphs(environment)
        return Baseline(base.snapshot.commit, graphs)
    declared = opened.built.config.project.environments.get(environment)
    if declared is None:
        return Baseline()
    deployed = _find_deployed(directory, declared.release, environment)
    return Baseline() if deployed is None else Baseline(deployed.manifest.commit, deployed.graphs, deployed.manifest.serial)


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
