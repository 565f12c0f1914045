"""Aliases: other names of managed paths, where a folder on the way is a link (`/lib` to `usr/lib`, `/var/run` to `/run`).

Takes the config's paths and a Tree; gives how else each may be written, and which items mean one thing by two names. Reads links only.
A path that cannot be walked has no other name here: whoever works on it says why.
"""

from __future__ import annotations

import os
import stat
from typing import Callable, Dict, FrozenSet, List, Mapping, Optional, Sequence, Set, Tuple

from gitops.errors import HostError
from gitops.executor.tree import Tree
from gitops.executor.walk import MissingParentsError
from gitops.model.address import Address, list_above
from gitops.plan.item import Item

Resolve = Callable[[str], str]


def spell_out(paths: FrozenSet[str], tree: Tree) -> FrozenSet[str]:
    """Give the paths, without the links on their way too, and as they are named from each of them that is a folder above."""
    resolve = make_resolver(tree)
    moved = {path: real for path, real in ((path, resolve(path)) for path in paths) if path != real}
    if not moved:
        return paths
    reals = frozenset(moved.values()) | (paths - frozenset(moved))
    below: Dict[str, List[str]] = {real: [] for real in moved.values()}
    for real in reals:
        for folder in list_above(real):
            if folder in below:
                below[folder].append(real)
    seen_from = (path + real[len(folder) :] for path, folder in moved.items() for real in below[folder])
    return frozenset((*paths, *reals, *seen_from))


def make_matcher(paths: FrozenSet[str], tree: Tree) -> Callable[[str], bool]:
    """Give what says whether a path is one of these, by whatever name; another hard link of one's file is one, too."""
    if not paths:
        return lambda _path: False
    resolve = make_resolver(tree)
    reals = frozenset(map(resolve, paths))
    return lambda path: path in paths or resolve(path) in reals or _is_linked(path, paths, tree)


def find_twins(items: Sequence[Item], tree: Tree) -> Mapping[Address, Address]:
    """Give each item that means by another name what a second one means too, with that one; those that want the same are left out."""
    resolve = make_resolver(tree)
    by_real: Dict[str, List[Tuple[str, Item]]] = {}
    moved: Set[str] = set()
    for item in items:
        for path in item.relations.paths:
            real = resolve(path)
            by_real.setdefault(real, []).append((path, item))
            if path != real:
                moved.add(real)
    found: Dict[Address, Address] = {}
    for real in sorted(moved):
        for path, item in by_real[real]:
            others = [other for spelling, other in by_real[real] if spelling != path and not _are_alike(item, other)]
            if others:
                found.setdefault(item.resource.address, others[0].resource.address)
    return found


def make_resolver(tree: Tree) -> Resolve:
    """Give what takes the links out of a path's folders; each folder is looked at once, and walked only when a link leads to it."""
    known = {"": ""}
    linked = {"": False}

    def is_linked(folder: str) -> bool:
        if folder not in linked:
            linked[folder] = is_linked(folder.rpartition("/")[0]) or os.path.islink(tree.root + folder)
        return linked[folder]

    def resolve(path: str) -> str:
        folder, _, name = path.rpartition("/")
        if folder not in known:
            known[folder] = _walk_to(folder, tree) if is_linked(folder) else folder
        return f"{known[folder]}/{name}"

    return resolve


def _is_linked(path: str, paths: FrozenSet[str], tree: Tree) -> bool:
    found = _look(path, tree)
    if found is None or not stat.S_ISREG(found.st_mode) or found.st_nlink < 2:  # noqa: PLR2004  itself and another
        return False
    others = (_look(other, tree) for other in paths)
    return any(other is not None and os.path.samestat(found, other) for other in others)


def _look(path: str, tree: Tree) -> Optional[os.stat_result]:
    try:
        return tree.look(path)
    except (HostError, OSError):
        return None


def _walk_to(folder: str, tree: Tree) -> str:
    """Give a folder as it is named without links, if they may be followed; what is missing of it keeps its name."""
    try:
        top, real = tree.real_folder("/x").rstrip("/"), tree.real_folder(f"{folder}/x")
    except MissingParentsError as error:
        above = os.path.dirname(error.parents[0]).rstrip("/")
        return _walk_to(above, tree) + folder[len(above) :]
    except (HostError, OSError):
        return folder
    return real[len(top) :].rstrip("/") if f"{real}/".startswith(f"{top}/") else folder


def _are_alike(one: Item, other: Item) -> bool:
    return one is other or (one.resource.kind == other.resource.kind and one.resource.attributes == other.resource.attributes)
