"""From a tree to compiled graphs: load, compile, stop on mistakes. The first half of every control-side spine.

Whatever the tree holds, it ends within bounds of processor time and memory (in the main thread; others use `gitops.pipeline.child`).
"""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from gitops.compile.compile import Compiled, compile_config
from gitops.config.config import Config
from gitops.config.cue import CueTool
from gitops.config.load import PROJECT_FILE, load_config
from gitops.config.node import Node
from gitops.model.diagnostic import Diagnostic, InvalidConfigError, Place, has_errors, sort_diagnostics
from gitops.model.graph import Graphs
from gitops.model.sourcetree import SourceTree
from gitops.pipeline.bounds import HINT, Bounds, LimitReachedError, keep_bounds

# Codes of mistakes that may only follow from a missing document, with words that tell them from others of the code.
FOLLOWING = {
    "C201": " refers to ",
    "C204": "",
    "C206": "",
    "C211": "",
    "C213": "",
    "C214": "unknown fact `custom.",
    "C219": "",
    "C303": "",
    "C401": "",
    "C502": "undefined",
}


@dataclass(frozen=True)
class Built:
    """A project that compiles, with its warnings."""

    config: Config
    compiled: Compiled
    warnings: tuple[Diagnostic, ...]


@dataclass(frozen=True)
class Examined:
    """Everything that can be said of a tree: what was built (None when it has mistakes), all diagnostics, and what was read."""

    built: Built | None
    diagnostics: tuple[Diagnostic, ...]
    config: Config | None = None
    environments: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def graphs(self) -> Mapping[str, Graphs]:
        """The graphs by environment; none when there are mistakes."""
        return {} if self.built is None else self.built.compiled.graphs


def examine_tree(tree: SourceTree, *, bounds: Bounds | None = None, cue: CueTool | None = None) -> Examined:
    """Load and compile; collect every mistake of both. What an unreadable file would define causes no follow-up errors."""
    bounds = bounds or Bounds()
    try:
        with keep_bounds(bounds) as allow, _without_collector():
            return _load_and_compile(tree, cue, allow)
    except LimitReachedError as error:
        return _stopped(Diagnostic("C606", error.message, _place_of(error, tree), hint=HINT))
    except MemoryError as error:
        return _stopped(Diagnostic("C606", bounds.too_much, _place_of(error, tree), hint="look for what grows without end"))
    except RecursionError as error:
        return _stopped(Diagnostic("C606", "something is nested too deeply to compile", _place_of(error, tree)))


def build_tree(tree: SourceTree) -> Built:
    """Load and compile; raise InvalidConfigError (exit 1) with every mistake."""
    examined = examine_tree(tree)
    if examined.built is None:
        raise InvalidConfigError(examined.diagnostics)
    return examined.built


def _load_and_compile(tree: SourceTree, cue: CueTool | None, allow: Callable[[int], None]) -> Examined:
    loaded = load_config(tree, cue=cue)
    if loaded.config is None:
        return Examined(None, loaded.diagnostics)
    allow(len(loaded.config.hosts))
    compiled = compile_config(loaded.config, tree, evaluate=loaded.cue.evaluate)
    further = [item for item in compiled.diagnostics if loaded.is_whole or not may_follow(item)]
    found = sort_diagnostics((*loaded.diagnostics, *further))
    environments = {name: host.environment for name, host in compiled.hosts.items()}
    if has_errors(found):
        return Examined(None, found, loaded.config, environments)
    return Examined(Built(loaded.config, compiled, found), found, loaded.config, environments)


@contextmanager
def _without_collector() -> Generator[None]:
    """Keep the collector of circles still: a compile makes many objects and no circles, and walking them all is a fifth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def may_follow(item: Diagnostic) -> bool:
    """Say whether a mistake may only follow from a document that could not be read."""
    words = FOLLOWING.get(item.code)
    return words is not None and words in item.message


def _stopped(diagnostic: Diagnostic) -> Examined:
    return Examined(None, (diagnostic,))


def _place_of(error: BaseException, tree: SourceTree) -> Place:
    """Give the line of a template that was running, else the value that was worked on, else the project file."""
    paths = set(tree.paths())
    place = Place(PROJECT_FILE)
    for frame, line in traceback.walk_tb(error.__traceback__):
        worked_on = frame.f_locals.get("node")
        if isinstance(worked_on, Node):
            place = worked_on.place
        if frame.f_code.co_filename in paths:
            place = Place(frame.f_code.co_filename, line or 1)
    return place
