"""The people of the demo, with Git as their tool: clones, branches, pushes; and one who must not get through.

Every git process gets its identity by its environment and reads no config of the developer who runs the demo.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from gitops.source.git import run_git

PROJECT = "gitops.cli.demo"


@dataclass(frozen=True)
class Person:
    """Somebody with a clone of the repository."""

    name: str
    clone: Path

    def git(self, *arguments: str) -> str:
        """Run git in the clone as this person and give its output."""
        return run_git(self.clone, arguments, environment=identity_of(self.name)).output.decode().strip()

    def push_branch(self, branch: str, part: str, message: str) -> None:
        """Put a part of the embedded project on a new branch of main and push it."""
        self.git("fetch", "-q", "origin")
        self.git("checkout", "-q", "-B", branch, "origin/main")
        copy_part(part, self.clone)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        self.git("push", "-q", "origin", branch)

    def show_change(self) -> str:
        """Give the diff of the branch against main, without context."""
        return self.git("diff", "--unified=0", "--no-color", "origin/main", "HEAD")


def make_repository(bare: Path, first: Path) -> None:
    """Make the bare repository with the project's first commit on main."""
    bare.mkdir(parents=True)
    run_git(bare, ["init", "-q", "--bare", "-b", "main", "."])
    person = clone_repository("alice", bare, first)
    person.git("checkout", "-q", "-b", "main")
    copy_part("base", first)
    person.git("add", "-A")
    person.git("commit", "-q", "-m", "A project with nobody in it yet")
    person.git("push", "-q", "origin", "main")


def clone_repository(name: str, bare: Path, folder: Path) -> Person:
    """Clone for somebody."""
    run_git(folder.parent, ["clone", "-q", str(bare), str(folder)])
    return Person(name, folder)


def copy_part(part: str, folder: Path) -> None:
    """Copy a part of the embedded project over a folder."""
    for path, data in read_part(part).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def read_part(part: str) -> dict[str, bytes]:
    """Give a part's files by path."""
    found: dict[str, bytes] = {}
    _collect(files(PROJECT).joinpath("project", part), "", found)
    return found


def identity_of(name: str) -> Mapping[str, str]:
    """Give the variables that make git write as somebody."""
    return {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in _identity(name)}


def _identity(name: str) -> tuple[tuple[str, str], ...]:
    return (("NAME", name), ("EMAIL", f"{name}@example.org"))


def _collect(folder: Traversable, prefix: str, found: dict[str, bytes]) -> None:
    for item in folder.iterdir():
        if item.is_dir():
            _collect(item, f"{prefix}{item.name}/", found)
        else:
            found[prefix + item.name] = item.read_bytes()
