"""Variables of one host: layered, then expanded; variables may refer to variables, never in a circle, never to secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gitops.compile.interpolate import expand_node, holds_secret
from gitops.compile.scope import CompileError, Layer, Scope, fail
from gitops.config.config import HostDocument
from gitops.config.node import Node
from gitops.config.resources import has_reference
from gitops.model.diagnostic import Diagnostic
from gitops.model.secret import SecretRef


def resolve_variables(
    host: HostDocument, layers: Mapping[str, list[Layer]], secrets: Mapping[str, SecretRef]
) -> tuple[dict[str, Node], list[Diagnostic]]:
    """Give every variable's value and the mistakes; a variable with a mistake keeps its text."""
    resolving = _Resolving(host, {name: found[-1].node for name, found in layers.items()}, secrets)
    for name in sorted(layers):
        resolving.resolve(name)
    return resolving.resolved, resolving.diagnostics


class _Resolving(Mapping[str, Node]):
    """The variables as a mapping that resolves on demand; what is being resolved is on a stack."""

    def __init__(self, host: HostDocument, raw: Mapping[str, Node], secrets: Mapping[str, SecretRef]) -> None:
        self.resolved: dict[str, Node] = {}
        self.diagnostics: list[Diagnostic] = []
        self._raw = raw
        self._stack: list[str] = []
        self._scope = Scope(host, self, secrets)

    def resolve(self, name: str) -> Node:
        """Give one value; raise CompileError for a circle."""
        if name in self.resolved:
            return self.resolved[name]
        node = self._raw[name]
        if not has_reference(node):
            self.resolved[name] = node
            return node
        if name in self._stack:
            circle = " → ".join([*self._stack[self._stack.index(name) :], name])
            raise fail("C209", f"variables refer to each other in a circle: {circle}", node.place)
        self._stack.append(name)
        try:
            value = expand_node(node, self._scope)
            if holds_secret(value):
                raise fail(
                    "C403", f"variable `{name}` holds a secret", node.place, hint="use `${secret.NAME}` where it is needed"
                )
        except CompileError as error:
            if len(self._stack) > 1 and error.diagnostic.code == "C209":
                raise
            self.diagnostics.append(error.diagnostic)
            value = node
        finally:
            self._stack.pop()
        self.resolved[name] = value
        return value

    def __getitem__(self, key: str) -> Node:
        if key not in self._raw:
            raise KeyError(key)
        return self.resolve(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)
