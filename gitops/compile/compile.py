"""Compile a Config: for every host the units of its groups and modules, shared where nothing that they read differs.

Takes a Config and the tree it came from, gives Graphs by environment, what each host is made of (for `explain`), and diagnostics.
Hosts in no environment are compiled under the empty name, with a warning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gitops.compile.cuemodules import CueModules, Evaluate, is_cue
from gitops.compile.frozen import freeze_nodes
from gitops.compile.interpolate import expand_all, holds_secret
from gitops.compile.params import Filled, fill_params
from gitops.compile.paramschemas import check_schemas
from gitops.compile.peers import NO_PEERS, Peers
from gitops.compile.quickcheck import HostChecker
from gitops.compile.scope import CompileError, Layer, Scope, fail, layer_variables
from gitops.compile.template import check_templates
from gitops.compile.unit import EVERYTHING, Placed, Programs, Unit, UnitCompiler
from gitops.compile.variables import resolve_variables
from gitops.config.config import Config, Environment, Group, HostDocument, Module, ModuleUse, ResourceNode, matches
from gitops.config.cue import CueAnswer, CueProblem, Instance
from gitops.config.node import Node
from gitops.config.reader import suggest
from gitops.config.selecting import explain_mismatch
from gitops.model.codec import digest_bytes
from gitops.model.diagnostic import Diagnostic, Place, sort_diagnostics
from gitops.model.graph import Block, Graphs, HostGraph
from gitops.model.sourcetree import SourceTree
from gitops.plan.item import Preparer
from gitops.providers.registry import PROVIDERS


@dataclass(frozen=True)
class CompiledHost:
    """What one host is made of. `uses` are the modules with the place that brought them in."""

    document: HostDocument
    environment: str
    layers: Mapping[str, list[Layer]]
    units: tuple[Unit, ...]
    own: Unit
    digests: tuple[str, ...] = ()

    @property
    def placed(self) -> tuple[Placed, ...]:
        """Every resource with its place."""
        return tuple(item for unit in (*self.units, self.own) for item in unit.placed)


@dataclass(frozen=True)
class Compiled:
    """The result: graphs by environment, hosts for `explain`, diagnostics sorted."""

    graphs: Mapping[str, Graphs]
    hosts: Mapping[str, CompiledHost]
    diagnostics: tuple[Diagnostic, ...]


@dataclass
class _Sharing:
    """The units of one name: for each set of names that one of them read, the units by the values it saw."""

    by_reads: dict[tuple[str, ...], dict[tuple[str, ...], Unit]] = field(
        default_factory=dict[tuple[str, ...], dict[tuple[str, ...], Unit]]
    )

    def find(self, scope: Scope) -> Unit | None:
        """Give a unit that read nothing which differs here."""
        for keys, units in self.by_reads.items():
            found = units.get(tuple(scope.value_of(key) for key in keys))
            if found is not None:
                return found
        return None

    def add(self, unit: Unit) -> None:
        """Keep a unit. Parameters are part of the name, and `each` comes from what was read."""
        keys = tuple(sorted(key for key in unit.reads if not key.startswith(("params.", "each."))))
        self.by_reads.setdefault(keys, {})[tuple(unit.reads[key] for key in keys)] = unit


@dataclass(frozen=True)
class _Use:
    """A module that a host uses, with its parameters as given, interpolated."""

    use: ModuleUse
    module: Module
    given: Mapping[str, Node]


@dataclass(frozen=True)
class _Resolved:
    """A host before its units are compiled: environment, variables, modules."""

    host: HostDocument
    environment: str
    drift: str
    layers: Mapping[str, list[Layer]]
    values: Mapping[str, Node]
    groups: tuple[Group, ...]
    uses: tuple[_Use, ...]
    is_whole: bool


@dataclass
class _Compiling:
    """The state of one compile: shared units, blocks, and what was found."""

    config: Config
    tree: SourceTree
    cue: CueModules
    programs: Programs
    found: list[Diagnostic] = field(default_factory=list[Diagnostic])
    shared: dict[tuple[str, str, str], _Sharing] = field(default_factory=dict[tuple[str, str, str], _Sharing])
    filled: dict[tuple[str, str], Filled] = field(default_factory=dict[tuple[str, str], Filled])
    broken: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    blocks: dict[int, tuple[Unit, str, Block]] = field(default_factory=dict[int, tuple[Unit, str, Block]])
    checked: set[tuple[int, ...]] = field(default_factory=set[tuple[int, ...]])
    peers: dict[str, Peers] = field(default_factory=dict[str, Peers])
    checker: HostChecker = field(default_factory=lambda: HostChecker(Preparer(PROVIDERS)))

    def scope(self, resolved: _Resolved, params: Mapping[str, Node] | None = None) -> Scope:
        """Make what a host sees."""
        peers = self.peers.get(resolved.environment, NO_PEERS)
        return Scope(resolved.host, resolved.values, self.config.project.secrets, params, peers=peers)


def compile_config(config: Config, tree: SourceTree, *, evaluate: Evaluate | None = None) -> Compiled:
    """Compile every host of a project; `evaluate` runs CUE (None for projects without CUE modules)."""
    programs = Programs(config.providers, config.facts)
    state = _Compiling(config, tree, CueModules(tree, evaluate or _refuse_cue), programs)
    for name, module in sorted(config.modules.items()):
        checked = check_schemas(module)
        state.found.extend(checked.diagnostics)
        state.broken[name] = checked.broken
    state.found.extend(_check_selectors(config))
    state.found.extend(check_templates(config, tree))
    labels = [host.labels for host in config.hosts.values()]
    resolved = [_resolve_host(config.hosts[name], state) for name in sorted(config.hosts)]
    for environment in {item.environment for item in resolved}:
        own = [(item.host, item.values) for item in resolved if item.environment == environment]
        state.peers[environment] = Peers(own, labels)
    state.cue.prepare((use.module, use.given, state.scope(item)) for item in resolved for use in item.uses if is_cue(use.module))
    hosts = {item.host.name: _compile_host(item, state) for item in resolved}
    graphs = _collect_graphs(config, hosts, state)
    return Compiled(graphs, hosts, sort_diagnostics(state.found))


def _refuse_cue(instances: Sequence[Instance]) -> list[CueAnswer]:
    first = [Place(min(item.sources)) for item in instances]
    return [CueAnswer(problems=(CueProblem("", "CUE is not read here", place, code="C501"),)) for place in first]


def _resolve_host(host: HostDocument, state: _Compiling) -> _Resolved:
    environment = _find_environment(host, state)
    layers = layer_variables(state.config, host)
    values, problems = resolve_variables(host, layers, state.config.project.secrets)
    state.found.extend(problems)
    groups = state.config.groups_of(host)
    mentioned = [use for group in groups for use in group.modules] + list(host.modules)
    scope = Scope(host, values, state.config.project.secrets)
    uses = [_resolve_use(use, scope, state) for use in mentioned]
    return _Resolved(
        host=host,
        environment=environment.name if environment else "",
        drift=environment.drift if environment else "heal",
        layers=layers,
        values=values,
        groups=groups,
        uses=tuple(use for use in uses if use is not None),
        is_whole=None not in uses,
    )


def _resolve_use(use: ModuleUse, scope: Scope, state: _Compiling) -> _Use | None:
    module = state.config.modules.get(use.name)
    if module is None:
        hint = suggest(use.name, state.config.modules)
        state.found.append(Diagnostic("C206", f"unknown module `{use.name[:60]}`", use.place, hint=hint, width=use.width))
        return None
    given: dict[str, Node] = {}
    is_whole = True
    for name, node in use.params.items():
        try:
            given[name] = expand_all(node, scope)
            if holds_secret(given[name]):
                hint = "write `${secret.NAME}` in the module, where it is needed"
                raise fail("C403", f"parameter `{name[:60]}` holds a secret", node.place, hint=hint, width=node.width)
        except CompileError as error:
            state.found.extend(error.diagnostics)
            is_whole = False
    return _Use(use, module, given) if is_whole else None


def _compile_host(resolved: _Resolved, state: _Compiling) -> CompiledHost:
    units: list[Unit] = []
    for group in resolved.groups:
        if group.resources:
            plain = _PlainUnit(group.resources, "", resolved.drift, group.place)
            units.append(_share(f"group/{group.name}", "", state.scope(resolved), state, plain))
    units.extend(_compile_modules(resolved, state))
    host = resolved.host
    compiler = UnitCompiler(state.tree, state.scope(resolved), "", resolved.drift, programs=state.programs)
    own = compiler.compile(f"host/{host.name}", host.resources, host.place)
    state.found.extend(own.diagnostics)
    compiled = CompiledHost(host, resolved.environment, resolved.layers, tuple(units), own)
    _check(compiled, state, is_whole=resolved.is_whole)
    return compiled


@dataclass(frozen=True)
class _PlainUnit:
    resources: tuple[ResourceNode, ...]
    folder: str
    drift: str
    place: Place
    diagnostics: tuple[Diagnostic, ...] = ()
    lost: frozenset[str] = frozenset()
    on_failure: str = "continue"


def _compile_modules(resolved: _Resolved, state: _Compiling) -> list[Unit]:
    units: list[Unit] = []
    seen: dict[str, tuple[str, ModuleUse]] = {}
    for item in resolved.uses:
        module, use = item.module, item.use
        scope = state.scope(resolved)
        filled = _fill(item, scope, state)
        state.found.extend(filled.diagnostics)
        params = filled.frozen
        if use.name in seen:
            first_params, first = seen[use.name]
            if first_params != params:
                places = sorted((first.place, use.place))
                message = f"module `{use.name}` is used with different parameters on {resolved.host.name}"
                state.found.append(
                    Diagnostic("C208", message, places[1], related=(places[0],), hint="one use, or equal parameters")
                )
            continue
        seen[use.name] = (params, use)
        reads, scope = scope.reads, state.scope(resolved, filled.params)
        scope.reads.update(reads)
        resources = module.resources if filled.resources is None else filled.resources
        lost = filled.lost
        drift = module.drift or resolved.drift
        plain = _PlainUnit(resources, module.folder, drift, module.place, lost=lost, on_failure=module.on_failure)
        units.append(_share(f"module/{use.name}", params, scope, state, plain))
    return units


def _fill(item: _Use, scope: Scope, state: _Compiling) -> Filled:
    """Give the parameters of a use with their defaults; a CUE module also gives its resources. Broken ones compile to nothing."""
    if is_cue(item.module):
        unit = state.cue.give(item.module, item.use, item.given, scope)
        resources = unit.resources or (() if unit.lost else None)
        return Filled(unit.params, unit.diagnostics, resources, unit.lost, _freeze_params(unit.params))
    key = (item.use.name, _freeze_params(item.given))
    found = state.filled.get(key)
    if found is None or found.diagnostics:
        found = fill_params(item.module, item.use, item.given, state.broken[item.module.name])
        found = state.filled[key] = replace(found, frozen=_freeze_params(found.params))
    return found


def _freeze_params(params: Mapping[str, Node]) -> str:
    return freeze_nodes(params) if params else ""


def _share(name: str, params: str, scope: Scope, state: _Compiling, plain: _PlainUnit) -> Unit:
    """Give a unit that was compiled before when all it read is equal here, else compile it."""
    sharing = state.shared.setdefault((name, plain.drift, params), _Sharing())
    unit = sharing.find(scope)
    if unit is None:
        compiler = UnitCompiler(
            state.tree, scope, plain.folder, plain.drift, on_failure=plain.on_failure, programs=state.programs
        )
        unit = compiler.compile(name, plain.resources, plain.place)
        if plain.lost:
            unit = replace(unit, lost=unit.lost | plain.lost)
        state.found.extend(unit.diagnostics)
        sharing.add(unit)
    return unit


def _check(compiled: CompiledHost, state: _Compiling, *, is_whole: bool) -> None:
    units = (*compiled.units, compiled.own)
    key = tuple(id(unit) for unit in compiled.units)
    if compiled.own.placed or key not in state.checked:
        lost = state.config.lost.union(*(unit.lost for unit in units))
        lost = lost if is_whole else lost | {EVERYTHING}
        state.found.extend(state.checker.check(compiled.document.name, units, lost))
    if not compiled.own.placed:
        state.checked.add(key)


def _collect_graphs(config: Config, hosts: Mapping[str, CompiledHost], state: _Compiling) -> dict[str, Graphs]:
    names = sorted({*config.project.environments, *(host.environment for host in hosts.values())})
    return {name: _collect_environment(name, hosts, state) for name in names}


def _collect_environment(name: str, hosts: Mapping[str, CompiledHost], state: _Compiling) -> Graphs:
    graphs: dict[str, HostGraph] = {}
    blocks: dict[str, Block] = {}
    blobs: dict[str, bytes] = {}
    for host, compiled in hosts.items():
        if compiled.environment != name:
            continue
        digests: list[str] = []
        for unit in compiled.units:
            if unit.placed:
                digest, block = _block_of(unit, state)
                blocks[digest] = block
                digests.append(digest)
            blobs.update(unit.blobs)
        blobs.update(compiled.own.blobs)
        own = tuple(sorted((item.resource for item in compiled.own.placed), key=lambda item: item.address))
        graphs[host] = HostGraph(host, name, tuple(sorted(digests)), own)
    return Graphs(name, graphs, blocks, blobs)


def _block_of(unit: Unit, state: _Compiling) -> tuple[str, Block]:
    found = state.blocks.get(id(unit))
    if found is None:
        resources = tuple(sorted((item.resource for item in unit.placed), key=lambda item: item.address))
        block = Block(unit.name, resources)
        found = (unit, digest_bytes(block.to_bytes()), block)
        state.blocks[id(unit)] = found
    return found[1], found[2]


def _find_environment(host: HostDocument, state: _Compiling) -> Environment | None:
    found = state.config.environment_of(host)
    if len(found) > 1:
        names = " and ".join(item.name for item in found)
        related = tuple(item.place for item in found)
        state.found.append(Diagnostic("C212", f"host `{host.name}` is in two environments: {names}", host.place, related=related))
    if not found:
        hint = "add the label that an environment selects by"
        message = f"host `{host.name}` is in no environment"
        state.found.append(Diagnostic("C213", message, host.place, severity="warning", hint=hint))
        return None
    return found[0]


def _check_selectors(config: Config) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    owners = [(f"group `{group.name}`", group.selector, group.place) for group in config.groups.values()]
    owners.extend((f"environment `{item.name}`", item.hosts, item.place) for item in config.project.environments.values())
    labels = [host.labels for host in config.hosts.values()]
    for what, selector, place in owners:
        is_broken = "" in selector  # told already
        if not is_broken and not any(matches(selector, mine) for mine in labels):
            message, hint = f"the selector of {what} matches no host", explain_mismatch(selector, labels)
            found.append(Diagnostic("C211", message, place, severity="warning", hint=hint))
    return found
