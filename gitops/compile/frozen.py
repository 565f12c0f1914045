"""Frozen values: a text for a plain value, equal exactly when the values are; what units read is compared by it."""

from __future__ import annotations

import json

from gitops.config.node import Node, to_plain

_ENCODE = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


def freeze(value: object) -> str:
    """Give a text that is equal for equal plain values only (1, true and 1.0 differ; the order of keys does not matter)."""
    if isinstance(value, str):
        return f"={value}"
    if isinstance(value, bool | int | float) or value is None:
        return repr(value)
    return _ENCODE(value)


def freeze_node(node: Node | None) -> str:
    """Freeze a node's value; what is not there differs from null."""
    return "" if node is None else freeze(to_plain(node))
