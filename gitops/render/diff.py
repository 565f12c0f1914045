"""Differences of compiled config for a terminal, in the style of a plan: destructive first, nothing twice, the summary last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gitops.model.scope import WHOLE
from gitops.plan.declared import spell_content
from gitops.plan.graphdiff import CHANGES, GraphsDiff, ResourceDiff
from gitops.plan.textdiff import is_whole
from gitops.render.colour import paint, paint_diff
from gitops.render.escape import escape_diff_line, escape_terminal
from gitops.render.words import count_words, describe_field, name_hosts

SIGNS = {"added": "+", "changed": "~", "removed": "-"}
WORDS = {"added": "new", "changed": "declared otherwise", "removed": "no longer declared"}


def render_diff(found: Sequence[GraphsDiff], *, before: str, after: str, colour: bool = False) -> str:
    """Give the text of all environments' differences, ending in a newline. `before` and `after` name what is compared."""
    lines = [f"{escape_terminal(before)} → {escape_terminal(after)}", ""]
    for item in found:
        if not item.is_empty:
            lines.extend(_render_environment(item, colour=colour))
    lines.append(_summary(found))
    return "\n".join(lines) + "\n"


def _render_environment(item: GraphsDiff, *, colour: bool) -> list[str]:
    lines = [f"{item.environment or 'no environment'}   {count_words(item.hosts, 'host')}"]
    if item.left:
        lines.append(f"  - leaves: {escape_terminal(name_hosts(item.left))}")
    if item.entered:
        lines.append(f"  + enters: {escape_terminal(name_hosts(item.entered))}")
    lines.append("")
    for group in item.groups:
        lines.append(f"on {escape_terminal(name_hosts(group.hosts))}")
        for change in group.changes:
            lines.extend(_render_change(change, colour=colour))
        lines.append("")
    return lines


def _render_change(change: ResourceDiff, *, colour: bool) -> list[str]:
    sign = SIGNS[change.change]
    head = paint(f"{sign} {escape_terminal(change.address):<46}", sign, colour=colour)
    lines = [f"  {head} {WORDS[change.change]}"]
    is_shown = bool(change.diff) and is_whole(change.diff)
    whole = (replace(field, before=spell_content(field.before), after=spell_content(field.after)) for field in change.fields)
    shown = [field for field in whole if not (field.name == "content" and is_shown)]
    lines.extend(f"      {escape_terminal(describe_field(field))}" for field in shown)
    lines.extend(f"      {paint_diff(escape_diff_line(line), colour=colour)}" for line in change.diff)
    return lines


def _summary(found: Sequence[GraphsDiff]) -> str:
    counts: dict[str, int] = dict.fromkeys(CHANGES, 0)
    hosts: set[tuple[str, str]] = set()
    rules: list[str] = []
    for item in found:
        for group in item.groups:
            if group.hosts == (WHOLE,):
                rules.append(f"the rules of {item.environment}")
                continue
            hosts.update((item.environment, host) for host in group.hosts)
            for change in group.changes:
                counts[change.change] += len(group.hosts)
    words = ", ".join(f"{counts[name]} × {name}" for name in CHANGES if counts[name])
    moved = sum(len(item.entered) + len(item.left) for item in found)
    said = f"Otherwise: {', '.join(rules)}. " if rules else ""
    if not words and said:
        return f"{said}No host's config changes."
    if not words:
        return f"{count_words(moved, 'host')} without resources moved." if moved else "The compiled config is the same."
    return f"{said}{words} on {count_words(len(hosts), 'host')}. No host was asked: `gitops plan` shows what would really change."
