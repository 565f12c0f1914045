"""Unit: the resources of one module, group or host as one scope compiles them, with the places where they were written.

A unit becomes a block. It remembers what it read, so that hosts with the same values share it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from gitops.compile.external import compile_external
from gitops.compile.facts import compile_facts
from gitops.compile.interpolate import expand_all, expand_node, expand_text, holds_secret, is_secret_text
from gitops.compile.pointers import check_content
from gitops.compile.scope import CompileError, Scope, fail
from gitops.compile.template import folder_beside, read_template, render_template
from gitops.config.config import DeclaredFact, DeclaredProvider, ResourceNode
from gitops.config.nearnames import suggest_file
from gitops.config.node import Node, name_type, to_json
from gitops.config.resources import FILLED_IN, check_types, check_values, known_attributes, suggest_quotes
from gitops.errors import MalformedError
from gitops.model.address import Address, parse_address
from gitops.model.attribute import Attribute, decode_value
from gitops.model.codec import Json, digest_bytes
from gitops.model.diagnostic import Diagnostic, Place
from gitops.model.limits import DEFAULTS
from gitops.model.resource import Resource
from gitops.model.secret import text_to_json
from gitops.model.sourcetree import SourceTree
from gitops.providers.registry import PROVIDERS

INLINE_BYTES = 4096
EVERYTHING = "*"
PATH = Attribute("path", "the managed path")
SECRET_TYPES = ("content", "environment", "secret")


@dataclass(frozen=True)
class Placed:
    """A resource, where it was written, and where each of its edges was."""

    resource: Resource
    place: Place
    edges: Mapping[Address, Place] = field(default_factory=dict[Address, Place])


@dataclass(frozen=True)
class Unit:
    """What a module, group or host gives one scope. `reads` maps names such as `vars.x` to the frozen values seen.

    `lost` are addresses of resources that have a mistake; `*` when it is not known which there would be.
    """

    name: str
    placed: tuple[Placed, ...]
    diagnostics: tuple[Diagnostic, ...]
    reads: Mapping[str, str]
    blobs: Mapping[str, bytes]
    place: Place
    lost: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Programs:
    """The project's own programs, as they are declared: external providers and custom facts by name."""

    providers: Mapping[str, DeclaredProvider] = field(default_factory=dict[str, DeclaredProvider])
    facts: Mapping[str, DeclaredFact] = field(default_factory=dict[str, DeclaredFact])


NO_PROGRAMS = Programs()


class UnitCompiler:
    """Compiles resource nodes of one folder in one scope."""

    def __init__(
        self,
        tree: SourceTree,
        scope: Scope,
        folder: str,
        default_drift: str,
        *,
        on_failure: str = "continue",
        programs: Programs = NO_PROGRAMS,
    ) -> None:
        self._tree = tree
        self._programs = programs
        self._scope = scope
        self._folder = folder
        self._drift = default_drift
        self._on_failure = on_failure
        self._blobs: dict[str, bytes] = {}
        self._diagnostics: list[Diagnostic] = []
        self._lost: set[str] = set()

    def compile(self, name: str, nodes: tuple[ResourceNode, ...], place: Place) -> Unit:
        """Compile all resources; mistakes are collected in the unit."""
        placed: list[Placed] = []
        for node in nodes:
            try:
                scopes = self._repeat(node)
            except CompileError as error:
                self._lose(node, None, error)
                continue
            for scope in scopes:
                try:
                    placed.append(self._compile_one(node, scope))
                except CompileError as error:
                    self._lose(node, scope, error)
        reads = dict(self._scope.reads)
        return Unit(
            name, tuple(placed), (*self._diagnostics, *self._scope.notes), reads, self._blobs, place, frozenset(self._lost)
        )

    def _lose(self, node: ResourceNode, scope: Scope | None, error: CompileError) -> None:
        """Keep a mistake, and the address that it takes away."""
        self._diagnostics.extend(error.diagnostics)
        try:
            name = node.name.text if scope is None else expand_text(node.name, scope).text
        except CompileError:
            name = ""
        self._lost.add(EVERYTHING if not name or "${" in name else f"{node.kind}:{name}")

    def _repeat(self, node: ResourceNode) -> list[Scope]:
        if node.for_each is None:
            return [self._scope]
        over = expand_all(node.for_each, self._scope)
        if holds_secret(over):
            hint = "write `${secret.NAME}` in the content, where it is needed"
            raise fail("C403", "`for_each` holds a secret", node.for_each.place, hint=hint)
        if isinstance(over.value, tuple):
            pairs = [(Node(number, over.place), item) for number, item in enumerate(over.items)]
        elif isinstance(over.value, dict):
            pairs = [(Node(key, over.place), item) for key, item in over.entries.items()]
        else:
            raise fail("C215", f"`for_each` is {name_type(over)}, expected a list or a map", node.for_each.place)
        return [dataclasses.replace(self._scope, each={"key": key, "value": value}) for key, value in pairs]

    def _compile_one(self, node: ResourceNode, scope: Scope) -> Placed:
        name = expand_text(node.name, scope)
        if not isinstance(name.value, str) or not name.value:
            message = f"the name of a {node.kind} is {name_type(name)}, expected a string"
            raise fail("C105", message, node.name.place, hint=suggest_quotes(name))
        what = f"{node.kind}:{name.value}"
        expanded = self._expand(node, scope, what)
        self._check_secrets(node.kind, expanded, what)
        problems = _check(node, expanded, what)
        if problems:
            raise CompileError(*problems)
        attributes, is_sensitive = self._fill_content(node, expanded, scope, what)
        if node.kind == "external":
            self._add_program(node, expanded, name.value, attributes)
        asked = compile_facts(node.asked, self._programs.facts, self._tree)
        self._blobs.update(asked.blobs)
        needs, notify = self._read_edges(node.needs, scope), self._read_edges(node.notify, scope)
        resource = Resource(
            kind=node.kind,
            name=self._check_name(node, name.value),
            attributes=_normalise(node.kind, attributes, is_sensitive=is_sensitive),
            needs=tuple(sorted(needs)),
            notify=tuple(sorted(notify)),
            when={**node.when, **asked.when},
            drift=node.drift or self._drift,
            on_failure=self._on_failure,
            facts=asked.programs,
        )
        return Placed(resource, node.place, {**needs, **notify})

    def _expand(self, node: ResourceNode, scope: Scope, what: str) -> dict[str, Node]:
        """Expand every attribute; with a mistake in one, what the others and the edges have is told with it."""
        expanded: dict[str, Node] = {}
        problems: list[Diagnostic] = []
        for key, item in node.attributes.items():
            try:
                expanded[key] = expand_all(item, scope)
            except CompileError as error:
                problems.extend(error.diagnostics)
        if problems:
            brought = {key: item for key, item in expanded.items() if item is not node.attributes[key]}
            problems.extend(check_types(node.kind, brought, what))
            for edge in (*node.needs, *node.notify):
                try:
                    self._read_edges((edge,), scope)
                except CompileError as error:
                    problems.extend(error.diagnostics)
            raise CompileError(*problems)
        return expanded

    def _add_program(self, node: ResourceNode, expanded: Mapping[str, Node], name: str, attributes: dict[str, Json]) -> None:
        is_absent = "state" in expanded and expanded["state"].value == "absent"
        thing = compile_external(
            name,
            expanded.get("set"),
            is_absent=is_absent,
            place=node.place,
            providers=self._programs.providers,
            tree=self._tree,
        )
        attributes.update(thing.attributes)
        if thing.digest:
            self._blobs[thing.digest] = thing.program

    def _check_name(self, node: ResourceNode, name: str) -> str:
        provider = PROVIDERS[node.kind]
        if dataclasses.fields(provider.spec)[0].name == "path":
            try:
                decode_value(PATH, name)
            except ValueError as error:
                raise fail("C105", f"{node.kind}: {error}", node.name.place, width=node.name.width) from error
        elif "\n" in name or "\0" in name or name.startswith("-"):
            raise fail("C109", f"{name[:40]!r} is not a name for a {node.kind}", node.name.place)
        return name

    def _check_secrets(self, kind: str, attributes: Mapping[str, Node], what: str) -> None:
        known = known_attributes(kind)
        for key, node in attributes.items():
            if key in known and known[key].type in SECRET_TYPES:
                self._check_texts(key, node, what, is_table=known[key].type == "environment")
            elif holds_secret(node) and not (key in known and known[key].type == "values"):  # its provider says which are
                hint = "secrets may stand in a file's content, a command's environment and a user's password_hash"
                raise fail("C403", f"{what}: a secret in `{key}` would be seen by everybody", node.place, hint=hint)

    @staticmethod
    def _check_texts(key: str, node: Node, what: str, *, is_table: bool) -> None:
        """Refuse data that has the shape of a secret or of stored content, but was written as such."""
        texts = node.entries.values() if isinstance(node.value, dict) and is_table and not is_secret_text(node) else (node,)
        for item in texts:
            if isinstance(item.value, dict) and not is_secret_text(item):
                raise fail("C105", f"{what}: `{key}`: got a map, expected a string", item.place)

    def _fill_content(
        self, node: ResourceNode, expanded: dict[str, Node], scope: Scope, what: str
    ) -> tuple[dict[str, Json], bool]:
        attributes: dict[str, Json] = {key: to_json(item) for key, item in expanded.items() if key not in ("template", "source")}
        is_sensitive = any(holds_secret(item) for item in expanded.values())
        if "source" in expanded:
            data = self._read_beside(expanded["source"], "files", what)
            attributes["content"] = self._keep_blob(data)
        elif "template" in expanded:
            path = self._find_beside(expanded["template"], "templates", what)
            source = read_template(self._tree, path)
            check_content(source.encode("utf-8"), path, what, expanded["template"].place)
            text = render_template(source, path, scope)
            content = text_to_json(text)
            is_sensitive = is_sensitive or isinstance(content, dict)
            attributes["content"] = content
        content = attributes.get("content")
        if isinstance(content, str) and len(content.encode("utf-8")) > INLINE_BYTES:
            attributes["content"] = self._keep_blob(content.encode("utf-8"))
        return attributes, is_sensitive and node.kind == "file"

    def _keep_blob(self, data: bytes) -> dict[str, Json]:
        digest = digest_bytes(data)
        self._blobs[digest] = data
        return {"blob": digest, "size": len(data)}

    def _read_beside(self, node: Node, folder: str, what: str) -> bytes:
        path = self._find_beside(node, folder, what)
        if self._tree.size(path) > DEFAULTS.blob_bytes:
            raise fail("C602", f"{path} is larger than {DEFAULTS.blob_bytes} bytes", node.place)
        data = self._tree.read(path)
        check_content(data, path, what, node.place)
        return data

    def _find_beside(self, node: Node, folder: str, what: str) -> str:
        if not isinstance(node.value, str):
            raise fail("C105", f"{what}: the file is {name_type(node)}, expected a string", node.place, hint=suggest_quotes(node))
        base = folder_beside(self._folder, folder)
        parts = node.value.split("/")
        if node.value.startswith("/") or any(part in ("", ".", "..") for part in parts):
            hint = f"name a file below {base}/"
            raise fail("C305", f"{what}: {node.value[:80]!r} leaves {base}/", node.place, hint=hint, width=node.width)
        path = f"{base}/{node.value}"
        try:
            kind = self._tree.kind(path)
        except KeyError:
            hint = suggest_file(path, base, self._tree.paths())
            raise fail("C301", f"{what}: {path} is missing", node.place, hint=hint, width=node.width) from None
        if kind not in ("file", "executable"):
            raise fail("C610", f"{what}: {path} is a {kind}, expected a file", node.place)
        return path

    def _read_edges(self, nodes: tuple[Node, ...], scope: Scope) -> dict[Address, Place]:
        found: dict[Address, Place] = {}
        for node in nodes:
            expanded = expand_node(node, scope)
            if not isinstance(expanded.value, str):
                message = f"a reference is {name_type(expanded)}, expected an address like service:nginx"
                raise fail("C201", message, node.place, hint=suggest_quotes(expanded))
            try:
                found[parse_address(expanded.value)] = node.place
            except MalformedError as error:
                raise fail("C201", error.message, node.place, width=node.width) from error
        return found


def _check(node: ResourceNode, expanded: Mapping[str, Node], what: str) -> list[Diagnostic]:
    """Check what interpolation brought; what was written so was checked when it was read."""
    if not node.is_checked:
        return check_values(node.kind, expanded, what, place=node.place)
    brought = {key: item for key, item in expanded.items() if item is not node.attributes[key]}
    return check_types(node.kind, brought, what) if brought else []


def _normalise(kind: str, attributes: Mapping[str, Json], *, is_sensitive: bool) -> dict[str, Json]:
    found: dict[str, Json] = {}
    known = known_attributes(kind)
    for key, value in attributes.items():
        if kind == "external" and key in FILLED_IN:
            found[key] = value
        if key not in known:
            continue
        found[key] = value.zfill(4) if known[key].type == "mode" and isinstance(value, str) else value
    if is_sensitive:
        found["sensitive"] = True
    return found
