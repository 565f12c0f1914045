"""Compile a Config: for every host the units of its groups and modules, shared where nothing that they read differs.

Takes a Config and the tree it came from, gives Graphs by environment, what each host is made of (for `explain`), and diagnostics.
Hosts in no environment are compiled under the empty name, with a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gitops.compile.checks import check_host
from gitops.compile.interpolate import expand_node
from gitops.compile.params import check_schemas, fill_params
from gitops.compile.scope import CompileError, Layer, Scope, layer_variables
from gitops.compile.unit import Placed, Unit, UnitCompiler
from gitops.compile.variables import resolve_variables
from gitops.config.config import Config, Environment, HostDocument, Module, ModuleUse, ResourceNode, matches
from gitops.config.node import Node, to_plain
from gitops.config.reader import suggest
from gitops.model.codec import digest_bytes
from gitops.model.diagnostic import Diagnostic, Place, sort_diagnostics
from gitops.model.graph import Block, Graphs, HostGraph
from gitops.model.sourcetree import SourceTree
from gitops.plan.item import Preparer
from gitops.providers.registry import PROVIDERS

ReadCueModule = Callable[[Module, Mapping[str, Node], Scope], tuple[tuple[ResourceNode, ...], list[Diagnostic]]]


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
class _Variant:
    params: object
    unit: Unit


@dataclass
class _Compiling:
    """The state of one compile: shared units, blocks, and what was found."""

    config: Config
    tree: SourceTree
    read_cue: ReadCueModule | None
    found: list[Diagnostic] = field(default_factory=list[Diagnostic])
    variants: dict[str, list[_Variant]] = field(default_factory=dict[str, list[_Variant]])
    blocks: dict[int, tuple[Unit, str, Block]] = field(default_factory=dict[int, tuple[Unit, str, Block]])
    checked: set[tuple[int, ...]] = field(default_factory=set[tuple[int, ...]])
    preparer: Preparer = field(default_factory=lambda: Preparer(PROVIDERS))


def compile_config(config: Config, tree: SourceTree, *, read_cue: ReadCueModule | None = None) -> Compiled:
    """Compile every host of a project."""
    state = _Compiling(config, tree, read_cue)
    for module in config.modules.values():
        state.found.extend(check_schemas(module))
    state.found.extend(_check_selectors(config))
    hosts = {name: _compile_host(config.hosts[name], state) for name in sorted(config.hosts)}
    graphs = _collect_graphs(config, hosts, state)
    return Compiled(graphs, hosts, sort_diagnostics(state.found))


def _compile_host(host: HostDocument, state: _Compiling) -> CompiledHost:
    environment = _find_environment(host, state)
    drift = environment.drift if environment is not None else "heal"
    layers = layer_variables(state.config, host)
    values, problems = resolve_variables(host, layers, state.config.project.secrets)
    state.found.extend(problems)
    units: list[Unit] = []
    uses: list[ModuleUse] = []
    for group in state.config.groups_of(host):
        uses.extend(group.modules)
        if group.resources:
            scope = Scope(host, values, state.config.project.secrets)
            units.append(_share(f"group/{group.name}", None, scope, state, _PlainUnit(group.resources, "", drift, group.place)))
    uses.extend(host.modules)
    units.extend(_compile_modules(uses, host, values, state, drift))
    scope = Scope(host, values, state.config.project.secrets)
    own = UnitCompiler(state.tree, scope, "", drift).compile(f"host/{host.name}", host.resources, host.place)
    state.found.extend(own.diagnostics)
    compiled = CompiledHost(host, environment.name if environment else "", layers, tuple(units), own)
    _check(compiled, state)
    return compiled


@dataclass(frozen=True)
class _PlainUnit:
    resources: tuple[ResourceNode, ...]
    folder: str
    drift: str
    place: Place


def _compile_modules(
    uses: Sequence[ModuleUse], host: HostDocument, values: Mapping[str, Node], state: _Compiling, drift: str
) -> list[Unit]:
    units: list[Unit] = []
    seen: dict[str, tuple[object, ModuleUse]] = {}
    for use in uses:
        module = state.config.modules.get(use.name)
        if module is None:
            hint = suggest(use.name, state.config.modules)
            state.found.append(Diagnostic("C206", f"unknown module `{use.name[:60]}`", use.place, hint=hint, width=use.width))
            continue
        params = _read_params(module, use, Scope(host, values, state.config.project.secrets), state)
        if params is None:
            continue
        plain = {name: to_plain(node) for name, node in params.items()}
        if use.name in seen:
            first_plain, first = seen[use.name]
            if first_plain != plain:
                places = sorted((first.place, use.place))
                message = f"module `{use.name}` is used with different parameters on {host.name}"
                state.found.append(
                    Diagnostic("C208", message, places[1], related=(places[0],), hint="one use, or equal parameters")
                )
            continue
        seen[use.name] = (plain, use)
        scope = Scope(host, values, state.config.project.secrets, params)
        unit = _PlainUnit(module.resources, module.folder, module.drift or drift, module.place)
        units.append(_share(f"module/{use.name}", plain, scope, state, unit, module))
    return units


def _read_params(module: Module, use: ModuleUse, scope: Scope, state: _Compiling) -> dict[str, Node] | None:
    given: dict[str, Node] = {}
    for name, node in use.params.items():
        try:
            given[name] = expand_node(node, scope)
        except CompileError as error:
            state.found.append(error.diagnostic)
            return None
    if module.module_cue or module.params_cue:
        return given
    params, problems = fill_params(module, use, given)
    state.found.extend(problems)
    return None if problems else params


def _share(name: str, params: object, scope: Scope, state: _Compiling, plain: _PlainUnit, module: Module | None = None) -> Unit:
    """Give a unit that was compiled before when all it read is equal here, else compile it."""
    for variant in state.variants.get(name, []):
        is_same = variant.params == params and all(
            key.startswith(("params.", "each.")) or scope.value_of(key) == value for key, value in variant.unit.reads.items()
        )
        if is_same:
            return variant.unit
    unit = _compile_unit(name, scope, state, plain, module)
    state.found.extend(unit.diagnostics)
    state.variants.setdefault(name, []).append(_Variant(params, unit))
    return unit


def _compile_unit(name: str, scope: Scope, state: _Compiling, plain: _PlainUnit, module: Module | None) -> Unit:
    resources = plain.resources
    if module is not None and (module.module_cue or module.params_cue) and state.read_cue is not None:
        resources, problems = state.read_cue(module, scope.params or {}, scope)
        state.found.extend(problems)
    return UnitCompiler(state.tree, scope, plain.folder, plain.drift).compile(name, resources, plain.place)


def _check(compiled: CompiledHost, state: _Compiling) -> None:
    key = tuple(id(unit) for unit in compiled.units)
    if compiled.own.placed or key not in state.checked:
        state.found.extend(check_host(compiled.document.name, compiled.placed, state.preparer))
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
    for what, selector, place in owners:
        if not any(matches(selector, host.labels) for host in config.hosts.values()):
            found.append(Diagnostic("C211", f"the selector of {what} matches no host", place, severity="warning"))
    return found
