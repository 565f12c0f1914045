"""CompiledCommit: what the bounded child says of a commit, and its JSON form on the pipe.

The child writes it, the parent reads it as it reads any stranger's document: strictly, with every digest computed again. Holds
nothing that could run: no pickle, no code. File contents travel as base64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from gitops.config.config import Config, Environment, HostDocument, Selector
from gitops.errors import BugError, MalformedError, RemoteError
from gitops.model.codec import Json, decode_json, encode_canonical
from gitops.model.diagnostic import SEVERITIES, Diagnostic, Place, has_errors
from gitops.model.fields import Fields
from gitops.model.graph import Graphs
from gitops.pipeline.graphsjson import decode_blobs, encode_blobs, graphs_from_json, graphs_to_json

ANSWER_SCHEMA = "gitops/answer/v1"
STOPPED, BROKEN = "C606", "C607"


@dataclass(frozen=True)
class HostEntry:
    """One host as its document says; `environment` is empty when it is in none."""

    name: str
    environment: str
    labels: Mapping[str, str]
    address: str
    connection: str


@dataclass(frozen=True)
class CompiledCommit:
    """The answer. With `is_conflict` the commits do not merge and nothing was compiled: the diagnostics say why, and `conflicts` are the
    files that git names, which may be none. When a diagnostic is an error there are no graphs.

    `environments` and `hosts` are there as soon as the documents can be read, mistakes elsewhere or not. `graphs` has the empty name
    for hosts in no environment.
    """

    project: str = ""
    environments: Mapping[str, Environment] = field(default_factory=dict[str, Environment])
    graphs: Mapping[str, Graphs] = field(default_factory=dict[str, Graphs])
    hosts: Mapping[str, HostEntry] = field(default_factory=dict[str, HostEntry])
    diagnostics: tuple[Diagnostic, ...] = ()
    is_conflict: bool = False
    conflicts: tuple[str, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Say whether there are graphs to plan with: a project that was read, no conflict, no error."""
        return bool(self.project) and not self.is_conflict and not self.conflicts and not has_errors(self.diagnostics)

    @property
    def is_stopped(self) -> bool:
        """Say whether the compile did not come to its end, so that what is missing here says nothing of the commit."""
        return any(item.code in (STOPPED, BROKEN) for item in self.diagnostics)

    @property
    def breakage(self) -> Diagnostic | None:
        """Give what broke in this program while it compiled; None when nothing did."""
        return next((item for item in self.diagnostics if item.code == BROKEN), None)


def check_whole(compiled: CompiledCommit, commit: str) -> CompiledCommit:
    """Give what was compiled, for those who act on what it does not have; raise when the compile did not come to its end.

    BugError (B002): this program broke, and would again. RemoteError (R207): this machine was too slow, or short of memory.
    """
    if compiled.breakage is not None:
        message = f"the commit {commit[:12]} could not be compiled: {compiled.breakage.message}"
        raise BugError(message, code="B002", hint=compiled.breakage.hint)
    if compiled.is_stopped:
        first = next(item for item in compiled.diagnostics if item.code == STOPPED)
        raise RemoteError(f"the commit {commit[:12]} could not be compiled: {first.message}", code="R207", hint=first.hint)
    return compiled


def describe_config(
    config: Config | None, graphs: Mapping[str, Graphs], environments: Mapping[str, str], diagnostics: Sequence[Diagnostic]
) -> CompiledCommit:
    """Make the answer of a loaded project; `environments` gives each host's, by host."""
    if config is None:
        return CompiledCommit(diagnostics=tuple(diagnostics))
    hosts = list_entries(config, environments)
    return CompiledCommit(config.project.name, config.project.environments, graphs, hosts, tuple(diagnostics))


def list_entries(config: Config, environments: Mapping[str, str]) -> dict[str, HostEntry]:
    """Give a project's hosts by name; `environments` gives each one's."""
    return {name: _entry_of(host, environments.get(name, "")) for name, host in sorted(config.hosts.items())}


def encode_answer(answer: CompiledCommit) -> bytes:
    """Give the JSON document of an answer."""
    table: dict[str, Json] = {
        "schema": ANSWER_SCHEMA,
        "project": answer.project,
        "environments": [_environment_to_json(item) for _, item in sorted(answer.environments.items())],
        "graphs": [graphs_to_json(item) for _, item in sorted(answer.graphs.items())],
        "blobs": encode_blobs(_all_blobs(answer)),
        "hosts": [_host_to_json(item) for _, item in sorted(answer.hosts.items())],
        "diagnostics": [_diagnostic_to_json(item) for item in answer.diagnostics],
        "is_conflict": answer.is_conflict,
        "conflicts": list(answer.conflicts),
    }
    return encode_canonical(table)


def decode_answer(data: bytes) -> CompiledCommit:
    """Read an answer; raise MalformedError for anything that the child of this version would not write."""
    fields = Fields(decode_json(data), "answer")
    fields.schema(ANSWER_SCHEMA)
    environments = [_environment_from_json(item) for item in fields.items("environments")]
    hosts = [_host_from_json(item) for item in fields.items("hosts")]
    blobs = decode_blobs(fields.texts("blobs"))
    graphs = [graphs_from_json(item, blobs) for item in fields.items("graphs")]
    found = CompiledCommit(
        project=fields.text("project"),
        environments={item.name: item for item in environments},
        graphs={item.environment: item for item in graphs},
        hosts={item.name: item for item in hosts},
        diagnostics=tuple(_diagnostic_from_json(item) for item in fields.items("diagnostics")),
        is_conflict=fields.flag("is_conflict"),
        conflicts=fields.texts("conflicts"),
    )
    fields.done()
    if not found.project and not has_errors(found.diagnostics):
        raise MalformedError("answer: neither a project nor a reason why there is none", code="M014")
    return found


def _entry_of(host: HostDocument, environment: str) -> HostEntry:
    return HostEntry(host.name, environment, host.labels, host.address, host.connection)


def _all_blobs(answer: CompiledCommit) -> dict[str, bytes]:
    return {digest: data for graphs in answer.graphs.values() for digest, data in graphs.blobs.items()}


def _environment_to_json(item: Environment) -> dict[str, Json]:
    return {
        "name": item.name,
        "source": item.source,
        "release": item.release,
        "hosts": {label: list(values) for label, values in item.hosts.items()},
        "required": item.required,
        "approvers": list(item.approvers),
        "is_signed": item.is_signed,
        "drift": item.drift,
        "place": _place_to_json(item.place),
    }


def _environment_from_json(value: Json) -> Environment:
    fields = Fields(value, "environment")
    found = Environment(
        name=fields.text("name"),
        source=fields.text("source"),
        release=fields.text("release"),
        hosts=_read_selector(fields.table("hosts")),
        required=fields.integer("required"),
        approvers=fields.texts("approvers"),
        is_signed=fields.flag("is_signed"),
        drift=fields.text("drift"),
        place=_read_place(fields.raw("place")),
    )
    fields.done()
    return found


def _read_selector(table: Mapping[str, Json]) -> Selector:
    return {label: Fields({"values": values}, f"selector {label}").texts("values") for label, values in table.items()}


def _host_to_json(item: HostEntry) -> dict[str, Json]:
    return {
        "name": item.name,
        "environment": item.environment,
        "labels": dict(item.labels),
        "address": item.address,
        "connection": item.connection,
    }


def _host_from_json(value: Json) -> HostEntry:
    fields = Fields(value, "host")
    labels = fields.table("labels")
    if not all(isinstance(label, str) for label in labels.values()):
        raise MalformedError("answer: labels are strings", code="M014")
    found = HostEntry(
        name=fields.text("name"),
        environment=fields.text("environment"),
        labels=cast("dict[str, str]", labels),
        address=fields.text("address"),
        connection=fields.text("connection"),
    )
    fields.done()
    return found


def _diagnostic_to_json(item: Diagnostic) -> dict[str, Json]:
    return {
        "code": item.code,
        "message": item.message,
        "place": _place_to_json(item.place),
        "severity": item.severity,
        "hint": item.hint,
        "width": item.width,
        "notes": list(item.notes),
        "related": [_place_to_json(place) for place in item.related],
    }


def _diagnostic_from_json(value: Json) -> Diagnostic:
    fields = Fields(value, "diagnostic")
    found = Diagnostic(
        code=fields.text("code"),
        message=fields.text("message"),
        place=_read_place(fields.raw("place")),
        severity=fields.choice("severity", SEVERITIES),
        hint=fields.text("hint"),
        width=fields.integer("width"),
        notes=fields.texts("notes"),
        related=tuple(_read_place(item) for item in fields.items("related")),
    )
    fields.done()
    return found


def _place_to_json(place: Place) -> list[Json]:
    return [place.file, place.line, place.column]


def _read_place(value: Json) -> Place:
    if isinstance(value, list | tuple) and len(value) == 3:  # noqa: PLR2004  file, line, column
        file, line, column = value
        if isinstance(file, str) and isinstance(line, int) and isinstance(column, int):
            return Place(file, line, column)
    raise MalformedError("answer: a place is [file, line, column]", code="M014")
