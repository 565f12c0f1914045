"""What the verbs share: the tree of -C or --rev, compiled graphs, selected hosts, observations."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gitops.cli.folders import cache_folder
from gitops.cli.output import print_diagnostics, read_file
from gitops.config.config import HostDocument
from gitops.config.cue import CueTool
from gitops.config.reader import suggest_among
from gitops.config.selecting import explain_mismatch
from gitops.errors import UsageError
from gitops.model.codec import decode_json
from gitops.model.diagnostic import InvalidConfigError
from gitops.model.fields import Fields
from gitops.model.graph import Graphs
from gitops.model.limits import DEFAULTS
from gitops.model.observation import Observation
from gitops.pipeline.compilecache import CompiledHere
from gitops.pipeline.project import Built, examine_tree
from gitops.source.commits import snapshot_commit
from gitops.source.repository import locate, resolve
from gitops.source.snapshot import Snapshot, snapshot_folder
from gitops.trust.contents import find_blobs


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
    return open_snapshot(read_snapshot(directory, revision), CueTool(cache=cache_folder()))


def open_snapshot(snapshot: Snapshot, cue: CueTool) -> Opened:
    """Compile what was read; the same in all else."""
    examined = examine_tree(snapshot, cue=cue)
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
            raise UsageError(f"there is no environment `{name}`", code="U022", hint=suggest_among(name, named, "it has"))
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
        hint = suggest_among(name, built.config.hosts, "the project has")
        raise UsageError(f"there is no host `{name}`", code="U023", hint=hint)
    return host, built.compiled.graphs[built.compiled.hosts[name].environment]


def compile_host(snapshot: Snapshot, host: str, cache: Path | None) -> CompiledHere:
    """Compile a project, and give what one of its hosts needs."""
    built = open_snapshot(snapshot, CueTool(cache=cache)).built
    _, graphs = find_host(built, host)
    graph = graphs.hosts.get(host)
    if graph is None:
        return CompiledHere(built.config.project.name, Graphs(graphs.environment))
    named = find_blobs(graphs.resources_of(host))
    alone = Graphs(
        graphs.environment,
        {host: graph},
        {digest: graphs.blocks[digest] for digest in graph.blocks},
        {digest: data for digest, data in graphs.blobs.items() if digest in named},
    )
    return CompiledHere(built.config.project.name, alone)


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
            f"no host matches {' '.join(wanted)}", code="U024", hint=_explain_selection(hosts, names, labels, leaving)
        )
    return tuple(sorted(found))


def _explain_selection(
    hosts: Mapping[str, HostDocument], names: list[str], labels: list[tuple[str, str, str]], leaving: Iterable[str]
) -> str:
    """Say what there is instead: hosts near a name that none has, else labels and values."""
    known = {*hosts, *leaving}
    for name in names:
        if not any(fnmatch.fnmatchcase(host, name) for host in known):
            return suggest_among(name, known, "the hosts are")
    selector = {label: (value,) for label, _, value in labels}
    return explain_mismatch(selector, [host.labels for host in hosts.values()])


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
