"""`${…}` in values: references to vars, params, host, each and secret; `$${` stands for `${`. No logic.

A string that is one reference keeps the type of what it names; inside text only scalars may stand. A secret becomes a part of its
own (`{parts: [...]}`), never its value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from gitops.compile.scope import ROOT_WORDS, ROOTS, CompileError, Scope, as_text, fail
from gitops.compile.written import tell_altered
from gitops.config.node import Node, name_type
from gitops.config.reader import suggest_among, suggest_and_list
from gitops.model.diagnostic import Diagnostic, Place

_TOKEN = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_PATH = re.compile(r"[a-z]+(\.[^.{}$\s]+)+\Z")
UNKNOWN_CODES = {"vars": "C204", "params": "C205", "secret": "C401", "each": "C215", "host": "C204"}
SECRET: Mapping[str, Place] = MappingProxyType({})  # by its identity: the mark of texts that hold a secret
Piece = str | tuple[Node, Place]


def expand_node(node: Node, scope: Scope) -> Node:
    """Give a node with every reference below it replaced; raise CompileError for the first that cannot be."""
    if isinstance(node.value, str):
        return expand_text(node, scope) if "${" in node.value else node
    if isinstance(node.value, dict):
        return Node({key: expand_node(item, scope) for key, item in node.entries.items()}, node.place, node.width, node.keys)
    if isinstance(node.value, tuple):
        return Node(tuple(expand_node(item, scope) for item in node.items), node.place, node.width)
    return node


def expand_all(node: Node, scope: Scope) -> Node:
    """Do the same; the CompileError has every reference that cannot be replaced. Only where no variable is still being resolved."""
    try:
        return expand_node(node, scope)
    except CompileError as error:
        first = error.diagnostic
        raise CompileError(first, *(item for item in _list_mistakes(node, scope) if item != first)) from error


def _list_mistakes(node: Node, scope: Scope) -> Iterator[Diagnostic]:
    for item in node.walk():
        parts = _parse(item.text) if "${" in item.text else ()
        for part in parts:
            try:
                piece = _give_piece(item, part, scope)
                if len(parts) > 1 and not isinstance(piece, str) and not is_secret_text(piece[0]):
                    _show(*piece)
            except CompileError as error:
                yield error.diagnostic


def expand_text(node: Node, scope: Scope) -> Node:
    """Expand one string."""
    pieces = _split(node, scope)
    if len(pieces) == 1 and not isinstance(pieces[0], str):
        only = pieces[0][0]
        return Node(only.value, node.place, node.width, only.keys, only.origin or only.place, only.written)
    parts: list[Node] = []
    text = ""
    for piece in pieces:
        if isinstance(piece, str):
            text += piece
            continue
        value, place = piece
        if is_secret_text(value):
            for part in value.entries["parts"].items:
                if isinstance(part.value, str):
                    text += part.value
                else:
                    parts.extend([Node(text, node.place)] if text else [])
                    parts.append(part)
                    text = ""
        else:
            text += _show(value, place)
    if not parts:
        return Node(text, node.place, node.width)
    parts.extend([Node(text, node.place)] if text else [])
    return Node({"parts": Node(tuple(parts), node.place)}, node.place, node.width, SECRET)


def _show(value: Node, place: Place) -> str:
    """Give a value as it stands inside text, at a place of it."""
    if value.written:
        raise CompileError(tell_altered(value, place))
    shown = as_text(value.value)
    if shown is None:
        raise fail("C217", f"{name_type(value)} cannot stand inside text", place, hint="name one value of it")
    return shown


def is_secret_text(node: Node) -> bool:
    """Say whether a node is a text with secrets in it; data that only looks like one is not."""
    return node.keys is SECRET


def holds_secret(node: Node) -> bool:
    """Say whether a secret stands anywhere below a node."""
    if not isinstance(node.value, dict | tuple):
        return False
    return any(item.keys is SECRET for item in node.walk())


@dataclass(frozen=True)
class _Reference:
    """`${…}` at an offset of a text: its path, or what is wrong with it."""

    offset: int
    written: str
    path: tuple[str, ...]
    problem: str = ""
    hint: str = ""


@lru_cache(maxsize=65536)
def _parse(text: str) -> tuple[str | _Reference, ...]:
    """Take a text apart, once for all hosts; what is wrong is said when it is expanded, with the place."""
    parts: list[str | _Reference] = []
    position = 0
    for found in _TOKEN.finditer(text):
        if found.start() > position:
            parts.append(text[position : found.start()])
        position = found.end()
        parts.append("${" if found[0] == "$${" else _read_reference(found[1], found.start(), is_closed=bool(found[2])))
    if position < len(text):
        parts.append(text[position:])
    return tuple(parts)


def _read_reference(written: str, offset: int, *, is_closed: bool) -> _Reference:
    path = tuple(written.split("."))
    if not is_closed:
        return _Reference(offset, written, path, "`${` without its `}`", "write `$${` for a plain `${`")
    if not _PATH.match(written) or path[0] not in ROOTS:
        hint = "expected one of " + ", ".join(f"{root}.NAME" for root in ROOTS) + "; `$${` for a plain `${`"
        return _Reference(offset, written, path, f"`${{{written[:60]}}}` is not a reference", hint)
    return _Reference(offset, written, path)


def _split(node: Node, scope: Scope) -> list[Piece]:
    return [_give_piece(node, part, scope) for part in _parse(node.text)]


def _give_piece(node: Node, part: str | _Reference, scope: Scope) -> Piece:
    if isinstance(part, str):
        return part
    place = _place_at(node, part.offset)
    if part.problem:
        width = len(part.written) + 3 if part.problem.endswith("reference") else 1
        raise fail("C216", part.problem, place, hint=part.hint, width=width)
    return _resolve(part.path, place, scope), place


def _resolve(path: tuple[str, ...], place: Place, scope: Scope) -> Node:
    if path[0] == "secret":
        return _secret(path, place, scope)
    node = scope.look_up(path)
    if node is None:
        raise _explain_unknown(path, place, scope)
    return node


def _explain_unknown(path: tuple[str, ...], place: Place, scope: Scope) -> CompileError:
    """Say how far a reference leads, and what there is instead of what it names next."""
    root, width = path[0], len(".".join(path)) + 3
    if path[:2] == ("host", "labels"):
        name = ".".join(path[2:])
        hint = suggest_and_list(name, scope.host.labels, f"{scope.host.name} has")
        return fail(UNKNOWN_CODES[root], f"unknown label `{name[:60]}`", place, hint=hint, width=width)
    name, known = ".".join(path[1:]), scope.names(root)
    if path[1] not in known:
        return fail(
            UNKNOWN_CODES[root],
            f"unknown {ROOT_WORDS[root]} `{name[:60]}`",
            place,
            hint=suggest_among(path[1], known, "there are"),
            width=width,
        )
    depth = next(count for count in range(2, len(path) + 1) if scope.look_up(path[:count]) is None)
    above = scope.look_up(path[: depth - 1])
    inner = () if above is None else tuple(above.entries) or tuple(map(str, range(len(above.items))))
    hint = suggest_among(path[depth - 1], inner, f"`{'.'.join(path[: depth - 1])[:60]}` has")
    return fail(UNKNOWN_CODES[root], f"unknown {ROOT_WORDS[root]} `{name[:60]}`", place, hint=hint, width=width)


def _secret(path: tuple[str, ...], place: Place, scope: Scope) -> Node:
    ref = scope.secrets.get(path[1]) if len(path) == 2 else None  # noqa: PLR2004  secret.NAME
    if ref is None:
        name = ".".join(path[1:])
        raise fail(
            "C401",
            f"unknown secret `{name[:60]}`",
            place,
            hint=suggest_among(path[1], scope.secrets, "declare it in gitops.yaml; it has"),
        )
    entries: dict[str, Node] = {key: Node(value, place) for key, value in _secret_table(ref.name, ref.source, ref.key).items()}
    return Node({"parts": Node((Node(entries, place),), place)}, place, keys=SECRET)


def _secret_table(name: str, source: str, key: str) -> Mapping[str, str]:
    return {"secret": name, "from": source, "key": key}


def _place_at(node: Node, offset: int) -> Place:
    """Give the place of an offset in a scalar that stands on one line (a quote before it counts as one column)."""
    if "\n" in node.text or node.width < len(node.text):
        return node.place
    quote = 1 if node.width > len(node.text) else 0
    return Place(node.place.file, node.place.line, node.place.column + quote + offset)
