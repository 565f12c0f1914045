"""Merges as git makes them, without a checkout: a tree, or a Conflict. Whether there is one is git's exit status, and nothing else.

A conflict need not name a file: when one side splits a folder in two and the other adds to it, git cannot say where the new file belongs
(exit 1, a tree, no names). So a conflict is a noun of its own, and an empty list of files is never a sign of success.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gitops.errors import RemoteError
from gitops.source.commits import snapshot_tree
from gitops.source.git import run_git
from gitops.source.remote import locate_inside
from gitops.source.snapshot import Snapshot

CONFLICT = 1
TREE = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
MOST_CLASHES, MOST_TEXT = 50, 1000
UNSAID = "git ends with a conflict and does not say where"


@dataclass(frozen=True)
class Clash:
    """One reason in git's words; `path` is what it is about, empty when git names none."""

    path: str
    message: str


@dataclass(frozen=True)
class Conflict:
    """Why two commits do not merge: at least one clash (at most 50), and the files that git leaves in conflict, which may be none."""

    files: tuple[str, ...]
    clashes: tuple[Clash, ...]


def merge(repository: Path, target: str, head: str, subpath: str = "") -> Snapshot | Conflict:
    """Merge two commits as git does, writing nothing into the repository; the new objects live in a folder of their own."""
    with tempfile.TemporaryDirectory(prefix="trueup-merge-") as scratch:
        bare = Path(scratch) / "repo"
        objects = locate_inside(repository, "objects")
        run_git(Path(scratch), ["init", "-q", "--bare", str(bare)])
        (bare / "objects" / "info" / "alternates").write_text(f"{objects}\n", encoding="utf-8")
        merged = merge_trees(bare, target, head)
        return merged if isinstance(merged, Conflict) else snapshot_tree(bare, merged, head, subpath)


def merge_trees(repository: Path, target: str, head: str) -> str | Conflict:
    """Merge two commits into a tree in the repository's own store; give its id, or the conflict."""
    arguments = [
        "merge-tree",
        "--write-tree",
        "--name-only",
        "-z",
        "--allow-unrelated-histories",
        "--end-of-options",
        target,
        head,
    ]
    done = run_git(repository, arguments, accept=(0, CONFLICT))
    tree, _, rest = done.output.decode("utf-8", "replace").partition("\0")
    if done.status == CONFLICT:
        return _read_conflict(rest)
    if not TREE.fullmatch(tree.strip()):
        raise RemoteError("git merge-tree gives no tree", code="R012", hint="git 2.38 or later is needed")
    return tree.strip()


def _read_conflict(text: str) -> Conflict:
    """Read names up to an empty one, then messages: how many paths, the paths, the kind, the text (git-merge-tree(1), `-z`)."""
    listed, _, messages = text.partition("\0\0") if not text.startswith("\0") else ("", "", text[1:])
    clashes: list[Clash] = []
    parts = messages.split("\0")
    while len(clashes) < MOST_CLASHES and parts and parts[0].isascii() and parts[0].isdigit():
        count = int(parts[0])
        paths, kind, message = parts[1 : count + 1], "".join(parts[count + 1 : count + 2]), "".join(parts[count + 2 : count + 3])
        parts = parts[count + 3 :]
        if kind.startswith("CONFLICT"):
            clashes.append(Clash(paths[0] if paths else "", message.strip()[:MOST_TEXT]))
    files = tuple(sorted({name for name in listed.split("\0") if name}))
    return Conflict(files, tuple(clashes) or tuple(Clash(name, UNSAID) for name in files[:MOST_CLASHES]) or (Clash("", UNSAID),))
