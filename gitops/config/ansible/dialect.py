"""YAML and JSON as Ansible reads them: JSON when it is JSON, else YAML 1.1 as PyYAML has it, with Ansible's tags.

Takes the bytes of a file, gives its root as a Node, or the diagnostic of what Ansible cannot read or this program does not take (vaults,
bounds). What Ansible reads but cannot be carried over as it is (keys that are no text, dates, sets, keys that stand twice) is noted with
its place. Nothing is constructed but plain data.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from gitops.config.node import Node, Scalar
from gitops.config.yaml import Composer, Open, YamlError, decode_text, parse_yaml
from gitops.model.diagnostic import Diagnostic, Place

VAULT_HEAD = b"$ANSIBLE_VAULT"
VAULT_HINT = "declare a secret in gitops.yaml and write `${secret.NAME}` where it is needed; take the file out for the import"
VAULTED = ("!vault", "!vault-encrypted")
UNSAFE = "!unsafe"
_YAML = "tag:yaml.org,2002:"
_TEXT, _BINARY, _SET = f"{_YAML}str", f"{_YAML}binary", f"{_YAML}set"
_NUMBERS = (f"{_YAML}int", f"{_YAML}float")
LONGEST_NUMBER = 1000
_MAPS = (f"{_YAML}map", f"{_YAML}python/dict", _SET)
_LISTS = (f"{_YAML}seq", f"{_YAML}omap", f"{_YAML}pairs")
_ODD_LISTS: Mapping[str, str] = {f"{_YAML}omap": "an ordered map", f"{_YAML}pairs": "pairs"}
_PAIR = re.compile(r"\\\\|\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)
_JSON_UNSAFE, _JSON_VAULT = "__ansible_unsafe", "__ansible_vault"
_CONSTRUCTOR, _RESOLVER = SafeConstructor(), Resolver()
_READERS: Mapping[str, Callable[[yaml.ScalarNode], object]] = {
    _TEXT: lambda node: node.value,
    f"{_YAML}python/unicode": lambda node: node.value,
    _BINARY: lambda node: "".join(str(node.value).split()),
    f"{_YAML}null": lambda _: None,
    f"{_YAML}bool": _CONSTRUCTOR.construct_yaml_bool,
    f"{_YAML}int": _CONSTRUCTOR.construct_yaml_int,
    f"{_YAML}float": _CONSTRUCTOR.construct_yaml_float,
    f"{_YAML}timestamp": _CONSTRUCTOR.construct_yaml_timestamp,
}


@dataclass(frozen=True)
class Read:
    """What a file holds. `notes` are warnings, `odd_keys` the places of keys that are no text, `unsafe` those of texts with `!unsafe`."""

    root: Node
    notes: tuple[Diagnostic, ...]
    odd_keys: frozenset[Place]
    unsafe: frozenset[Place]


def read_values(data: bytes, file: str) -> Read | Diagnostic:
    """Read one document; an empty file is a Node of None."""
    if data.lstrip().startswith(VAULT_HEAD):
        return Diagnostic("C803", f"{file} is vaulted", Place(file), hint=VAULT_HINT)
    text = decode_text(data, file)
    if isinstance(text, Diagnostic):
        return text
    is_json = _is_json(text)
    composer = _AnsibleComposer(file, is_json=is_json)
    try:
        parse_yaml(_join_surrogates(text).encode("utf-8") if is_json else data, file, composer)
    except YamlError as error:
        return error.diagnostic
    if len(composer.documents) > 1:
        return Diagnostic("C802", "a second document, expected one", composer.documents[1].place)
    root = composer.documents[0] if composer.documents else Node(None, Place(file))
    return Read(root, tuple(composer.notes), frozenset(composer.odd_keys), frozenset(composer.unsafe))


class _AnsibleComposer(Composer):
    """Builds Nodes as Ansible's loader would, and notes what they do not say."""

    def __init__(self, file: str, *, is_json: bool) -> None:
        super().__init__(file)
        self.notes: list[Diagnostic] = []
        self.odd_keys: set[Place] = set()
        self.unsafe: set[Place] = set()
        self._is_json = is_json

    def _note(self, message: str, place: Place, hint: str) -> None:
        self.notes.append(Diagnostic("C801", message, place, severity="warning", hint=hint))

    def _check_tag(self, event: Any, place: Place) -> None:
        if event.tag in VAULTED:
            raise self._fail("C803", "a vaulted value", place, hint=VAULT_HINT)
        if event.tag in (None, "!", UNSAFE):
            return
        known = _MAPS if isinstance(event, yaml.MappingStartEvent) else _LISTS
        if event.tag not in (_READERS if isinstance(event, yaml.ScalarEvent) else known):
            raise self._fail("C705", f"the tag {event.tag[:60]}: Ansible does not read it here", place)
        if event.tag in _ODD_LISTS:
            self._note(f"{_ODD_LISTS[event.tag]} is written as a list of maps", place, hint="a map keeps its order")

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        """Give the value; nothing stands where its key does, not where the next thing begins."""
        node = super()._scalar(event)
        key = self._stack[-1].key if self._stack else None
        return node if event.value or key is None else replace(node, place=key.place)

    def _read_value(self, event: yaml.ScalarEvent, place: Place) -> Scalar:
        text: str = event.value
        if self._is_json:
            return json.loads(text) if event.implicit[0] else text
        tag = event.tag
        if tag == UNSAFE:
            self.unsafe.add(place)
        if tag in (None, "!", UNSAFE):
            implicit = (True, False) if tag == UNSAFE else event.implicit
            tag = str(_RESOLVER.resolve(yaml.ScalarNode, text, implicit))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        if tag == f"{_YAML}merge" and self._is_at_key():
            self._merges.add(place)
            return text
        if tag in _NUMBERS and len(text) > LONGEST_NUMBER:
            raise self._fail("C802", f"a number of {len(text)} characters", place, hint="quote it")
        try:
            value = _READERS[tag](yaml.ScalarNode(tag, text))
        except (ValueError, KeyError, OverflowError, TypeError, AttributeError):
            what = tag.removeprefix(_YAML)
            raise self._fail("C802", f"{text[:60]!r} looks like a {what} and is none", place, hint="quote it") from None
        if tag != _BINARY and not isinstance(value, date):
            return value if value is None or isinstance(value, bool | int | float | str) else str(value)
        if self._is_at_key():
            self._note_key(str(value), place)
        elif tag == _BINARY:
            self._note("bytes (`!!binary`) are written as their base64 text", place, hint="decode them where they are used")
        else:
            self._note(f"the date {value} is written as text", place, hint="quote it where text is meant")
        return str(value)

    def _note_key(self, text: str, place: Place) -> None:
        hint = "quote it; here keys are text, and a variable of such a name is left out"
        self._note(f"the key `{text[:60]}` is no text in Ansible", place, hint)
        self.odd_keys.add(place)

    def _is_at_key(self) -> bool:
        return bool(self._stack) and self._stack[-1].is_map and self._stack[-1].key is None

    def _make(self, done: Open) -> Node:
        if done.tag == _SET:
            self._note("a set is written as a list", done.place, hint="its order is that of the file")
            return Node(tuple(Node(key, done.keys[key]) for key in done.entries), done.place)
        if self._is_json and _JSON_VAULT in done.entries:
            raise self._fail("C803", "a vaulted value", done.place, hint=VAULT_HINT)
        if self._is_json and _JSON_UNSAFE in done.entries:
            return done.entries[_JSON_UNSAFE]
        return super()._make(done)

    def _check_key(self, top: Open, node: Node) -> Node:
        if isinstance(node.value, dict | tuple):
            raise self._fail("C703", "a list or a map as a key", node.place)
        if node.place in self._merges:
            return node
        key = node
        if not isinstance(node.value, str):
            text = show_key(node.value)
            self._note_key(text, node.place)
            key = Node(text, node.place, node.width)
        if key.text in top.entries:
            self._note(f"the key `{key.text[:60]}` is here twice; the last one counts", key.place, "take the other out")
        return key

    def _enter(self, top: Open, key: Node, node: Node) -> None:
        if key.place not in self._merges or node.value != ():
            super()._enter(top, key, node)

    def _merge(self, done: Open) -> dict[str, Node]:
        """Merge as YAML says, the first map wins; PyYAML 6.0.4 takes the first or the last, so what stands in several is noted."""
        counts = Counter(key for source in done.merges for key in source.entries if key not in done.entries)
        for key in (key for key, count in counts.items() if count > 1):
            for place in (source.entries[key].place for source in done.merges if key in source.entries):
                self._note(f"the key `{key[:60]}` is in several maps that are merged; the first is taken", place, "take one out")
        return super()._merge(done)

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor and anchor in self._anchors:
            raise self._fail("C705", f"the anchor &{anchor[:60]} is here twice", node.place)
        super()._add(node, anchor)


def show_key(value: object) -> str:
    """Give a key as JSON has it: `null`, `true`, `80`."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _join_surrogates(text: str) -> str:
    r"""Write characters that JSON escapes as two (`\ud83d\ude00`) as themselves, which YAML asks for."""

    def join(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        return chr(0x10000 + ((int(match[1], 16) - 0xD800) << 10) + int(match[2], 16) - 0xDC00)

    return _PAIR.sub(join, text)
