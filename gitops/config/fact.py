"""The Fact document: a program of the project that tells one fact of a machine, `custom.NAME`, for `when`.

Its program is a plain file anywhere in the project. Nothing here runs it; it is looked at only to say early that no machine could start it.
"""

from __future__ import annotations

from gitops.config.config import DeclaredFact
from gitops.config.documents import open_document
from gitops.config.node import Node
from gitops.config.reader import Findings
from gitops.model.facts import FACT_SECONDS, FACT_TYPES
from gitops.model.limits import DEFAULTS
from gitops.model.sourcetree import SourceTree

BEGINNINGS = (b"#!", b"\x7fELF")


def read_fact(node: Node, tree: SourceTree, findings: Findings) -> DeclaredFact:
    """Read a Fact document; a fact whose program is wrong is known all the same, so that nothing follows from the mistake."""
    _, spec, name, _ = open_document(node, "Fact", findings)
    found = spec.require("program", "the path of a file in the project")
    timeout = spec.integer("timeout", FACT_SECONDS)
    if not 1 <= timeout <= DEFAULTS.fact_seconds:
        place = spec.node.entries["timeout"].place
        findings.add("C105", f"fact {name}: `timeout` is {timeout}, expected 1 to {DEFAULTS.fact_seconds} seconds", place)
    type_name = spec.choice("type", FACT_TYPES, "string")
    spec.finish()
    program = "" if found is None else _check_program(found, tree, findings)
    return DeclaredFact(name, program, type_name, timeout, node.place)


def _check_program(node: Node, tree: SourceTree, findings: Findings) -> str:
    path = node.text
    if not path or any(part in ("", ".", "..") for part in path.split("/")):
        hint = "a path from the project's folder, like facts/rack"
        findings.add("C305", f"{str(node.value)[:80]!r} is not a file of the project", node.place, hint=hint, width=node.width)
        return ""
    try:
        kind = tree.kind(path)
    except KeyError:
        findings.add("C301", f"{path} is missing", node.place, width=node.width)
        return ""
    if kind not in ("file", "executable"):
        findings.add("C610", f"{path} is a {kind}, expected a file", node.place, width=node.width)
        return ""
    if tree.size(path) > DEFAULTS.provider_bytes:
        findings.add("C602", f"{path} is larger than {DEFAULTS.provider_bytes} bytes", node.place, width=node.width)
        return ""
    if not tree.read(path).startswith(BEGINNINGS):
        hint = "its first line is like #!/bin/sh"
        findings.add("C220", f"{path} is no program that a machine can start", node.place, hint=hint, width=node.width)
        return ""
    return path
