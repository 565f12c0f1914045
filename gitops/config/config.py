"""Config: the valid documents of a project. Values stay Nodes with `${…}` unexpanded; compile interpolates them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gitops.config.node import Node
from gitops.model.attribute import Attribute
from gitops.model.diagnostic import Place
from gitops.model.secret import SecretRef

Selector = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Environment:
    """Where merges come from, where releases go to, which hosts, and who approves."""

    name: str
    source: str
    release: str
    hosts: Selector
    required: int
    approvers: tuple[str, ...]
    is_signed: bool
    drift: str
    place: Place


@dataclass(frozen=True)
class Project:
    """The project's name, variables, secrets and environments."""

    name: str
    vars: Mapping[str, Node]
    secrets: Mapping[str, SecretRef]
    environments: Mapping[str, Environment]
    place: Place


@dataclass(frozen=True)
class ModuleUse:
    """One mention of a module by a host or group."""

    name: str
    params: Mapping[str, Node]
    place: Place
    width: int = 1


@dataclass(frozen=True)
class ResourceNode:
    """A resource as written. `attributes` include `template` and `source`; the edges, `when`, `for_each` and `drift` are Nodes.

    `asked` is the whole `when` as written where it asks custom facts, which `when` does not have: compile knows which there are.
    `is_checked` says that all is well but for what `${…}` will bring.
    """

    kind: str
    name: Node
    attributes: Mapping[str, Node]
    keys: Mapping[str, Place]
    place: Place
    needs: tuple[Node, ...] = ()
    notify: tuple[Node, ...] = ()
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    for_each: Node | None = None
    drift: str = ""
    is_checked: bool = False
    asked: Node | None = None


@dataclass(frozen=True)
class HostDocument:
    """One machine."""

    name: str
    labels: Mapping[str, str]
    address: str
    connection: str
    vars: Mapping[str, Node]
    modules: tuple[ModuleUse, ...]
    resources: tuple[ResourceNode, ...]
    place: Place


@dataclass(frozen=True)
class Group:
    """What all hosts of a selector share; groups apply by priority, then name, the later wins."""

    name: str
    selector: Selector
    priority: int
    vars: Mapping[str, Node]
    modules: tuple[ModuleUse, ...]
    resources: tuple[ResourceNode, ...]
    place: Place


@dataclass(frozen=True)
class Module:
    """A reusable part. `folder` is the module's own; `cue` names its module.cue or params.cue, when there is one."""

    name: str
    folder: str
    params: Mapping[str, Node]
    resources: tuple[ResourceNode, ...]
    drift: str
    place: Place
    on_failure: str = "continue"
    module_cue: str = ""
    params_cue: str = ""


@dataclass(frozen=True)
class DeclaredProvider:
    """An external provider: its program (a path in the tree, empty when its declaration is broken), the protocol's version, the
    values that its things have, and what it does with a notification (empty: it takes none).
    """

    name: str
    executable: str
    protocol: int
    attributes: Mapping[str, Attribute]
    place: Place
    on_notify: str = ""


@dataclass(frozen=True)
class DeclaredFact:
    """A custom fact: its program (a path in the tree, empty when its declaration is broken), its type, and the seconds it may take."""

    name: str
    program: str
    type: str
    timeout: int
    place: Place


@dataclass(frozen=True)
class Config:
    """A whole project. `lost` are addresses of resources that could not be read, so that nothing is said of references to them."""

    project: Project
    hosts: Mapping[str, HostDocument]
    groups: Mapping[str, Group]
    modules: Mapping[str, Module]
    lost: frozenset[str] = frozenset()
    providers: Mapping[str, DeclaredProvider] = field(default_factory=dict[str, DeclaredProvider])
    facts: Mapping[str, DeclaredFact] = field(default_factory=dict[str, DeclaredFact])

    def environment_of(self, host: HostDocument) -> tuple[Environment, ...]:
        """Give the environments whose selector matches a host."""
        return tuple(item for item in self.project.environments.values() if matches(item.hosts, host.labels))

    def groups_of(self, host: HostDocument) -> tuple[Group, ...]:
        """Give a host's groups in the order in which they apply."""
        found = [group for group in self.groups.values() if matches(group.selector, host.labels)]
        return tuple(sorted(found, key=lambda group: (group.priority, group.name)))


def matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Say whether every label of the selector has one of its values; an empty selector matches all."""
    return all(labels.get(name) in values for name, values in selector.items())
