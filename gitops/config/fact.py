"""The Fact document: a program of the project that tells one fact of a machine, `custom.NAME`, for `when`.

Its program is a plain file anywhere in the project. Nothing here runs it.
"""

from __future__ import annotations

from gitops.config.config import DeclaredFact
from gitops.config.documents import open_document
from gitops.config.node import Node, name_type
from gitops.config.programs import check_program
from gitops.config.reader import Findings
from gitops.model.facts import FACT_SECONDS, FACT_TYPES
from gitops.model.limits import DEFAULTS
from gitops.model.sourcetree import SourceTree


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
    program = "" if found is None else _find_program(found, tree, findings)
    return DeclaredFact(name, program, type_name, timeout, node.place)


def _find_program(node: Node, tree: SourceTree, findings: Findings) -> str:
    path = node.text
    if not isinstance(node.value, str):
        message = f"the program of a fact is {name_type(node)}, expected the path of a file in the project"
        findings.add("C305", message, node.place, width=node.width)
        return ""
    if not path or any(part in ("", ".", "..") for part in path.split("/")):
        hint = "a path from the project's folder, like facts/rack"
        findings.add("C305", f"{path[:80]!r} is not a file of the project", node.place, hint=hint, width=node.width)
        return ""
    return check_program(path, node, tree, findings)
