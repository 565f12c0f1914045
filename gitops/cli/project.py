"""What the verbs share: the tree of -C or --rev, compiled graphs, selected hosts, the state and cache folders, observations."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from gitops.cli.output import print_diagnostics, read_file
from gitops.config.config import HostDocument
from gitops.config.cue import CueTool
from gitops.errors import ConfigError, UsageError
from gitops.model.codec import decode_json
from gitops.model.diagnostic import InvalidConfigError
from gitops.model.fields import Fields
from gitops.model.graph import Graphs
from gitops.model.limits import DEFAULTS
from gitops.model.observation import Observation
from gitops.pipeline.project import Built, examine_tree
from gitops.source.repository import locate, resolve
from gitops.source.snapshot import Snapshot, snapshot_commit, snapshot_folder


@dataclass(frozen=True)
class Opened:
    """A compiled project and where it came from."""

    snapshot: Snapshot
    built: Built


def read_snapshot(directory: Path, revision: str = "") -> Snapshot:
    """Give the work tree, or a revision of the repository that it lies in."""
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a folder", code="U021")
    if not revision:
        return snapshot_folder(directory)
    location = locate(directory)
    return snapshot_commit(location.root, resolve(location.root, revision), location.subpath)


def open_project(directory: Path, revision: str = "") -> Opened:
    """Compile a project; print every mistake with its line and stop when there is one."""
    snapshot = read_snapshot(directory, revision)
    examined = examine_tree(snapshot, cue=CueTool(cache=cache_folder()))
    if examined.built is None:
        print_diagnostics(examined.diagnostics, snapshot)
        raise InvalidConfigError(examined.diagnostics, is_shown=True)
    return Opened(snapshot, examined.built)


def one_environment(built: Built, name: str) -> Graphs:
    """Give the graphs of an environment; the only one when no name is given."""
    graphs = built.compiled.graphs
    named = [item for item in graphs if item]
    if name:
        if name not in graphs:
            raise UsageError(f"there is no environment `{name}`", code="U022", hint="it has: " + (", ".join(named) or "none"))
        return graphs[name]
    if len(named) == 1:
        return graphs[named[0]]
    if not named and "" in graphs:
        return graphs[""]
    raise UsageError("which environment?", code="U022", hint="give --env, one of: " + (", ".join(named) or "none is declared"))


def find_host(built: Built, name: str) -> tuple[HostDocument, Graphs]:
    """Give a host and the graphs of its environment."""
    host = built.config.hosts.get(name)
    if host is None:
        known = ", ".join(sorted(built.config.hosts)[:20]) or "none"
        raise UsageError(f"there is no host `{name}`", code="U023", hint=f"the project has: {known}")
    return host, built.compiled.graphs[built.compiled.hosts[name].environment]


def select_hosts(hosts: Mapping[str, HostDocument], selectors: Iterable[str], *, leaving: Iterable[str] = ()) -> tuple[str, ...]:
    """Give the hosts of SEL: names and globs add, `label=value` narrows; no selector is every host.

    `leaving` are hosts that are no longer declared: they have a name, but no labels.
    """
    wanted = list(selectors)
    names = [item for item in wanted if "=" not in item]
    labels = [item.partition("=") for item in wanted if "=" in item]
    found = {name for name in {*hosts, *leaving} if not names or any(fnmatch.fnmatchcase(name, pattern) for pattern in names)}
    found = {
        name for name in found if all(name in hosts and hosts[name].labels.get(label) == value for label, _, value in labels)
    }
    if wanted and not found:
        raise UsageError(
            f"no host matches {' '.join(wanted)}", code="U024", hint="`gitops compile --format json` lists the hosts"
        )
    return tuple(sorted(found))


def read_observations(path: Path) -> dict[str, Observation]:
    """Read a file of observations: one document, or `{observations: [...]}`; the newest of a host counts."""
    value = decode_json(read_file(path, DEFAULTS.event_bytes))
    if isinstance(value, dict) and "observations" in value:
        fields = Fields(value, "observations")
        if fields.has("schema"):
            fields.schema("gitops/observations/v1")
        found = [Observation.from_json(item) for item in fields.items("observations")]
        fields.done()
    else:
        found = [Observation.from_json(value)]
    newest: dict[str, Observation] = {}
    for item in sorted(found, key=lambda one: one.at):
        newest[item.host] = item
    return newest


def state_folder(given: Path | None) -> Path:
    """Give the machine's state folder: --state, GITOPS_STATE_DIR, /var/lib/gitops for root, else the XDG state folder."""
    if given is not None:
        return given.absolute()
    if os.environ.get("GITOPS_STATE_DIR"):
        return Path(os.environ["GITOPS_STATE_DIR"]).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/gitops")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "gitops"


def cache_folder() -> Path:
    """Give the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gitops"


def environment_variables() -> Mapping[str, str]:
    """Give the process's environment (only the command line reads it)."""
    return os.environ


prune_option = click.option(
    "--prune",
    multiple=True,
    metavar="ADDRESS",
    help="With --local: remove this, which the config no longer has; the plan lists them.",
)


def root_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --root and --state to a verb."""
    function = click.option("--state", type=click.Path(path_type=Path), help="Folder of runs and ledger.")(function)
    return click.option("--root", type=click.Path(path_type=Path), help="Put files below DIR.")(function)


def root_text(root: Path | None) -> str:
    """Give the absolute root, or an empty text; `/` itself is refused."""
    if root is None:
        return ""
    if root.resolve() == Path("/"):
        raise ConfigError("--root / is this machine itself; leave --root out", code="U041")
    if not root.is_dir():
        raise UsageError(f"--root: {root} is not a folder", code="U021")
    return str(root.resolve())


def remote_root_text(root: Path | None) -> str:
    """Give a folder on another machine: absolute and normalised as written, or an empty text; `/` itself is refused."""
    if root is None:
        return ""
    text = str(root)
    if not text.startswith("/") or text == "/" or ".." in root.parts:
        raise UsageError(f"not a folder on the hosts: got {text[:80]!r}, expected an absolute path without `..`", code="U041")
    return text


def ssh_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what pushing over SSH takes."""
    options = (
        click.option(
            "--parallel", type=click.IntRange(1, 500), default=20, show_default=True, metavar="N", help="Hosts at the same time."
        ),
        click.option(
            "--become", type=click.Choice(("sudo", "doas")), default=None, help="Become root there, without a password."
        ),
        click.option("--ssh-config", type=click.Path(path_type=Path, exists=True), help="Instead of your own ssh_config."),
    )
    for option in options:
        function = option(function)
    return function
