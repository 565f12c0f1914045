"""YAML 1.2 core to Nodes, from parser events: places kept, bounds kept, nothing constructed that was not asked for.

Takes bytes, gives one Node per document or a diagnostic. `on`, `yes` and dates are strings; merge keys work; duplicate keys,
keys that are not strings, tags, and aliases beyond a bound are errors. Never recurses, so nesting cannot break it.
"""

from __future__ import annotations

import codecs
import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from gitops.config.node import Node, Scalar, find_written
from gitops.model.diagnostic import Diagnostic, Place
from gitops.model.limits import DEFAULTS

_INT = re.compile(r"[-+]?[0-9]{1,300}\Z")
_OCTAL = re.compile(r"0o[0-7]{1,100}\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,100}\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,300})?\Z")
_CONSTANTS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_CORE_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "map", "seq", "int", "bool", "null", "float"))
MERGE = "<<"
# What YAML's parsers take for the end of a line, or of a comment, and readers do not; and what YAML does not allow at all.
_HIDDEN = re.compile("\r(?!\n)|[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\ufeff")
_LINE_ENDS = {
    "\r": "a lone CR",
    "\x85": "U+0085 (next line)",
    "\u2028": "U+2028 (line separator)",
    "\u2029": "U+2029 (paragraph separator)",
}


class YamlError(Exception):
    """A document that cannot be read; carries its diagnostic."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def parse_yaml(data: bytes, file: str, composer: Composer | None = None) -> tuple[Node, ...]:
    """Give the documents of a file, empty ones left out; raise YamlError for the first thing that cannot be read.

    `composer` makes the Nodes, where they are not those of YAML 1.2.
    """
    if len(data) > DEFAULTS.document_bytes:
        size = f"{len(data)} bytes, at most {DEFAULTS.document_bytes} are read"
        raise YamlError(
            Diagnostic("C603", f"the file is too large: {size}", Place(file), hint="split it, or use `source` for data")
        )
    text = _decode(data, file)
    hidden = find_hidden(text, file)
    if hidden is not None:
        raise YamlError(hidden)
    composer = composer or Composer(file)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            composer.take(event)
    except yaml.MarkedYAMLError as error:
        raise YamlError(_syntax_diagnostic(error, file, text)) from error
    except yaml.YAMLError as error:
        raise YamlError(Diagnostic("C701", f"not YAML: {error}", Place(file))) from error
    return tuple(node for node in composer.documents if node.value is not None)


def decode_text(data: bytes, file: str) -> str | Diagnostic:
    """Give the text of a file, or say at which line it is none; a BOM is dropped."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Diagnostic("C704", "not UTF-8: the file is UTF-16", Place(file), hint="save the file as UTF-8")
    if b"\0" in data:
        before = data[: data.index(b"\0")]
        return Diagnostic("C704", "a NUL byte in a text file", _place_after(before, file), hint="keep binary files in `files/`")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"not UTF-8: the byte 0x{data[error.start]:02x}"
        return Diagnostic("C704", message, _place_after(data[: error.start], file), hint="save the file as UTF-8")


def find_hidden(text: str, file: str) -> Diagnostic | None:
    """Find what ends a line for a parser but not for a reader, or a control character; a reader could not see what it does."""
    found = _HIDDEN.search(text)
    if found is None:
        return None
    before = text[: found.start()]
    place = Place(file, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
    letter = found[0]
    is_short = ord(letter) < 0x100 and not file.endswith(".cue")  # noqa: PLR2004  YAML's short form, which CUE does not have
    escape = f"\\x{ord(letter):02x}" if is_short else f"\\u{ord(letter):04x}"
    if letter in _LINE_ENDS:
        message = f"{_LINE_ENDS[letter]} ends a line for some programs, and for people it does not"
    elif letter == "\ufeff":
        message = "a byte order mark (U+FEFF) that is not at the beginning"
    else:
        message = f"the control character U+{ord(letter):04X} is not allowed"
    return Diagnostic("C706", message, place, hint=f'remove it; where it belongs into a value, write "{escape}" in double quotes')


def _place_after(before: bytes, file: str) -> Place:
    """Give the place behind some bytes; the UTF-8 BOM is no column."""
    last = before.rpartition(b"\n")[2].removeprefix(codecs.BOM_UTF8)
    return Place(file, before.count(b"\n") + 1, len(last.decode("utf-8", "replace")) + 1)


def resolve_scalar(text: str) -> Scalar:
    """Give the value of a plain scalar by YAML 1.2's core schema; `.inf` and `.nan` stay strings."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    first = text[0]
    if first not in "+-.0123456789":
        return text
    if _INT.match(text):
        return int(text)
    if _OCTAL.match(text):
        return int(text[2:], 8)
    if _HEX.match(text):
        return int(text[2:], 16)
    return float(text) if _FLOAT.match(text) else text


@dataclass
class Open:
    """A list or map being read."""

    place: Place
    is_map: bool
    anchor: str | None
    tag: str | None = None
    items: list[Node] = field(default_factory=list[Node])
    entries: dict[str, Node] = field(default_factory=dict[str, Node])
    keys: dict[str, Place] = field(default_factory=dict[str, Place])
    key: Node | None = None
    merges: list[Node] = field(default_factory=list[Node])


class Composer:
    """Builds Nodes from events with a stack of its own. What another dialect reads in another way is a method of its own."""

    def __init__(self, file: str) -> None:
        self.documents: list[Node] = []
        self._file = file
        self._stack: list[Open] = []
        self._anchors: dict[str, Node] = {}
        self._sizes: dict[str, int] = {}
        self._merges: set[Place] = set()
        self._count = 0

    def take(self, event: Any) -> None:
        """Take one parser event."""
        if isinstance(event, yaml.ScalarEvent):
            self._add(self._scalar(event), event.anchor)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._open(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._anchors, self._sizes = {}, {}

    def _place(self, event: Any) -> Place:
        return Place(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _fail(self, code: str, message: str, place: Place, *, hint: str = "", related: tuple[Place, ...] = ()) -> YamlError:
        return YamlError(Diagnostic(code, message, place, hint=hint, related=related))

    def _grow(self, count: int, place: Place) -> None:
        self._count += count
        if self._count > DEFAULTS.document_nodes:
            raise self._fail("C604", f"more than {DEFAULTS.document_nodes} values in one file (aliases counted)", place)

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        place = self._place(event)
        self._grow(1, place)
        self._check_tag(event, place)
        value = self._read_value(event, place)
        return Node(value, place, max(1, _width_of(event)), written=find_written(value, event.value))

    def _read_value(self, event: yaml.ScalarEvent, place: Place) -> Scalar:
        is_plain = event.style is None or event.style == ""
        text: str = event.value
        if is_plain and event.tag is None and text == MERGE:
            self._merges.add(place)
        value: Scalar = resolve_scalar(text) if is_plain and event.tag is None else text
        if isinstance(value, float) and math.isinf(value) and text.lstrip("+-")[0] in ".0123456789" and "inf" not in text.lower():
            raise self._fail("C105", f"the number {text[:60]} is too large", place, hint=f'quote it: "{text[:60]}"')
        return value

    def _check_tag(self, event: Any, place: Place) -> None:
        if event.tag is not None and event.tag != "!" and event.tag not in _CORE_TAGS:
            raise self._fail("C705", f"the tag {event.tag[:60]} is not allowed", place, hint="values are plain data")

    def _open(self, event: Any) -> None:
        place = self._place(event)
        self._grow(1, place)
        self._check_tag(event, place)
        if len(self._stack) >= DEFAULTS.document_depth:
            raise self._fail("C605", f"nested deeper than {DEFAULTS.document_depth} levels", place)
        self._stack.append(Open(place, isinstance(event, yaml.MappingStartEvent), event.anchor, event.tag))

    def _close(self) -> None:
        done = self._stack.pop()
        self._add(self._make(done), done.anchor)

    def _make(self, done: Open) -> Node:
        return Node(self._merge(done) if done.is_map else tuple(done.items), done.place, keys=done.keys)

    def _merge(self, done: Open) -> dict[str, Node]:
        if not done.merges:
            return done.entries
        merged: dict[str, Node] = {}
        for source in reversed(done.merges):
            merged.update(source.entries)
            done.keys.update({key: source.key_place(key) for key in source.entries if key not in done.entries})
        merged.update(done.entries)
        return merged

    def _alias(self, event: Any) -> None:
        place = self._place(event)
        if event.anchor not in self._anchors:
            is_inside = any(item.anchor == event.anchor for item in self._stack)
            what = "stands within what it names" if is_inside else "has no anchor before it"
            raise self._fail("C705", f"the alias *{event.anchor[:60]} {what}", place)
        self._grow(self._sizes[event.anchor], place)
        self._add(self._anchors[event.anchor], None)

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = node
            self._sizes[anchor] = sum(1 for _ in node.walk())
        if not self._stack:
            self.documents.append(node)
            return
        top = self._stack[-1]
        if not top.is_map:
            top.items.append(node)
        elif top.key is None:
            top.key = self._check_key(top, node)
        else:
            self._enter(top, top.key, node)
            top.key = None

    def _check_key(self, top: Open, node: Node) -> Node:
        if not isinstance(node.value, str):
            raise self._fail("C703", "a key must be a string", node.place, hint="quote it")
        if node.value in top.entries:
            first = top.keys[node.value]
            raise self._fail("C702", f"the key `{node.value[:60]}` is here twice", node.place, related=(first,))
        return node

    def _enter(self, top: Open, key: Node, node: Node) -> None:
        if key.place not in self._merges:
            top.entries[key.text] = node
            top.keys[key.text] = key.place
            return
        sources = node.items or (node,)
        if any(not isinstance(source.value, dict) for source in sources):
            raise self._fail("C705", "`<<` merges a map or a list of maps", node.place)
        self._grow(sum(len(source.entries) for source in sources), node.place)
        top.merges.extend(sources)


def _width_of(event: Any) -> int:
    start, end = event.start_mark, event.end_mark
    return int(end.column - start.column) if end.line == start.line else 1


def _decode(data: bytes, file: str) -> str:
    text = decode_text(data, file)
    if isinstance(text, Diagnostic):
        raise YamlError(text)
    return text


def _syntax_diagnostic(error: yaml.MarkedYAMLError, file: str, text: str) -> Diagnostic:
    mark = error.problem_mark or error.context_mark
    place = Place(file) if mark is None else Place(file, mark.line + 1, mark.column + 1)
    problem = str(error.problem or "not YAML")
    hint = str(error.context or "")
    if "nesting depth" in problem:
        return Diagnostic("C605", f"nested deeper than {DEFAULTS.document_depth} levels", place)
    if _is_tab(text, place):
        problem, hint = "a tab in the indentation", "indent with blanks"
    elif "flow" in hint and "${" in _line_of(text, place):
        hint = "quote `${…}` inside `{…}` and `[…]`"
    return Diagnostic("C701", f"YAML syntax: {problem}", place, hint=hint)


def _line_of(text: str, place: Place) -> str:
    lines = text.split("\n", place.line)
    return lines[place.line - 1] if place.line <= len(lines) else ""


def _is_tab(text: str, place: Place) -> bool:
    line = _line_of(text, place)
    return "\t" in line[: place.column] and not line[: place.column].strip()
