"""Programs of a project that hosts run (of providers and of custom facts): plain files that some machine could start.

Nothing here runs them; they are looked at only to say early that no machine could.
"""

from __future__ import annotations

from gitops.config.node import Node
from gitops.config.reader import Findings
from gitops.model.limits import DEFAULTS
from gitops.model.sourcetree import SourceTree

BEGINNINGS = (b"#!", b"\x7fELF")


def check_program(path: str, node: Node, tree: SourceTree, findings: Findings) -> str:
    """Give the path of a good program; else add what is wrong, at the node that names it, and give an empty text."""
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
