"""Source: which config a verb is about; and one host of it compiled, from what is kept when the text is the same.

Only a work tree is looked up in the cache: a revision is compiled. What is not kept loads the compiler, by name.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from gitops.errors import UsageError
from gitops.pipeline.compilecache import CompiledHere, digest_inputs, hold_tree, keep_compiled, read_compiled
from gitops.source.snapshot import Snapshot, snapshot_folder

COMPILER = "gitops.cli.project"


@dataclass(frozen=True)
class Source:
    """A project's folder and a revision (empty: the work tree); `is_fresh` looks at no cache; `plan_file` is what was agreed to."""

    directory: Path
    revision: str = ""
    is_fresh: bool = False
    plan_file: Path | None = None


def compile_here(source: Source, host: str, cache: Path) -> CompiledHere:
    """Give one host of a project, compiled; raise InvalidConfigError after printing every mistake, UsageError for an unknown host."""
    if source.revision:
        return _compile(importlib.import_module(COMPILER).read_snapshot(source.directory, source.revision), host, cache)
    if not source.directory.is_dir():
        raise UsageError(f"{source.directory} is not a folder", code="U021")
    tree = snapshot_folder(source.directory)
    if source.is_fresh:
        return _compile(tree, host, None)
    held = hold_tree(tree)
    if held is None:
        return _compile(tree, host, cache)
    key = digest_inputs(held, host)
    found = read_compiled(cache, key)
    if found is None:
        found = _compile(held, host, cache)
        keep_compiled(cache, key, found)
    return found


def _compile(tree: Snapshot, host: str, cache: Path | None) -> CompiledHere:
    compiler = importlib.import_module(COMPILER)
    return cast("CompiledHere", compiler.compile_host(tree, host, cache))
