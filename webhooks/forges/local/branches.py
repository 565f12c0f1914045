"""Branches as pull requests: what a bare repository's `pr/<name>` branches say about themselves.

Takes the path of a bare repository; gives one Branch per pushed `pr/<name>`, with the people its commits name. Reads only. Who can
push is trusted to name itself (DESIGN §7), yet everybody a commit names counts as an author, so that nobody reviews their own work.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gitops.render.escape import escape_line
from gitops.source.git import run_git

PREFIX = "refs/heads/pr/"
MOST_NAME = 100
SIGNS = "._-+@#=,!()/"
INVISIBLE = "\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5"  # letters and marks to Unicode, nothing to the eye
REPLACED = "\ufffd"
MOST_COMMITS = 50_000  # whoever wrote the first of them must not be lost below many others
FIELDS = "%H%x00%an%x00%ae%x00%cn%x00%ce%x00%ct%x00%s"
FIELD_COUNT = 7


@dataclass(frozen=True)
class Person:
    """Who a commit names, as it says itself."""

    name: str
    email: str


@dataclass(frozen=True)
class Commit:
    """One commit of a branch."""

    ident: str
    author: Person
    committer: Person
    at: datetime
    subject: str


@dataclass(frozen=True)
class Branch:
    """A pushed `pr/<name>`: its head and its commits that the target lacks, newest first (at most 50,000)."""

    name: str
    head: str
    commits: tuple[Commit, ...]

    @property
    def title(self) -> str:
        """The subject of the newest commit, or the name."""
        return (self.commits[0].subject if self.commits else "") or self.name

    @property
    def people(self) -> tuple[Person, ...]:
        """Everybody its commits name: the newest author first, each once."""
        return tuple(dict.fromkeys(person for commit in self.commits for person in (commit.author, commit.committer)))


def list_heads(repository: Path) -> dict[str, str]:
    """Give the head of every pull request's branch by name; `list_refused` has those whose names do not fit."""
    return {name: head for name, head in _list_all(repository).items() if not why_no_name(name)}


def list_refused(repository: Path) -> dict[str, str]:
    """Give the branches `pr/<name>` that are no pull request, and why; what cannot be shown in the name is escaped."""
    reasons = {name: why_no_name(name) for name in _list_all(repository)}
    return {escape_line(name): reason for name, reason in reasons.items() if reason}


def why_no_name(name: str) -> str:
    """Say why a branch `pr/<name>` is no pull request; nothing when it is one.

    A name is read by people who approve what stands below it: letters and digits of any script and a few signs, in one spelling.
    """
    if not name or len(name) > MOST_NAME:
        return f"a name has 1 to {MOST_NAME} characters, this one {len(name)}"
    if REPLACED in name:
        return "its name is not UTF-8"
    odd = next((sign for sign in name if not _may_stand(sign)), "")
    if odd:
        return f"its name has '{escape_line(odd)}'; a name has letters, digits and {' '.join(SIGNS)}"
    if unicodedata.normalize("NFC", name) != name:
        return "its name is written with combining characters: another spelling would look the same (write it in NFC)"
    return ""


def _may_stand(sign: str) -> bool:
    return sign in SIGNS or (unicodedata.category(sign)[0] in "LMN" and sign not in INVISIBLE)


def _list_all(repository: Path) -> dict[str, str]:
    """Give every branch below `pr/`, those too whose names are not UTF-8 (`list_refs` leaves them out): each gets its reason."""
    done = run_git(repository, ["for-each-ref", "--format=%(refname)%00%(objectname)", PREFIX])
    rows = (row.partition("\0") for row in sorted(done.output.decode("utf-8", "replace").split("\n")) if row)
    return {name.removeprefix(PREFIX): head for name, _, head in rows}


def read_branch(repository: Path, name: str, head: str, target: str) -> Branch:
    """Read the commits that `head` has and the commit `target` (empty: no such branch yet) lacks."""
    span = f"{target}..{head}" if target else head
    done = run_git(
        repository,
        ["log", "-z", f"--max-count={MOST_COMMITS}", f"--format={FIELDS}", "--encoding=UTF-8", "--end-of-options", span, "--"],
    )
    return Branch(name, head, tuple(_read_commits(done.output)))


def _read_commits(output: bytes) -> list[Commit]:
    parts = output.decode("utf-8", "replace").split("\0")
    rows = [parts[start : start + FIELD_COUNT] for start in range(0, len(parts) - FIELD_COUNT + 1, FIELD_COUNT)]
    return [
        Commit(row[0], Person(row[1], row[2]), Person(row[3], row[4]), datetime.fromtimestamp(int(row[5]), UTC), row[6])
        for row in rows
    ]
