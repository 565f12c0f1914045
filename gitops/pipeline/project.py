"""From a tree to compiled graphs: load, compile, stop on mistakes. The first half of every control-side spine."""

from __future__ import annotations

from dataclasses import dataclass

from gitops.compile.compile import Compiled, compile_config
from gitops.config.config import Config
from gitops.config.load import load_config
from gitops.model.diagnostic import Diagnostic, InvalidConfigError, has_errors, sort_diagnostics
from gitops.model.sourcetree import SourceTree


@dataclass(frozen=True)
class Built:
    """A project that compiles, with its warnings."""

    config: Config
    compiled: Compiled
    warnings: tuple[Diagnostic, ...]


@dataclass(frozen=True)
class Examined:
    """Everything that can be said of a tree: what was built (None when it has mistakes) and all diagnostics."""

    built: Built | None
    diagnostics: tuple[Diagnostic, ...]


def examine_tree(tree: SourceTree) -> Examined:
    """Load and compile; collect every mistake of both. What an unreadable file would define causes no follow-up errors."""
    loaded = load_config(tree)
    if loaded.config is None or not loaded.is_whole:
        return Examined(None, loaded.diagnostics)
    compiled = compile_config(loaded.config, tree)
    found = sort_diagnostics((*loaded.diagnostics, *compiled.diagnostics))
    if has_errors(found):
        return Examined(None, found)
    return Examined(Built(loaded.config, compiled, found), found)


def build_tree(tree: SourceTree) -> Built:
    """Load and compile; raise InvalidConfigError (exit 1) with every mistake."""
    examined = examine_tree(tree)
    if examined.built is None:
        raise InvalidConfigError(examined.diagnostics)
    return examined.built
