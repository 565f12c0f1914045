"""Frozen values: a text for a value, equal exactly when the values are; what units read is compared by it.

Numbers that are written in different ways (3.1 and 3.10) differ, since the one may stand in text and the other not; so do two of the
latter, so that each is told.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from gitops.config.node import Node

_ENCODE = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode
_WRITTEN = math.nan  # no document has it


def freeze_node(node: Node | None) -> str:
    """Freeze a node's value (1, true and 1.0 differ; the order of keys does not matter); what is not there differs from null."""
    if node is None:
        return ""
    if isinstance(node.value, str):
        return f"={node.value}"
    if isinstance(node.value, dict | tuple):
        return _ENCODE(_to_frozen(node))
    return _ENCODE(_to_frozen(node)) if node.written else repr(node.value)


def freeze_nodes(nodes: Mapping[str, Node]) -> str:
    """Freeze a table of nodes."""
    return _ENCODE({name: _to_frozen(node) for name, node in nodes.items()})


def _to_frozen(node: Node) -> object:
    if isinstance(node.value, dict):
        return {key: _to_frozen(item) for key, item in node.entries.items()}
    if isinstance(node.value, tuple):
        return [_to_frozen(item) for item in node.items]
    return [_WRITTEN, node.written, str(node.origin or node.place)] if node.written else node.value
