"""Writing commits and moving branches: exactly these files, and only from where the branch was believed to be."""

from __future__ import annotations

import random
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gitops.errors import RemoteError, TrustError
from gitops.model.candidate import Listed
from gitops.model.limits import Limits
from gitops.signatures.keys import TYPES, generate_key, write_key
from gitops.signatures.sshsig import sign_ssh, verify_ssh
from gitops.source.publish import Place, commit_files, fetch_tip, push_commit
from gitops.source.release import list_history, open_release, read_commit_signature
from tests.support.project import Repository

NOW = datetime(2026, 11, 24, 15, 0, 0, tzinfo=UTC)
FILES = {
    "manifest.json": b"{}",
    "hosts/ab/x.json": b"x",
    "hosts.json": b"z",
    "hosts-1": b"",
    "a/b/c/d": b"deep",
    "approvals/a": b"y",
}
BRANCH = "release/production"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "work", {"README": "x"})


def commit(repository: Repository, name: str = "1", parents: tuple[str, ...] = ()) -> str:
    return commit_files(repository.path, {**FILES, "name": name.encode()}, parents=parents, message=f"{name}\n", now=NOW)


def bare_of(tmp_path: Path) -> Path:
    Repository(tmp_path).git("init", "-q", "--bare", str(tmp_path / "bare.git"))
    return tmp_path / "bare.git"


def test_a_commit_holds_exactly_the_files_and_git_finds_it_sound(repository: Repository) -> None:
    made = commit_files(repository.path, FILES, parents=(), message="m\n", now=NOW)
    assert sorted(repository.git("ls-tree", "-r", "--name-only", made).splitlines()) == sorted(FILES)
    repository.git("fsck", "--strict", made)
    opened = open_release(repository.path, made)
    assert {path: opened.read(path) for path in opened.listing} == FILES
    assert {(item.mode, item.size) for item in opened.listing.values()} == {("100644", len(data)) for data in FILES.values()}
    assert len(opened.listing) == len(FILES)


def test_the_same_files_and_time_are_the_same_commit(repository: Repository) -> None:
    assert commit(repository) == commit(repository)


@pytest.mark.parametrize("kind", TYPES)
def test_stock_git_verifies_the_commit(repository: Repository, tmp_path: Path, kind: str) -> None:
    key = generate_key(kind)
    write_key(key, tmp_path / "K")
    (tmp_path / "allowed").write_text(f'release@example.org namespaces="git" {(tmp_path / "K.pub").read_text()}')
    made = commit_files(repository.path, FILES, parents=(), message="m\n", now=NOW, sign=lambda payload: sign_ssh(key, payload))
    repository.git("-c", f"gpg.ssh.allowedSignersFile={tmp_path / 'allowed'}", "verify-commit", made)
    found = read_commit_signature(repository.path, made)
    assert verify_ssh(found.armor, found.payload, [key.public]) == key.public
    assert verify_ssh(found.armor, found.payload + b" ", [key.public]) is None


def test_an_unsigned_commit_has_no_signature(repository: Repository) -> None:
    assert read_commit_signature(repository.path, commit(repository)).armor == ""


# ── moving the branch ──


@pytest.fixture(params=["local", "remote"])
def place(request: pytest.FixtureRequest, repository: Repository, tmp_path: Path) -> Place:
    return Place(repository.path, BRANCH, "" if request.param == "local" else str(bare_of(tmp_path)))


def test_a_branch_begins_moves_and_tells_where_it_is(place: Place, repository: Repository) -> None:
    first = commit(repository)
    assert fetch_tip(place) == ""
    assert push_commit(place, first, old="")
    second = commit(repository, "2", (first,))
    assert push_commit(place, second, old=first)
    assert fetch_tip(place) == second
    assert list_history(repository.path, second) == (first,)


def test_who_believes_something_old_loses(place: Place, repository: Repository) -> None:
    first = commit(repository)
    assert push_commit(place, first, old="")
    mine, theirs = commit(repository, "mine", (first,)), commit(repository, "theirs", (first,))
    assert push_commit(place, theirs, old=first)
    assert not push_commit(place, mine, old=first)
    assert not push_commit(place, mine, old="")
    assert fetch_tip(place) == theirs


def test_of_many_at_once_exactly_one_wins(place: Place, repository: Repository) -> None:
    first = commit(repository)
    assert push_commit(place, first, old="")
    candidates = [commit(repository, f"racer {number}", (first,)) for number in range(4)]
    won: list[str] = []

    def race(mine: str) -> None:
        if push_commit(place, mine, old=first):
            won.append(mine)

    threads = [threading.Thread(target=race, args=(item,)) for item in candidates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(won) == 1
    assert fetch_tip(place) == won[0]


def test_a_push_that_a_later_one_built_on_is_a_success(repository: Repository, tmp_path: Path) -> None:
    place = Place(repository.path, BRANCH, str(bare_of(tmp_path)))
    first = commit(repository)
    second = commit(repository, "2", (first,))
    assert push_commit(place, second, old="")
    # The answer to our own push was lost, somebody went on from it, and we try again.
    assert push_commit(place, first, old="")
    assert fetch_tip(place) == second


def test_a_refusal_by_the_remote_is_not_a_lost_race(repository: Repository, tmp_path: Path) -> None:
    bare = bare_of(tmp_path)
    hook = bare / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(RemoteError) as caught:
        push_commit(Place(repository.path, BRANCH, str(bare)), commit(repository), old="")
    assert caught.value.code == "R030"


def test_a_remote_that_is_not_there_is_exit_7(repository: Repository, tmp_path: Path) -> None:
    place = Place(repository.path, BRANCH, str(tmp_path / "nowhere"))
    for run in (lambda: fetch_tip(place), lambda: push_commit(place, commit(repository), old="")):
        with pytest.raises(RemoteError) as caught:
            run()
        assert caught.value.exit_status == 7


# ── reading what a stranger wrote ──


def mktree(repository: Repository, literal: bytes) -> str:
    """Give a commit of a tree object that git itself would not write."""
    path = repository.path / ".git" / "tree"
    path.write_bytes(literal)
    return repository.git("commit-tree", repository.git("hash-object", "-t", "tree", "-w", "--literally", str(path)), "-m", "x")


def blob(repository: Repository, data: str = "x") -> str:
    (repository.path / ".git" / "blob").write_text(data)
    return repository.git("hash-object", "-w", str(repository.path / ".git" / "blob"))


def test_links_submodules_and_programs_are_listed_as_what_they_are(repository: Repository) -> None:
    link = repository.path / "link"
    link.symlink_to("README")
    (repository.path / "program").write_text("x")
    (repository.path / "program").chmod(stat.S_IRWXU)
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    repository.git("add", "link", "program")
    repository.git("commit", "-q", "-m", "odd")
    opened = open_release(repository.path, repository.git("rev-parse", "HEAD"))
    modes = {path: item.mode for path, item in opened.listing.items()}
    assert modes == {"README": "100644", "link": "120000", "program": "100755", "module": "160000"}
    assert opened.listing["module"].size == 0
    with pytest.raises(TrustError):
        opened.read("module")


def row(mode: bytes, name: bytes, sha: str) -> bytes:
    return mode + b" " + name + b"\0" + bytes.fromhex(sha)


def test_trees_that_no_git_writes_are_refused(repository: Repository) -> None:
    one, two = blob(repository, "one"), blob(repository, "two")
    for literal in (
        row(b"100644", b"manifest.json", one) + row(b"100644", b"manifest.json", two),
        row(b"100644", b"hosts/x", one),
        row(b"100644", b"..", one),
        row(b"100644", b"", one),
        b"",
        b"100644 cut",
        row(b"100644", b"cut", one)[:-1],
        row(b"40000", b"folder", one),
        row(b"40000", b"missing", "2" * 40),
    ):
        made = mktree(repository, literal)
        with pytest.raises(TrustError) as caught:
            len(open_release(repository.path, made).listing)
        assert caught.value.code == "T106"


def test_a_name_that_is_not_utf8_is_listed_and_is_no_known_name(repository: Repository) -> None:
    made = mktree(repository, row(b"100644", b"\xff", blob(repository)))
    assert list(open_release(repository.path, made).listing) == ["\\xff"]


def test_a_tree_of_trees_without_end_is_bounded(repository: Repository) -> None:
    """Ten levels of ten names for the same folder are ten objects and ten billion files."""
    tree = repository.git("rev-parse", "HEAD^{tree}")
    for _ in range(10):
        literal = b"".join(row(b"40000", f"{number}".encode(), tree) for number in range(10))
        tree = repository.git("rev-parse", mktree(repository, literal) + "^{tree}")
    made = repository.git("commit-tree", tree, "-m", "bomb")
    with pytest.raises(TrustError):
        len(open_release(repository.path, made, Limits(release_files=5000)).listing)


def test_a_deep_tree_is_bounded(repository: Repository) -> None:
    made = commit_files(repository.path, {"/".join("abcdefghijklmnopqrst"): b""}, parents=(), message="x", now=NOW)
    with pytest.raises(TrustError):
        len(open_release(repository.path, made).listing)


def test_a_large_file_is_not_read(repository: Repository) -> None:
    opened = open_release(repository.path, commit(repository), Limits(blob_bytes=3))
    assert opened.read("manifest.json") == b"{}"
    with pytest.raises(TrustError):
        opened.read("a/b/c/d")


def test_what_is_not_there_is_a_remote_error(repository: Repository, tmp_path: Path) -> None:
    for where, name in ((repository.path, "1" * 40), (repository.path, "main"), (tmp_path, "1" * 40)):
        with pytest.raises(RemoteError):
            open_release(where, name)
    with pytest.raises(TrustError):
        open_release(repository.path, repository.git("rev-parse", "HEAD^{tree}"))
    with pytest.raises(KeyError):
        open_release(repository.path, commit(repository)).read("nothing")


def test_a_path_is_found_without_listing_the_rest(repository: Repository) -> None:
    bad = repository.git("rev-parse", mktree(repository, row(b"100644", b"..", blob(repository, "one"))) + "^{tree}")
    literal = row(b"40000", b"blobs", bad) + row(b"100644", b"manifest.json", blob(repository, "{}"))
    opened = open_release(repository.path, mktree(repository, literal))
    assert (opened.read("manifest.json"), opened.listing["manifest.json"]) == (b"{}", Listed("100644", 2))
    assert ["approvals/x" in opened.listing, "blobs" in opened.listing, "manifest.json/x" in opened.listing] == [False] * 3
    with pytest.raises(TrustError, match="no Git writes"):
        len(opened.listing)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("path", "limits"),
    [
        ("manifest.json", Limits(manifest_bytes=3)),
        ("approvals/a.json", Limits(approval_bytes=3)),
        ("signatures/a.sigstore.json", Limits(signature_bytes=3)),
        ("trust/2.sigs/a.sigstore.json", Limits(signature_bytes=3)),
        ("trust/2.json", Limits(manifest_bytes=3)),
        ("hosts/aa/index.json", Limits(manifest_bytes=3)),
        ("hosts/aa/a.json", Limits(blob_bytes=3)),
    ],
)
def test_a_file_is_not_read_when_it_is_larger_than_its_name_may_hold(
    repository: Repository, path: str, limits: Limits, packed: bool
) -> None:
    made = commit_files(repository.path, {path: b"1234"}, parents=(), message="x", now=NOW)
    repository.git("update-ref", "refs/heads/kept", made)
    if packed:
        repository.git("repack", "-q", "-a", "-d")
    opened = open_release(repository.path, made, limits)
    assert opened.listing[path].size == 4
    with pytest.raises(TrustError, match="larger than 3 bytes"):
        opened.read(path)


def test_sizes_of_differences_are_those_of_what_they_make(repository: Repository) -> None:
    texts = ["".join(f"line {number} of {count}\n" for number in range(4000)) + "x" * count for count in range(6)]
    made = commit_files(
        repository.path, {f"{count}": text.encode() for count, text in enumerate(texts)}, parents=(), message="x", now=NOW
    )
    repository.git("update-ref", "refs/heads/kept", made)
    repository.git("repack", "-q", "-a", "-d", "-f", "--depth=50", "--window=50")
    opened = open_release(repository.path, made)
    assert [opened.listing[f"{count}"].size for count in range(6)] == list(map(len, texts))
    assert [opened.read(f"{count}").decode() for count in range(6)] == texts


@pytest.mark.parametrize("packed", [False, True])
def test_sizes_are_found_behind_the_tables_of_a_compressor(repository: Repository, packed: bool) -> None:
    """What holds many different bytes is compressed with tables that stand before the first of them."""
    chance = random.Random(7)
    weights = [1.3**-place for place in range(256)]
    text = bytes(chance.choices(range(256), weights, k=400_000))
    files = {"a": text, "b": text[:200_000] + bytes(chance.choices(range(256), weights, k=90_000)) + text[200_000:]}
    repository.git("config", "core.compression", "9")
    made = repository.commit(files)
    if packed:
        repository.git("repack", "-q", "-a", "-d", "-f")
    opened = open_release(repository.path, made)
    assert {path: opened.listing[path].size for path in files} == {path: len(data) for path, data in files.items()}


def test_a_large_commit_is_not_read(repository: Repository) -> None:
    tree = repository.git("rev-parse", "HEAD^{tree}")
    large = repository.git("commit-tree", tree, data=b"words\n" * 200_000)
    with pytest.raises(TrustError, match="larger than 1048576 bytes"):
        open_release(repository.path, large)


def test_candidates_leave_no_files_open(repository: Repository) -> None:
    made = commit(repository)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        open_release(repository.path, made).read("manifest.json")
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 4
