"""Why a selector of labels matches no host: in words that name the labels and values which there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gitops.config.config import Selector
from gitops.config.reader import suggest_and_list


def explain_mismatch(selector: Selector, labels: Sequence[Mapping[str, str]]) -> str:
    """Say what no host has: a label, a value of one, or all of them together; `labels` are those of the hosts."""
    if not labels:
        return "the project has no host"
    names = {name for mine in labels for name in mine}
    for name, values in selector.items():
        if name not in names:
            return f"no host has the label `{name[:60]}`, {suggest_and_list(name, names, 'there are')}"
        known = {mine[name] for mine in labels if name in mine}
        if not known.intersection(values):
            wrong = values[0] if values else ""
            return f"no host has `{name[:60]}: {wrong[:60]}`, {suggest_and_list(wrong, known, 'there are')}"
    return "no host has all of these labels"
