"""Commits and work trees as snapshots, merges as git does them, mirrors; nothing of a tree runs, nothing is written."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dulwich.objects import Blob, Commit, Tree
from dulwich.repo import Repo

from gitops.errors import ConfigError, RemoteError
from gitops.source import git as git_module
from gitops.source.commits import snapshot_commit
from gitops.source.git import run_git
from gitops.source.publish import Place, commit_files, fetch_tip, push_commit
from gitops.source.release import open_release
from gitops.source.repository import (
    find_ref,
    is_ancestor,
    list_commits,
    list_refs,
    locate,
    read_project,
    resolve,
    update_mirror,
)
from gitops.source.snapshot import Snapshot, snapshot_folder
from tests.support.project import SMALL, Repository, write_files

NOW = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "repo", {"a.txt": "a\n", "dir/b.txt": "b\n", ".hidden/c": "c"})


def contents(snapshot: Snapshot) -> dict[str, bytes]:
    return {path: snapshot.read(path) for path in snapshot.paths()}


def test_a_commit_and_its_work_tree_read_the_same(repository: Repository) -> None:
    commit = snapshot_commit(repository.path, repository.git("rev-parse", "HEAD"))
    folder = snapshot_folder(repository.path)
    assert contents(commit) == contents(folder) == {"a.txt": b"a\n", "dir/b.txt": b"b\n"}
    assert commit.size("a.txt") == folder.size("a.txt") == 2


def test_a_work_tree_shows_what_is_not_committed_yet(repository: Repository) -> None:
    write_files(repository.path, {"new": "n", "a.txt": "changed"})
    assert contents(snapshot_folder(repository.path)) == {"a.txt": b"changed", "dir/b.txt": b"b\n", "new": b"n"}


def test_kinds_are_what_git_says(repository: Repository) -> None:
    (repository.path / "run").write_text("#!/bin/sh\n")
    (repository.path / "run").chmod(0o755)
    (repository.path / "link").symlink_to("/etc/passwd")
    (repository.path / "folder").symlink_to("dir")
    commit = repository.commit({})
    for snapshot in (snapshot_commit(repository.path, commit), snapshot_folder(repository.path)):
        assert [snapshot.kind(path) for path in ("run", "link", "folder", "a.txt")] == [
            "executable",
            "symlink",
            "symlink",
            "file",
        ]
        assert "folder/b.txt" not in snapshot.paths()
        with pytest.raises(ConfigError) as caught:
            snapshot.read("link")
        assert caught.value.code == "C610"


def test_a_submodule_is_seen_and_not_entered(repository: Repository) -> None:
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    repository.git("commit", "-q", "-m", "sub")
    assert snapshot_commit(repository.path, repository.git("rev-parse", "HEAD")).kind("sub") == "submodule"


def test_a_folder_of_a_commit_is_a_project(repository: Repository) -> None:
    commit = repository.git("rev-parse", "HEAD")
    assert contents(snapshot_commit(repository.path, commit, "dir")) == {"b.txt": b"b\n"}
    for subpath in ("gone", "a.txt", "dir/gone"):
        with pytest.raises(ConfigError) as caught:
            snapshot_commit(repository.path, commit, subpath)
        assert caught.value.code == "C614"


@pytest.mark.parametrize("what", ["0" * 40, "tree"])
def test_what_is_no_commit_is_refused(repository: Repository, what: str) -> None:
    ident = repository.git("rev-parse", "HEAD^{tree}") if what == "tree" else what
    with pytest.raises(ConfigError) as caught:
        snapshot_commit(repository.path, ident)
    assert caught.value.code == "C613"


def test_a_name_in_a_commit_that_is_not_utf8_is_refused(repository: Repository) -> None:
    (repository.path / "x\udcff").write_text("x")
    commit = repository.commit({})
    with pytest.raises(ConfigError) as caught:
        snapshot_commit(repository.path, commit)
    assert caught.value.code == "C612"


def test_revisions_resolve_as_git_users_write_them(repository: Repository) -> None:
    head = repository.git("rev-parse", "HEAD")
    repository.git("tag", "v1")
    assert {resolve(repository.path, name) for name in ("HEAD", "main", "v1", head[:10], "main@{0}")} == {head}
    assert contents(read_project(repository.path, "v1", "dir")) == {"b.txt": b"b\n"}
    for wrong, code in (("gone", "R020"), ("--all", "R020"), ("main@{9}", "R020"), ("HEAD:a.txt", "R021"), ("f" * 40, "R021")):
        with pytest.raises(RemoteError) as caught:
            resolve(repository.path, wrong)
        assert (caught.value.code, wrong in caught.value.message) == (code, True)


@pytest.mark.parametrize("expression", ["{}", "{}~0", "{}^0", "{}@{{0}}"])
@pytest.mark.parametrize("name", ["main", "topic/x", "v1", "deadbeef", "tags", "PROD"])
def test_a_branch_is_meant_where_a_tag_has_its_name(repository: Repository, name: str, expression: str) -> None:
    """Issue 9 §4.4: git takes the tag, which anybody who may push can make."""
    first = repository.git("rev-parse", "HEAD")
    repository.git("checkout", "-q", "-B", name)
    head = repository.commit({"new.txt": name}, "new")
    repository.git("tag", name, first)
    assert resolve(repository.path, expression.format(name)) == head
    assert resolve(repository.path, f"refs/tags/{name}") == resolve(repository.path, f"tags/{name}") == first


def test_git_s_own_names_and_whole_ids_are_no_branches(repository: Repository) -> None:
    first = repository.git("rev-parse", "HEAD")
    head = repository.commit({"new.txt": "x"}, "new")
    for name in ("HEAD", "FETCH_HEAD", head):
        repository.git("update-ref", f"refs/heads/{name}", first)
    (repository.path / ".git" / "FETCH_HEAD").write_text(f"{head}\t\tbranch 'main'\n")
    assert [resolve(repository.path, name) for name in ("HEAD", "FETCH_HEAD", head)] == [head] * 3


def test_a_failure_of_git_is_no_unknown_revision(repository: Repository) -> None:
    """Issue 9 §4.7."""
    (repository.path / ".git" / "config").write_text("[core\n")
    with pytest.raises(RemoteError) as caught:
        resolve(repository.path, "main")
    assert caught.value.code == "R012"
    assert "bad config" in caught.value.message


def test_names_of_refs_are_split_at_nothing_that_they_may_hold(repository: Repository) -> None:
    head = repository.git("rev-parse", "HEAD")
    names = ["refs/heads/line\u2028separator", "refs/heads/next\u0085line", "refs/heads/no\u00a0break", "refs/heads/+plus@#"]
    for name in names:
        repository.git("update-ref", name, head)
    repository.git("update-ref", b"refs/heads/latin-\xe9".decode("utf-8", "surrogateescape"), head)
    assert set(list_refs(repository.path, "refs/heads")) == {*names, "refs/heads/main", "refs/heads/latin-\ufffd"}


def test_subjects_may_hold_any_separator_but_their_end(repository: Repository) -> None:
    head = repository.commit({"x": "1"}, "one\u2028two\u0085three\x0bfour\x1cfive")
    found = list_commits(repository.path, "", head)
    assert found[0].ident == head
    assert found[0].subject == "one\u2028two\u0085three\x0bfour\x1cfive"
    assert len(found) == int(repository.git("rev-list", "--count", "HEAD"))


EXTENSIONS = {
    "fancy = 1": "uses the extension `fancy`",
    "partialClone = origin": "is a partial clone",
    "refStorage = reftable": "stores its refs as reftable",
    "refStorage = else": "uses the extension `refStorage = else`",
}


@pytest.mark.parametrize("line", EXTENSIONS)
def test_a_repository_that_is_not_supported_says_so_in_one_sentence(repository: Repository, line: str) -> None:
    """Issue 9 §4.4: it ended as a bug of ours (exit 70)."""
    head = repository.git("rev-parse", "HEAD")
    with (repository.path / ".git" / "config").open("a") as config:
        config.write(f"[core]\nrepositoryformatversion = 1\n[extensions]\n{line}\n")
    openers = (
        lambda: locate(repository.path),
        lambda: snapshot_commit(repository.path, head),
        lambda: find_ref(repository.path, "refs/heads/main"),
        lambda: open_release(repository.path, head),
        lambda: commit_files(repository.path, {"x": b""}, parents=(), message="m", now=datetime.now(UTC)),
    )
    for opener in openers:
        with pytest.raises(ConfigError) as caught:
            opener()
        assert (caught.value.code, EXTENSIONS[line] in caught.value.message) == ("U025", True)


def test_object_names_of_sha256_and_other_formats_are_not_supported(tmp_path: Path) -> None:
    folder = tmp_path / "sha256"
    folder.mkdir()
    subprocess.run(["git", "init", "-q", "--object-format=sha256", "."], cwd=folder, check=True)
    with pytest.raises(ConfigError, match="SHA-256"):
        locate(folder)
    (folder / ".git" / "config").write_text("[core]\nrepositoryformatversion = 7\n")
    with pytest.raises(ConfigError, match="format version 7"):
        locate(folder)
    (folder / ".git" / "config").write_text("[core\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        locate(folder)


def test_a_missing_object_is_named(repository: Repository) -> None:
    head, blob = repository.git("rev-parse", "HEAD"), repository.git("rev-parse", "HEAD:a.txt")
    path = repository.path / ".git" / "objects" / blob[:2] / blob[2:]
    path.chmod(0o600)
    path.unlink()
    with pytest.raises(RemoteError, match=blob) as caught:
        snapshot_commit(repository.path, head)
    assert caught.value.code == "R021"


def test_a_project_is_found_in_its_repository(repository: Repository, tmp_path: Path) -> None:
    assert locate(repository.path / "dir").subpath == "dir"
    assert locate(repository.path).subpath == ""
    bare = tmp_path / "bare.git"
    repository.git("clone", "-q", "--bare", str(repository.path), str(bare))
    assert locate(bare).root == bare.resolve()
    (tmp_path / "plain").mkdir()
    with pytest.raises(ConfigError) as caught:
        locate(tmp_path / "plain")
    assert caught.value.code == "U020"


def test_history_names_who_made_it(repository: Repository) -> None:
    base = repository.git("rev-parse", "HEAD")
    head = repository.commit({"x": "1"}, "one", env={"GIT_AUTHOR_EMAIL": "bob@example.org"})
    found = list_commits(repository.path, base, head)
    assert [(item.ident, item.author, item.committer, item.subject) for item in found] == [
        (head, "bob@example.org", "alice@example.org", "one")
    ]
    assert len(list_commits(repository.path, "", head)) == 2
    assert is_ancestor(repository.path, base, head)
    assert not is_ancestor(repository.path, head, base)


def test_refs_are_listed_and_found(repository: Repository) -> None:
    head = repository.git("rev-parse", "HEAD")
    repository.git("branch", "pr/one")
    assert list_refs(repository.path, "refs/heads/") == {"refs/heads/main": head, "refs/heads/pr/one": head}
    assert find_ref(repository.path, "refs/heads/pr/one") == head
    assert find_ref(repository.path, "refs/heads/gone") == ""


def test_a_mirror_follows_its_remote(repository: Repository, tmp_path: Path) -> None:
    mirror = tmp_path / "deep" / "mirror.git"
    url = str(repository.path)
    update_mirror(url, mirror)
    repository.git("branch", "topic")
    head = repository.commit({"x": "1"})
    update_mirror(url, mirror)
    assert list_refs(mirror, "refs/heads/")["refs/heads/main"] == head
    repository.git("branch", "-D", "topic")
    update_mirror(url, mirror)
    assert set(list_refs(mirror, "refs/heads/")) == {"refs/heads/main"}
    with pytest.raises(RemoteError):
        update_mirror(str(tmp_path / "gone"), mirror)


def test_git_that_is_missing_or_hangs_is_told(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RemoteError) as caught:
        run_git(repository.path, ["status"])
    assert caught.value.code == "R010"
    slow = write_files(tmp_path, {"git": "#!/bin/sh\nexec /bin/sleep 60\n"}) / "git"
    slow.chmod(0o755)
    monkeypatch.setattr(git_module, "DEFAULTS", git_module.DEFAULTS.__class__(git_seconds=1))
    with pytest.raises(RemoteError) as caught:
        run_git(repository.path, ["status"])
    assert caught.value.code == "R011"


def test_an_unborn_repository_has_no_revision(tmp_path: Path) -> None:
    made = Repository(tmp_path)
    made.git("init", "-q")
    write_files(tmp_path, SMALL)
    with pytest.raises(RemoteError):
        resolve(tmp_path, "HEAD")


@pytest.mark.parametrize("name", [b"/tmp/x.cue", b"..", b"../../x.cue", b"a/../../x.cue", b"."])
def test_a_tree_whose_names_lead_out_of_it_is_not_read(repository: Repository, name: bytes) -> None:
    with Repo(str(repository.path)) as repo:
        blob, tree, commit = Blob.from_string(b"x"), Tree(), Commit()
        tree.add(name, 0o100644, blob.id)
        commit.tree, commit.message = tree.id, b"a tree that no git writes"
        commit.author = commit.committer = b"a <a@example.org>"
        commit.author_time = commit.commit_time = commit.author_timezone = commit.commit_timezone = 0
        for item in (blob, tree, commit):
            repo.object_store.add_object(item)
    with pytest.raises(ConfigError, match="no Git writes"):
        snapshot_commit(repository.path, commit.id.decode())


def plant_program(folder: Path) -> tuple[Path, Path]:
    """Give a program that a hostile config may name, and the file that it leaves when somebody runs it."""
    mark = folder / "it-ran"
    program = folder / "evil.sh"
    program.write_text(f"#!/bin/sh\ntouch {mark}\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    return program, mark


def test_reading_runs_no_program_that_a_repository_names_for_objects_it_lacks(repository: Repository, tmp_path: Path) -> None:
    program, mark = plant_program(tmp_path)
    promises = {
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"file://{repository.path}",
    }
    for name, value in {"core.repositoryFormatVersion": "1", **promises, "remote.origin.uploadpack": str(program)}.items():
        repository.git("config", name, value)
    with pytest.raises(RemoteError):
        resolve(repository.path, "1" * 40)
    assert not is_ancestor(repository.path, "1" * 40, "HEAD")
    assert not mark.exists()


def test_listing_commits_runs_no_checker_of_signatures_that_a_repository_names(repository: Repository, tmp_path: Path) -> None:
    program, mark = plant_program(tmp_path)
    head = repository.git("rev-parse", "HEAD")
    tree = repository.git("rev-parse", "HEAD^{tree}")
    people = "author a <a@example.org> 0 +0000\ncommitter a <a@example.org> 0 +0000\n"
    armor = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n aaaa\n -----END PGP SIGNATURE-----\n"
    (tmp_path / "commit").write_text(f"tree {tree}\nparent {head}\n{people}{armor}\nsigned\n", encoding="utf-8")
    signed = repository.git("hash-object", "-t", "commit", "-w", str(tmp_path / "commit"))
    for name, value in {"log.showSignature": "true", "gpg.program": str(program)}.items():
        repository.git("config", name, value)
    assert [item.subject for item in list_commits(repository.path, head, signed)] == ["signed"]
    assert not mark.exists()


@pytest.mark.parametrize("name", ["core.sshCommand", "insteadOf"])
def test_talking_to_a_remote_obeys_nothing_that_the_repository_says(repository: Repository, tmp_path: Path, name: str) -> None:
    program, mark = plant_program(tmp_path)
    remote = tmp_path / "remote.git"
    repository.git("clone", "-q", "--bare", ".", str(remote))
    ssh = "ssh://git@localhost:1/x.git"
    settings = (
        {f"url.{ssh}.insteadOf": str(remote), "core.sshCommand": str(program)} if name == "insteadOf" else {name: str(program)}
    )
    for key, value in settings.items():
        repository.git("config", key, value)
    place = Place(repository.path, "release/production", url=str(remote))
    head = repository.git("rev-parse", "HEAD")
    assert push_commit(place, head, old="")
    assert fetch_tip(place) == head
    with pytest.raises(RemoteError):
        fetch_tip(Place(repository.path, "main", url=ssh))
    assert not mark.exists()


def test_what_a_remote_has_is_fetched_into_the_repository_once(repository: Repository, tmp_path: Path) -> None:
    remote, other = tmp_path / "remote.git", tmp_path / "other"
    repository.git("clone", "-q", "--bare", ".", str(remote))
    repository.git("clone", "-q", str(remote), str(other))
    theirs = Repository(other).commit({"more.txt": "more\n"}, "more")
    Repository(other).git("push", "-q", "origin", "HEAD:refs/heads/main")
    assert fetch_tip(Place(repository.path, "main", url=str(remote))) == theirs
    assert repository.git("show", f"{theirs}:more.txt") == "more"
    assert "more" not in repository.git("branch", "-a")


def test_a_shallow_clone_can_release(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"a.txt": "a\n"}, "second")
    shallow = tmp_path / "shallow"
    repository.git("clone", "-q", "--depth=1", f"file://{repository.path}", str(shallow))
    place = Place(shallow, "release/production", url=str(repository.path))
    first = commit_files(shallow, {"manifest.json": b"{}"}, parents=[], message="release 1", now=NOW)
    assert push_commit(place, first, old="")
    second = commit_files(shallow, {"manifest.json": b"[]"}, parents=[first], message="release 2", now=NOW)
    assert fetch_tip(place) == first
    assert push_commit(place, second, old=first)
