"""The kinds of documents: Project, Host, Group, Module (a Provider is read in `provider`, a Fact in `fact`).

Takes Nodes, gives nouns or diagnostics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gitops.config.config import Environment, Group, HostDocument, Module, Project, Selector
from gitops.config.node import Node, name_type
from gitops.config.reader import Findings, MapReader
from gitops.config.resources import read_resources, read_uses
from gitops.model.address import is_object_name
from gitops.model.resource import DRIFTS, ON_FAILURE
from gitops.model.secret import SOURCES, SecretRef

API_VERSION = "gitops/v1"
KINDS = ("Project", "Host", "Group", "Module", "Provider", "Fact")
CONNECTIONS = ("agent", "ssh", "local")
RESERVED = ("index",)
HEADS = "refs/heads/"
NAME_HINT = "lower-case letters, digits, `.` and `-`, at most 63"


def read_name(metadata: MapReader, what: str, findings: Findings) -> str:
    """Take `metadata.name`; an invalid one is reported and empty."""
    node = metadata.require("name", "a name")
    if node is None:
        return ""
    if not isinstance(node.value, str) or not is_object_name(node.value):
        findings.add("C109", f"{what}: {name_type(node)} is not a valid name", node.place, hint=NAME_HINT, width=node.width)
        return ""
    return node.value


def read_project(node: Node, findings: Findings) -> Project:
    """Read the Project document."""
    _, spec, name, _ = open_document(node, "Project", findings)
    secrets = {key: _read_secret(key, item, findings) for key, item in spec.table("secrets").items()}
    environments = {key: _read_environment(key, item, findings) for key, item in spec.table("environments").items()}
    _check_branches([item for item in environments.values() if item is not None], findings)
    project = Project(
        name=name,
        vars=spec.table("vars"),
        secrets={key: item for key, item in secrets.items() if item is not None},
        environments={key: item for key, item in environments.items() if item is not None},
        place=node.place,
    )
    spec.finish()
    return project


def read_host(node: Node, findings: Findings) -> HostDocument:
    """Read a Host document."""
    document, spec, name, labels = open_document(node, "Host", findings)
    if name in RESERVED:
        place = document.node.entries["metadata"].entries["name"].place
        findings.add("C109", f"a host cannot be named `{name}`: its file in a release would be the shard's index", place)
    host = HostDocument(
        name=name,
        labels=labels,
        address=spec.text("address"),
        connection=spec.choice("connection", CONNECTIONS, "agent"),
        vars=spec.table("vars"),
        modules=read_uses(spec.sequence("modules"), findings),
        resources=read_resources(spec.sequence("resources"), findings),
        place=node.place,
    )
    spec.finish()
    return host


def read_group(node: Node, findings: Findings) -> Group:
    """Read a Group document."""
    _, spec, name, _ = open_document(node, "Group", findings)
    selector = spec.require("selector", "labels, or {} for every host")
    group = Group(
        name=name,
        selector={} if selector is None else _read_selector(selector, findings),
        priority=spec.integer("priority", 0),
        vars=spec.table("vars"),
        modules=read_uses(spec.sequence("modules"), findings),
        resources=read_resources(spec.sequence("resources"), findings),
        place=node.place,
    )
    spec.finish()
    return group


def read_module(node: Node, findings: Findings, folder: str) -> Module:
    """Read a Module document that lies in `folder`."""
    _, spec, name, _ = open_document(node, "Module", findings)
    module = Module(
        name=name,
        folder=folder,
        params=spec.table("params"),
        resources=read_resources(spec.sequence("resources"), findings),
        drift=spec.choice("drift", DRIFTS, ""),
        on_failure=spec.choice("on_failure", ON_FAILURE, "continue"),
        place=node.place,
    )
    spec.finish()
    return module


def open_document(node: Node, kind: str, findings: Findings) -> tuple[MapReader, MapReader, str, Mapping[str, str]]:
    """Read what every document begins with; give the document, its spec, its name and its labels."""
    document = MapReader(node, f"the {kind} document", findings)
    document.get("kind")
    version = document.require("apiVersion", API_VERSION)
    if version is not None and version.value != API_VERSION:
        findings.add("C105", f"`apiVersion` is {name_type(version)}, expected {API_VERSION}", version.place, width=version.width)
    empty = Node({}, node.place)
    metadata = MapReader(document.require("metadata", "a map with `name`") or empty, f"the {kind}'s metadata", findings)
    name = read_name(metadata, f"the {kind} document", findings) if metadata.node is not empty else ""
    labels = _read_labels(metadata, findings) if kind == "Host" else {}
    metadata.finish()
    spec = MapReader(document.get("spec") or empty, f"{kind} {name}".strip(), findings)
    document.finish()
    return document, spec, name, labels


def _read_labels(metadata: MapReader, findings: Findings) -> dict[str, str]:
    labels: dict[str, str] = {}
    for key, item in metadata.table("labels").items():
        if isinstance(item.value, str):
            labels[key] = item.value
        else:
            findings.add(
                "C105", f"label `{key}` is {name_type(item)}, expected a string (quote it)", item.place, width=item.width
            )
    return labels


def _read_selector(node: Node, findings: Findings) -> Selector:
    if not isinstance(node.value, dict):
        findings.add("C105", f"a selector is {name_type(node)}, expected a map of labels", node.place, width=node.width)
        return {"": ()}
    found: dict[str, tuple[str, ...]] = {}
    for key, item in node.entries.items():
        values = item.items or (item,)
        if all(isinstance(value.value, str) for value in values):
            found[key] = tuple(value.text for value in values)
        else:
            findings.add("C105", f"selector `{key}` is {name_type(item)}, expected a string or a list of strings", item.place)
    return found


def _read_environment(name: str, node: Node, findings: Findings) -> Environment | None:
    reader = MapReader(node, f"environment {name}", findings)
    if not is_object_name(name):
        findings.add("C109", f"{name[:80]!r} is not a valid environment name", node.place, hint=NAME_HINT)
        return None
    approvals = MapReader(reader.get("approvals") or Node({}, node.place), f"approvals of {name}", findings)
    hosts = reader.require("hosts", "a label selector, or {} for every host")
    found = Environment(
        name=name,
        source=reader.text("source", "main"),
        release=reader.text("release", f"release/{name}"),
        hosts={} if hosts is None else _read_selector(hosts, findings),
        required=approvals.integer("required", 0),
        approvers=approvals.texts("from"),
        is_signed=approvals.flag("signed", default=False),
        drift=reader.choice("drift", DRIFTS, "heal"),
        place=node.place,
    )
    approvals.finish()
    reader.finish()
    if found.required < 0 or (found.required and not found.approvers):
        findings.add("C105", f"approvals of {name}: `required` needs people in `from`", approvals.node.place)
    return found


def _check_branches(environments: Sequence[Environment], findings: Findings) -> None:
    """Report branches that two would write: the first release there would keep the other environment from ever having one."""
    hint = "each environment is released to a branch of its own, which holds nothing else"
    sources = {item.source.removeprefix(HEADS): item.name for item in reversed(environments)}
    owners: dict[str, str] = {}
    for item in environments:
        branch = item.release.removeprefix(HEADS)
        owner = owners.setdefault(branch, item.name)
        if owner != item.name:
            message = f"the environments {owner} and {item.name} are both released to {branch[:80]}"
            findings.add("C222", message, item.place, hint=hint)
        elif branch in sources:
            message = (
                f"the environment {item.name} is released to {branch[:80]}, which is what {sources[branch]} is released from"
            )
            findings.add("C222", message, item.place, hint=hint)


def _read_secret(name: str, node: Node, findings: Findings) -> SecretRef | None:
    reader = MapReader(node, f"secret {name}", findings)
    source = reader.choice("from", SOURCES, "env")
    key = reader.require("key", "the variable's name" if source == "env" else "the file's path")
    reader.text("key")
    reader.finish()
    if key is None or not isinstance(key.value, str):
        return None
    return SecretRef(name, source, key.value)
