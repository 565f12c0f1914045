"""Merges are what git makes of them: whether there is a conflict is git's exit status, whatever files it names."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from gitops.errors import RemoteError
from gitops.source import merge as merge_module
from gitops.source.commits import snapshot_commit
from gitops.source.git import GitResult
from gitops.source.merge import UNSAID, Clash, Conflict, merge, merge_trees
from gitops.source.repository import resolve
from gitops.source.snapshot import Snapshot, snapshot_folder
from tests.support.project import Repository

SEEDS = 120
STEPS = 4


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "repo", {"a.txt": "a\n", "dir/b.txt": "b\n", ".hidden/c": "c"})


def contents(snapshot: Snapshot | Conflict) -> dict[str, bytes]:
    assert isinstance(snapshot, Snapshot)
    return {path: snapshot.read(path) for path in snapshot.paths()}


def branch_off(repository: Repository, files: dict[str, str | bytes]) -> tuple[str, str]:
    """Give (target, head): two branches that both changed something."""
    repository.git("checkout", "-q", "-b", "topic")
    head = repository.commit(files)
    repository.git("checkout", "-q", "main")
    return repository.commit({"dir/b.txt": "main\n"}), head


def split_folder(repository: Repository) -> tuple[str, str]:
    """Give (target, head): one side splits a folder in two, the other adds to it. Git names no file then."""
    texts = {f"a/{number}": "".join(f"{number * 100 + line}\n" for line in range(20)) for number in range(1, 5)}
    repository.commit(texts)
    repository.git("checkout", "-q", "-b", "topic")
    (repository.path / "b").mkdir()
    (repository.path / "c").mkdir()
    repository.git("mv", "a/1", "a/2", "b/")
    repository.git("mv", "a/3", "a/4", "c/")
    head = repository.commit({})
    repository.git("checkout", "-q", "main")
    return repository.commit({"a/5": "new\n"}), head


def test_a_merge_is_what_git_makes_and_writes_nothing(repository: Repository) -> None:
    target, head = branch_off(repository, {"topic.txt": "t\n"})
    before = repository.git("count-objects", "-v")
    merged = merge(repository.path, target, head)
    assert repository.git("count-objects", "-v") == before
    assert contents(merged) == {"a.txt": b"a\n", "dir/b.txt": b"main\n", "topic.txt": b"t\n"}
    repository.git("merge", "-q", "topic")
    assert contents(merged) == contents(snapshot_folder(repository.path))


def test_a_conflict_names_its_files_and_says_why_in_git_s_words(repository: Repository) -> None:
    target, head = branch_off(repository, {"dir/b.txt": "topic\n"})
    merged = merge(repository.path, target, head)
    assert merged == Conflict(("dir/b.txt",), (Clash("dir/b.txt", "CONFLICT (content): Merge conflict in dir/b.txt"),))


def test_a_conflict_that_names_no_file_is_a_conflict(repository: Repository) -> None:
    target, head = split_folder(repository)
    merged = merge(repository.path, target, head)
    assert isinstance(merged, Conflict)
    assert merged.files == ()
    (clash,) = merged.clashes
    assert clash.path == "a"
    assert clash.message.startswith("CONFLICT (directory rename split): Unclear where to rename a to")


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        (b"", Conflict((), (Clash("", UNSAID),))),
        (b"f" * 40, Conflict((), (Clash("", UNSAID),))),
        (b"f" * 40 + b"\0\0", Conflict((), (Clash("", UNSAID),))),
        (b"f" * 40 + b"\0a\0b\0\0", Conflict(("a", "b"), (Clash("a", UNSAID), Clash("b", UNSAID)))),
        (b"f" * 40 + b"\0a\0\0" + b"1\0a\0Auto-merging\0Auto-merging a\n\0", Conflict(("a",), (Clash("a", UNSAID),))),
        (b"f" * 40 + b"\0\0" + b"0\0CONFLICT (x)\0y\n\0", Conflict((), (Clash("", "y"),))),
        (b"f" * 40 + b"\0\0" + b"what is this", Conflict((), (Clash("", UNSAID),))),
    ],
)
def test_git_s_status_alone_says_that_it_is_a_conflict(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, output: bytes, wanted: Conflict
) -> None:
    monkeypatch.setattr(merge_module, "run_git", lambda *_arguments, **_more: GitResult(1, output, ""))
    assert merge_trees(repository.path, "x", "y") == wanted


@pytest.mark.parametrize("output", [b"", b"\0", b"main", b"f" * 39])
def test_success_without_a_tree_is_no_success(repository: Repository, monkeypatch: pytest.MonkeyPatch, output: bytes) -> None:
    monkeypatch.setattr(merge_module, "run_git", lambda *_arguments, **_more: GitResult(0, output, ""))
    with pytest.raises(RemoteError, match="no tree"):
        merge_trees(repository.path, "x", "y")


def test_attributes_and_drivers_of_a_tree_play_no_part(repository: Repository, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    repository.commit({".gitattributes": "* merge=evil filter=evil\n"})
    target, head = branch_off(repository, {"dir/b.txt": "topic\n"})
    repository.git("config", "merge.evil.driver", f"touch {proof}")
    repository.git("config", "filter.evil.smudge", f"touch {proof}")
    repository.git("config", "core.fsmonitor", f"touch {proof}")
    proof.unlink(missing_ok=True)
    merged = merge(repository.path, target, head)
    assert isinstance(merged, Conflict)
    assert merged.files == ("dir/b.txt",)
    snapshot_commit(repository.path, head)
    resolve(repository.path, "HEAD")
    assert not proof.exists()


def test_random_renames_of_files_and_folders_merge_exactly_when_git_merges_them(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repo", {"README": "r\n"})
    nameless = clean = 0
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repository.path, input=_write_histories(), check=True, timeout=60)
    for seed in range(SEEDS):
        ours, theirs = (repository.git("rev-parse", f"refs/heads/{side}-{seed}") for side in ("ours", "theirs"))
        merged = merge(repository.path, ours, theirs)
        repository.git("checkout", "-q", "-f", "--detach", ours)
        person = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        command = ["git", *person, "merge", "-q", "-m", "merged", theirs]
        done = subprocess.run(command, cwd=repository.path, capture_output=True, check=False, timeout=60)
        assert isinstance(merged, Conflict) == (done.returncode == 1), (seed, done)
        if isinstance(merged, Conflict):
            assert merged.clashes, seed
            assert all(clash.message != UNSAID for clash in merged.clashes), seed
            nameless += not merged.files
        else:
            assert done.returncode == 0, (seed, done)
            clean += 1
            assert contents(merged) == contents(snapshot_commit(repository.path, repository.git("rev-parse", "HEAD"))), seed
        repository.git("reset", "-q", "--hard")
        repository.git("clean", "-q", "-f", "-d")
    assert clean > SEEDS // 10
    assert nameless > 0


def _write_histories() -> bytes:
    """Write all commits as one stream: a base, and two sides that each move, add, edit and remove things."""
    lines: list[str] = []
    for seed in range(SEEDS):
        chance = random.Random(seed)
        base = {f"{folder}/{name}": _text(chance) for folder in ("a", "a/in", "b") for name in "123456"}
        sides = [base, _change(base, chance), _change(base, chance)]
        for name, tree in zip(("base", "ours", "theirs"), sides, strict=True):
            lines.append(f"commit refs/heads/{name}-{seed}")
            lines.append(f"mark :{seed + 1}" if name == "base" else "")
            lines.append("committer A <a@example.org> 1700000000 +0000\ndata 1\nx")
            lines.append("" if name == "base" else f"from :{seed + 1}")
            lines.append("deleteall")
            lines.extend(f"M 100644 inline {path}\ndata {len(text)}\n{text}" for path, text in sorted(tree.items()))
    return "\n".join(line for line in lines if line).encode() + b"\n"


def _text(chance: random.Random) -> str:
    return "".join(f"{chance.randrange(10**9)}\n" for _ in range(12))


def _change(base: dict[str, str], chance: random.Random) -> dict[str, str]:
    tree = dict(base)
    for _ in range(chance.randint(1, STEPS)):
        path = chance.choice(sorted(tree))
        folder = path.rpartition("/")[0]
        inside = sorted(name for name in tree if name.startswith(folder + "/"))
        match chance.choice(("file", "folder", "split", "split", "add", "add", "edit", "remove")):
            case "file":
                tree[f"{chance.choice('abcd')}/{chance.choice('16xy')}"] = tree.pop(path)
            case "folder":
                target = chance.choice(("c", "d", "b/deep"))
                tree = {target + name[len(folder) :] if name in inside else name: text for name, text in tree.items()}
            case "split":
                moved = {name: f"{'c' if number % 2 else 'd'}{name[len(folder) :]}" for number, name in enumerate(inside)}
                tree = {moved.get(name, name): text for name, text in tree.items()}
            case "add":
                tree[f"{folder}/new-{chance.randrange(3)}"] = _text(chance)
            case "edit":
                tree[path] = tree[path].replace(tree[path].splitlines()[3], "edited")
            case _:
                del tree[path]
    return {path: text for path, text in tree.items() if not any(other.startswith(path + "/") for other in tree)}
