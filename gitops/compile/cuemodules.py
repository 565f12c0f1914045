"""Modules written in CUE: their parameters and resources, evaluated for all hosts in one batch before anything is compiled.

Takes the uses of such modules with the scope of each host, asks an evaluator (`gitops.config.cue`) once for the distinct inputs, and
gives parameters and resource nodes, or diagnostics. What a module may see of `vars` and `host` is what its text names, so that
hosts which do not differ in it share the result; naming a root as a whole (`vars["x"]`, `let v = vars`) reads all of it. A module that
uses `hosts` sees the hosts of the environment as a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from gitops.compile.scope import ALL, PEERS, Scope
from gitops.compile.written import WrittenFloat, WrittenInt, to_readable
from gitops.config.config import Module, ModuleUse, ResourceNode
from gitops.config.cue import OWN_CLAUSE, CueAnswer, CueProblem, Instance, make_diagnostic
from gitops.config.cuedocuments import read_source
from gitops.config.locator import Locator
from gitops.config.node import Node, from_plain
from gitops.config.reader import Findings
from gitops.config.resources import read_resources
from gitops.model.diagnostic import Diagnostic, Place
from gitops.model.sourcetree import SourceTree
from gitops.providers.registry import PROVIDERS

Evaluate = Callable[[Sequence[Instance]], list[CueAnswer]]
PACKAGE = "module"
_KEPT = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+\Z")
_PACKAGE = re.compile(r"(?m)^package[ \t]+([A-Za-z_]\w*)")
_PARAMS = re.compile(r"#Params\b\s*[?!]?:")
_COMMENT = re.compile(r"//[^\n]*")
_FIELD = re.compile(r"\.([A-Za-z_]\w*)")
_OPEN_DECLARATION = re.compile(r"\s*[?!]?:\s*(?:_|\{\s*\.\.\.\s*\})\s*(?:\n|\Z)")
_PEERS = re.compile(r"(?<![\w#$.])hosts\b(?!\"|\s*[?!]?:)")  # a declaration is no use
_LABEL = re.compile(r"\.labels\.([A-Za-z_]\w*)")


@dataclass(frozen=True)
class CueUnit:
    """One module with one set of inputs: its parameters, its resources (None when module.yaml has them), what is wrong."""

    params: Mapping[str, Node] = field(default_factory=dict[str, Node])
    resources: tuple[ResourceNode, ...] | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    lost: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Source:
    """A module's CUE file as read, and the names that it reads."""

    path: str
    text: str
    reads: tuple[str, ...] = ()


def is_cue(module: Module) -> bool:
    """Say whether a module's parameters or resources are written in CUE."""
    return bool(module.module_cue or module.params_cue)


class CueModules:
    """The CUE modules of one compile."""

    def __init__(self, tree: SourceTree, evaluate: Evaluate) -> None:
        self._tree = tree
        self._evaluate = evaluate
        self._sources: dict[str, _Source | Diagnostic] = {}
        self._answers: dict[tuple[str, str], CueAnswer] = {}
        self._peers: dict[str, str] = {}

    def prepare(self, wanted: Iterable[tuple[Module, Mapping[str, Node], Scope]]) -> None:
        """Evaluate all distinct inputs at once."""
        instances: dict[tuple[str, str], Instance] = {}
        for module, given, scope in wanted:
            source = self._source_of(module)
            if isinstance(source, _Source):
                inputs = self._inputs(source, module, given, scope)
                key = (source.path, inputs)
                if key not in instances:
                    instances[key] = Instance({source.path: source.text.encode()}, inputs, is_unit=True)
        self._answers.update(zip(instances, self._evaluate(list(instances.values())), strict=True))

    def give(self, module: Module, use: ModuleUse, given: Mapping[str, Node], scope: Scope) -> CueUnit:
        """Give what a use of a module comes to; what it reads is recorded in the scope."""
        source = self._source_of(module)
        if isinstance(source, Diagnostic):
            return CueUnit(diagnostics=(source,), lost=frozenset(("*",)))
        answer = self._answers[source.path, self._inputs(source, module, given, scope)]
        if answer.problems:
            found = [_explain(problem, module, use, given) for problem in answer.problems]
            about_params = [item for item in found if item.code == "C207"]
            found = tuple(about_params or found)  # others may follow from wrong parameters
            return CueUnit(diagnostics=found, lost=frozenset(("*",)))
        value = cast("dict[str, object]", answer.value)
        params = _read_params(value.get("params"), given, Place(source.path))
        if not module.module_cue:
            return CueUnit(params)
        return _read_resources(value.get("resources"), params, source)

    def _source_of(self, module: Module) -> _Source | Diagnostic:
        path = module.module_cue or module.params_cue
        if path not in self._sources:
            self._sources[path] = _read(self._tree, path, is_module=bool(module.module_cue))
        return self._sources[path]

    def _inputs(self, source: _Source, module: Module, given: Mapping[str, Node], scope: Scope) -> str:
        lines = [f"package {PACKAGE}"]
        if not _PARAMS.search(source.text):
            lines.append("#Params: {}")
        readable = {name: to_readable(node) for name, node in given.items()}
        lines.append(f"params: #Params & {_to_cue(readable, is_escaped=bool(module.module_cue))}")
        if module.module_cue:
            lines.extend(f"{root}: {_to_cue(_visible(root, source, scope))}" for root in ("vars", "host"))
            if f"{PEERS}.{ALL}" in source.reads:
                lines.append(f"{PEERS}: {self._peers_in_cue(scope)}")
        return "\n".join(lines) + "\n"

    def _peers_in_cue(self, scope: Scope) -> str:
        """Write the hosts of an environment once for all that see the same."""
        peers = scope.read_peers({})
        digest = scope.value_of(f"{PEERS}.{{}}")
        if digest not in self._peers:
            self._peers[digest] = _to_cue(peers)
        return self._peers[digest]


def _read(tree: SourceTree, path: str, *, is_module: bool) -> _Source | Diagnostic:
    data = read_source(tree, path)
    if isinstance(data, Diagnostic):
        return data
    text = data.decode()
    clause = _PACKAGE.search(text)
    if clause is None or clause[1] != PACKAGE:
        got = "no package" if clause is None or text.startswith(OWN_CLAUSE) else f"package {clause[1]}"
        line = text.count("\n", 0, clause.start()) + 1 if clause else 1
        return Diagnostic("C502", f"CUE: got {got}, expected `package {PACKAGE}`", Place(path, line))
    return _Source(path, text, _find_reads(text) if is_module else ())


def _find_reads(text: str) -> tuple[str, ...]:
    """List the names that a module's text may read: `vars.x`, `host.labels.y`, `vars.*`."""
    code = _COMMENT.sub("", text)
    found: set[str] = set()
    for root in ("vars", "host"):
        for mention in re.finditer(rf"(?<![\w#$.]){root}\b(?!\")", code):
            after = code[mention.end() :]
            label, name = _LABEL.match(after), _FIELD.match(after)
            if root == "host" and label:
                found.add(f"{root}.labels.{label[1]}")
            elif name:
                found.add(f"{root}.{name[1]}")
            elif not _OPEN_DECLARATION.match(after):
                found.add(f"{root}.{ALL}")
    if _PEERS.search(code):
        found.add(f"{PEERS}.{ALL}")
    return tuple(sorted(found))


def _visible(root: str, source: _Source, scope: Scope) -> dict[str, object]:
    """Give the part of a root that a module reads, recording it."""
    wanted = [key.split(".") for key in source.reads if key.startswith(f"{root}.")]
    if [root, ALL] in wanted:
        return scope.read_all(root)
    found: dict[str, object] = {}
    labels: dict[str, object] = {}
    for path in wanted:
        node = scope.look_up(tuple(path))
        if node is not None:
            into = labels if len(path) > 2 else found  # noqa: PLR2004  host.labels.x
            into[path[-1]] = to_readable(node)
    if labels:
        found.setdefault("labels", labels)
    return found


def _to_cue(value: object, *, is_escaped: bool = True) -> str:
    """Write a value as CUE (JSON is CUE). What CUE gives back is interpolated, so `${` in values is escaped for modules."""
    text = _spell(value)
    return text.replace("${", "$${") if is_escaped else text


def _spell(value: object) -> str:
    """Write JSON; a number as it was written, where CUE reads that and keeps it."""
    if isinstance(value, dict):
        table = cast("dict[str, object]", value)
        return "{" + ", ".join(f"{_spell(key)}: {_spell(table[key])}" for key in sorted(table)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_spell, cast("list[object]", value))) + "]"
    if isinstance(value, WrittenFloat) and _KEPT.match(value.node.written):
        return value.node.written
    if isinstance(value, WrittenInt | WrittenFloat):
        return repr(value.node.value)
    return json.dumps(value, ensure_ascii=False)


def _read_params(value: object, given: Mapping[str, Node], place: Place) -> dict[str, Node]:
    if not isinstance(value, dict):
        return {}
    table = cast("dict[str, object]", value)
    return {name: _carry(item, given.get(name), place) for name, item in table.items()}


def _carry(value: object, given: Node | None, place: Place) -> Node:
    """Give a value of CUE; what it left as it was given is the Node that was given, with its own place and spelling."""
    if given is None:
        return from_plain(value, place)
    if isinstance(value, dict) and isinstance(given.value, dict):
        table = cast("dict[str, object]", value)
        inner = {key: _carry(item, given.entries.get(key), given.place) for key, item in table.items()}
        return Node(inner, given.place, given.width, given.keys, given.origin)
    if isinstance(value, list) and isinstance(given.value, tuple) and len(given.items) == len(cast("list[object]", value)):
        pairs = zip(cast("list[object]", value), given.items, strict=True)
        return Node(tuple(_carry(item, old, given.place) for item, old in pairs), given.place, given.width, origin=given.origin)
    is_same = value == given.value and all(isinstance(value, kind) == isinstance(given.value, kind) for kind in (bool, float))
    return given if is_same else from_plain(cast("object", value), given.place)


def _read_resources(value: object, params: Mapping[str, Node], source: _Source) -> CueUnit:
    locator = Locator({source.path: source.text.encode()})
    place = locator.find_field("resources", Place(source.path))
    if not isinstance(value, list):
        got = "is missing" if value is None else "is no list"
        message = f"`resources` {got}, expected a list of resources"
        return CueUnit(params, (), (Diagnostic("C106", message, place),), frozenset(("*",)))
    findings = Findings()
    items = cast("list[object]", value)
    nodes = tuple(from_plain(item, _place_of(item, locator, place)) for item in items)
    resources = read_resources(nodes, findings)
    return CueUnit(params, resources, tuple(findings.found), frozenset(findings.lost))


def _place_of(item: object, locator: Locator, place: Place) -> Place:
    table = cast("dict[str, object]", item) if isinstance(item, dict) else {}
    for key, name in table.items():
        if key in PROVIDERS and isinstance(name, str):
            return locator.find_text(f'{key}: "{name}"', place)
    return place


def _explain(problem: CueProblem, module: Module, use: ModuleUse, given: Mapping[str, Node]) -> Diagnostic:
    """Say it at the use when the parameters are wrong, else in the module."""
    root, _, rest = problem.path.partition(".")
    if problem.code != "C502" or root not in ("params", "#Params") or not rest:
        return make_diagnostic(problem)
    name = rest.partition(".")[0]
    related = (problem.place,)
    if name not in given:
        message = f"module `{module.name}` needs the parameter `{name}`: {problem.message}"
        return Diagnostic("C207", message, use.place, width=use.width, hint="give it in `params`", related=related)
    node = given[name]
    if "field not allowed" in problem.message:
        message = f"module `{module.name}` has no parameter `{name[:60]}`"
        return Diagnostic("C207", message, node.place, hint="see #Params", width=node.width, related=related)
    message = f"parameter `{rest}` of module `{module.name}`: {problem.message}"
    return Diagnostic("C207", message, node.place, width=node.width, related=related)
