"""Publish: write a tree and a signed commit without a work tree, and move a branch to it only from where it was believed to be.

Takes files by path, a signer of bytes and where to publish: the repository's own branch, or a remote. Moving is compare-and-swap: who
loses a race is told so and builds again. Never merges, never forces, runs no hook of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from dulwich.file import FileLocked
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tree
from dulwich.refs import Ref

from gitops.errors import RemoteError
from gitops.source.git import run_git
from gitops.source.opening import open_repository
from gitops.source.remote import run_remote
from gitops.source.repository import find_ref, is_ancestor

FILE_MODE = 0o100644
FOLDER_MODE = 0o040000
REFUSED = 1
IDENTITY = "Trueup <trueup@example.invalid>"
Sign = Callable[[bytes], str]


@dataclass(frozen=True)
class Place:
    """Where a branch is published: a remote, or with an empty `url` the repository itself.

    `access` goes into the environment of the git processes that talk to the remote: credentials, which never stand in arguments.
    """

    repository: Path
    branch: str
    url: str = ""
    access: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def ref(self) -> str:
        """The branch's full name."""
        return f"refs/heads/{self.branch}"


def commit_files(
    repository: Path, files: Mapping[str, bytes], *, parents: Sequence[str], message: str, now: datetime, sign: Sign | None = None
) -> str:
    """Write files and a commit that holds exactly them, and give its id; no ref moves.

    `sign` gives the armored SSH signature (namespace `git`) over the commit, which becomes its `gpgsig` header.
    """
    with open_repository(repository) as repo:
        objects: dict[ObjectID, ShaFile] = {}
        commit = _make_commit(_make_tree(files, objects), parents, message, now)
        if sign is not None:
            commit.gpgsig = sign(commit.as_raw_string()).strip().encode()
        objects[commit.id] = commit
        missing: list[tuple[ShaFile, str | None]] = [
            (item, None) for ident, item in objects.items() if ident not in repo.object_store
        ]
        repo.object_store.add_objects(missing)
        return commit.id.decode()


def fetch_tip(place: Place) -> str:
    """Give the commit that the branch points to now, its objects fetched; an empty text when there is no such branch."""
    if not place.url:
        return find_ref(place.repository, place.ref)
    tip = _ask_tip(place)
    if tip:
        arguments = ["fetch", "-q", "--no-tags", "--no-write-fetch-head", "--end-of-options", place.url, place.ref]
        run_remote(place.repository, arguments, access=place.access)
        run_git(place.repository, ["cat-file", "-e", tip])
    return tip


def push_commit(place: Place, commit: str, *, old: str) -> bool:
    """Move the branch from `old` (empty: it must not exist) to `commit`; give False when somebody else was faster.

    True is only said of what the branch really holds afterwards. A refusal that is not a lost race (a protected branch, a hook, no
    right to push) is RemoteError.
    """
    if not place.url:
        return _swap_ref(place, commit, old)
    arguments = ["push", "-q", "--porcelain", "--no-verify", f"--force-with-lease={place.ref}:{old}"]
    target = ["--end-of-options", place.url, f"{commit}:{place.ref}"]
    done = run_remote(place.repository, [*arguments, *target], access=place.access, accept=(0, REFUSED))
    tip = _ask_tip(place)
    if tip == commit:
        return True
    if done.status == REFUSED and tip == old and not _is_race(done.output):
        reason = _reason(done.output) or done.error[-400:]
        raise RemoteError(
            f"the push to {place.branch} was refused: {reason}", code="R030", hint="may this key or token push to that branch?"
        )
    return bool(tip) and tip == fetch_tip(place) and is_ancestor(place.repository, commit, tip)


def _make_commit(tree: ObjectID, parents: Sequence[str], message: str, now: datetime) -> Commit:
    commit = Commit()
    commit.tree = tree
    commit.parents = [ObjectID(item.encode()) for item in parents]
    commit.author = commit.committer = IDENTITY.encode()
    commit.author_time = commit.commit_time = int(now.timestamp())
    commit.author_timezone = commit.commit_timezone = 0
    commit.message = message.encode()
    return commit


def _make_tree(files: Mapping[str, bytes], objects: dict[ObjectID, ShaFile]) -> ObjectID:
    folders: dict[str, Tree] = {"": Tree()}
    for path in sorted(files):
        blob = Blob.from_string(files[path])
        objects[blob.id] = blob
        folder, _, name = path.rpartition("/")
        _folder(folders, folder).add(name.encode(), FILE_MODE, blob.id)
    for path in sorted(folders, key=lambda item: item.count("/") + bool(item), reverse=True):
        tree = folders[path]
        objects[tree.id] = tree
        if path:
            above, _, name = path.rpartition("/")
            folders[above].add(name.encode(), FOLDER_MODE, tree.id)
    return folders[""].id


def _folder(folders: dict[str, Tree], path: str) -> Tree:
    """Give the tree of a folder; its parents are made with it."""
    if path not in folders:
        _folder(folders, path.rpartition("/")[0])
        folders[path] = Tree()
    return folders[path]


def _swap_ref(place: Place, commit: str, old: str) -> bool:
    ref, new = Ref(place.ref.encode()), ObjectID(commit.encode())
    with open_repository(place.repository) as repo:
        try:
            # dulwich takes `old_ref=None` as "whatever is there": a new branch needs the other call.
            return repo.refs.set_if_equals(ref, ObjectID(old.encode()), new) if old else repo.refs.add_if_new(ref, new)
        except FileLocked:
            return False


def _ask_tip(place: Place) -> str:
    done = run_remote(place.repository, ["ls-remote", "--end-of-options", place.url, place.ref], access=place.access)
    for row in done.output.decode("utf-8", "replace").split("\n"):
        ident, _, name = row.partition("\t")
        if name == place.ref:
            return ident
    return ""


def _is_race(output: bytes) -> bool:
    """Say whether a rejection is somebody else's update under way: their lock was held, or the lease was already stale."""
    reason = _reason(output)
    return any(
        text in reason for text in ("stale info", "cannot lock ref", "failed to update ref", "fetch first", "incorrect old")
    )


def _reason(output: bytes) -> str:
    rows = [line for line in output.decode("utf-8", "replace").split("\n") if line.startswith("!")]
    return rows[0].split("\t")[-1] if rows else ""
