"""Custom facts in a `when`: declared, asked for values of their type, and their programs named by digest. A program is read, never run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from gitops.compile.pointers import check_content
from gitops.compile.scope import fail
from gitops.config.config import DeclaredFact
from gitops.config.node import Node, to_plain
from gitops.config.reader import suggest
from gitops.model.codec import Json, digest_bytes
from gitops.model.facts import CUSTOM, FactProgram, is_custom, spell_fact
from gitops.model.sourcetree import SourceTree


@dataclass(frozen=True)
class AskedFacts:
    """What compile adds to a resource: the predicate's part, the programs by the fact's name, and their bytes by digest."""

    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    programs: Mapping[str, FactProgram] = field(default_factory=dict[str, FactProgram])
    blobs: Mapping[str, bytes] = field(default_factory=dict[str, bytes])


NOTHING_ASKED = AskedFacts()


def compile_facts(asked: Node | None, facts: Mapping[str, DeclaredFact], tree: SourceTree) -> AskedFacts:
    """Compile the custom facts of a `when` (None: it has none); raise CompileError with the first mistake."""
    if asked is None:
        return NOTHING_ASKED
    when, programs, blobs = dict[str, tuple[str, ...]](), dict[str, FactProgram](), dict[str, bytes]()
    for name in filter(is_custom, asked.entries):
        fact = facts.get(name.removeprefix(CUSTOM))
        if fact is None:
            hint = suggest(name, [CUSTOM + item for item in facts]) or "declare it: a document of the kind Fact"
            raise fail("C214", f"unknown fact `{name[:80]}`", asked.key_place(name), hint=hint, width=len(name))
        node = asked.entries[name]
        when[name] = tuple(_spell(name, item, fact.type) for item in (node.items or (node,)))
        if fact.program:  # else told already
            data = tree.read(fact.program)
            check_content(data, fact.program, f"`when`: {name}", asked.key_place(name))
            digest = digest_bytes(data)
            programs[name] = FactProgram(digest, len(data), fact.type, fact.timeout)
            blobs[digest] = data
    return AskedFacts(when, programs, blobs)


def _spell(name: str, node: Node, type_name: str) -> str:
    try:
        return spell_fact(type_name, cast("Json", to_plain(node)))
    except ValueError as error:
        hint = "quote it" if type_name == "string" else ""
        message = f"`when`: {name} is declared as {type_name}; this value {error}"
        raise fail("C105", message, node.place, hint=hint, width=node.width) from error
