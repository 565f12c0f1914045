"""Downloads and archives below a root: as planned, once, undone byte for byte; from the project or from a server."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from gitops.errors import HostError
from gitops.executor import fetch as room
from gitops.executor.gitfetch import fetch_commit
from gitops.executor.host import RealHost
from gitops.model.codec import Json
from gitops.model.plan import HostPlan
from gitops.model.resource import Resource
from gitops.providers.host import Finished
from gitops.providers.unpacked import MAX_LISTED
from tests.support.files import Files, serve_files
from tests.support.project import Repository
from tests.support.rooted import Rooted, file

MANIFEST = ".trueup-archive.json"
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root sets flags, and is who links are followed for")


@pytest.fixture
def machine(tmp_path: Path) -> Rooted:
    return Rooted(tmp_path)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    monkeypatch.setattr(room, "PAUSE", 0.0)
    with serve_files() as served:
        yield served


def download(files: Files, data: bytes, **more: Json) -> Resource:
    files.contents["/x"] = data
    return Resource("download", "/opt/x", {"url": f"{files.url}/x", "sha256": sha256(data).hexdigest(), **more})


def pack(**contents: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in contents.items():
            item = tarfile.TarInfo(f"app/{name.replace('__', '/')}")
            item.size, item.mode = len(text), 0o755 if name.startswith("bin") else 0o644
            archive.addfile(item, io.BytesIO(text.encode()))
    return packed.getvalue()


def archive(machine: Rooted, data: bytes, **more: Json) -> Resource:
    return Resource("archive", "/opt/app", {"content": machine.blob(data), "strip": 1, **more})


def list_contents(machine: Rooted) -> list[str]:
    folder = next(machine.state.glob("roots/*/contents"), None)
    return [] if folder is None else sorted(path.name for path in folder.iterdir())


def check_laws(machine: Rooted, *resources: Resource) -> Any:
    """Plan, apply, apply again, undo, undo the undoing: what each says is what is there."""
    before, exact = machine.tree(), machine.tree(is_exact=True)
    plan = machine.plan(*resources)
    assert machine.tree(is_exact=True) == exact
    report = machine.apply(*resources)
    assert [(item.address, item.result) for item in report.changes] == [(item.address, "changed") for item in plan.changes]
    after, settled = machine.tree(), machine.tree(is_exact=True)
    assert machine.apply(*resources).result == "converged"
    assert machine.tree(is_exact=True) == settled
    undone = machine.rollback(report.run)
    assert machine.tree() == before
    machine.rollback(undone.run)
    assert machine.tree() == after
    assert list_contents(machine) == []
    return plan


def test_a_download_comes_changes_and_goes(machine: Rooted, files: Files) -> None:
    plan = check_laws(machine, download(files, b"one\n", mode="0755"))
    assert plan.changes[-1].fields[0].after.startswith(f"{files.url}/x (sha256 ")
    assert (machine.read("/opt/x"), machine.mode("/opt/x")) == ("one\n", "0755")
    check_laws(machine, download(files, b"two\n"))
    machine.write("/opt/x", "by hand\n")
    check_laws(machine, download(files, b"two\n"))
    assert machine.read("/opt/x") == "two\n"
    check_laws(machine, download(files, b"two\n", state="absent"))
    assert not (machine.root / "opt/x").exists()


def test_what_is_there_already_asks_no_network(machine: Rooted, files: Files) -> None:
    machine.write("/opt/x", "one\n")
    check = download(files, b"one\n", mode="0600")
    assert [item.name for item in machine.plan(check).changes[0].fields] == ["mode"]
    assert machine.apply(check).result == "changed"
    assert files.asked == []


def test_another_content_changes_nothing_and_others_go_on(machine: Rooted, files: Files) -> None:
    machine.write("/opt/x", "old\n")
    wanted = download(files, b"one\n")
    files.contents["/x"] = b"evil\n"
    report = machine.apply(wanted, file("/etc/other", "other\n"))
    found = {item.address: (item.result, item.message) for item in report.changes}
    assert found["download:/opt/x"][0] == "failed"
    assert "has the SHA-256" in found["download:/opt/x"][1]
    assert found["file:/etc/other"][0] == "changed"
    assert machine.read("/opt/x") == "old\n"


def test_what_a_validator_refuses_is_not_put_in_its_place(machine: Rooted, files: Files) -> None:
    report = machine.apply(download(files, b"one\n", validate=["/bin/grep", "-q", "two", "{path}"]))
    assert "did not accept the new file" in next(item.message for item in report.changes if item.result == "failed")
    assert not (machine.root / "opt/x").exists()


def test_a_broken_download_is_gone_on_with_by_the_next_run(machine: Rooted, files: Files) -> None:
    data = b"0123456789" * 1000
    wanted = download(files, data)
    files.cut = [100] * room.ATTEMPTS
    assert machine.apply(wanted).result == "failed"
    assert list_contents(machine) == [f"{sha256(data).hexdigest()}.part"]
    files.asked.clear()
    assert machine.apply(wanted).result == "changed"
    assert files.asked == ["bytes=500-"]
    assert (machine.root / "opt/x").read_bytes() == data


def test_an_archive_of_the_project_comes_changes_and_goes(machine: Rooted) -> None:
    check_laws(machine, archive(machine, pack(bin__run="run 1\n", etc__conf="conf\n", old__only="x\n")))
    assert (machine.read("/opt/app/bin/run"), machine.mode("/opt/app/bin/run")) == ("run 1\n", "0755")
    machine.write("/opt/app/own", "not of the archive\n")
    plan = check_laws(machine, archive(machine, pack(bin__run="run 2\n", etc__conf="conf\n")))
    assert [item.action for item in plan.changes] == ["update"]
    assert machine.names("/opt/app") == [MANIFEST, "bin", "etc", "own"]
    assert machine.read("/opt/app/bin/run") == "run 2\n"
    check_laws(machine, archive(machine, pack(), state="absent"))
    assert machine.names("/opt/app") == ["own"]


def test_an_archive_of_the_project_without_its_digest_is_not_unpacked(machine: Rooted) -> None:
    wanted = archive(machine, pack(bin__run="run\n"))
    (place,) = (machine.folder / "blobs").glob("*/*")
    place.write_bytes(pack(bin__run="evil\n"))
    report = machine.apply(wanted)
    assert [item.message for item in report.changes if item.result == "failed"] == ["the archive does not have its digest"]
    assert not (machine.root / "opt/app").exists()


def test_an_archive_from_a_server_is_unpacked(machine: Rooted, files: Files) -> None:
    data = pack(bin__run="run\n")
    files.contents["/a.tgz"] = data
    wanted = {"url": f"{files.url}/a.tgz", "sha256": sha256(data).hexdigest()}
    check_laws(machine, Resource("archive", "/opt/app", wanted))
    assert machine.read("/opt/app/app/bin/run") == "run\n"
    assert len(files.asked) == 1


def test_what_was_changed_by_hand_is_found_named_and_mended(machine: Rooted) -> None:
    wanted = archive(machine, pack(bin__run="run\n", etc__conf="conf\n", etc__more="more\n"))
    machine.apply(wanted)
    machine.write("/opt/app/etc/conf", "by hand\n")
    (machine.root / "opt/app/bin/run").chmod(0o644)
    (machine.root / "opt/app/etc/more").unlink()
    plan = check_laws(machine, wanted)
    assert plan.changes[0].fields[0].before == ["bin/run", "etc/conf", "etc/more"]
    assert machine.read("/opt/app/etc/conf") == "conf\n"


def test_what_another_resource_manages_is_its_own(machine: Rooted) -> None:
    data = pack(etc__conf="of the archive\n", bin__run="run\n")
    check_laws(machine, archive(machine, data), file("/opt/app/etc/conf", "of the file\n"))
    assert machine.read("/opt/app/etc/conf") == "of the file\n"


def test_a_list_that_its_owner_forged_takes_nothing_away(machine: Rooted) -> None:
    machine.apply(archive(machine, pack(bin__run="run\n")))
    machine.write("/etc/victim", "victim\n")
    rows = '[["../../etc/victim","file","0644","",0,""],["bin/run","file","0755","",0,""]]'
    machine.write(f"/opt/app/{MANIFEST}", f'{{"archive":"x","strip":1,"entries":{rows}}}')
    machine.apply(archive(machine, pack(bin__run="run\n"), state="absent"))
    machine.apply(archive(machine, pack(bin__run="run 2\n")))
    assert machine.read("/etc/victim") == "victim\n"


def test_a_link_put_into_its_way_is_not_followed(machine: Rooted) -> None:
    machine.apply(archive(machine, pack(etc__conf="conf\n")))
    (machine.root / "opt/app/etc/conf").unlink()
    (machine.root / "opt/app/etc").rmdir()
    machine.write("/etc/conf", "victim\n")
    (machine.root / "opt/app/etc").symlink_to("/etc")
    report = machine.apply(archive(machine, pack(etc__conf="evil\n")))
    assert report.result == "failed"
    assert machine.read("/etc/conf") == "victim\n"


def fields(plan: HostPlan) -> dict[str, tuple[Json, Json]]:
    return {item.name: (item.before, item.after) for item in plan.changes[0].fields}


def test_what_an_update_or_a_removal_takes_away_is_named(machine: Rooted) -> None:
    first, second = pack(bin__run="1", conf="c", etc__old="o"), pack(bin__run="2", new="n")
    machine.apply(archive(machine, first))
    names, after = fields(machine.plan(archive(machine, second)))["files"]
    assert (names, "the rest is removed" in str(after)) == (["bin/run", "conf", "etc/old"], True)
    assert fields(machine.plan(archive(machine, first, state="absent")))["files"] == (["bin/run", "conf", "etc/old"], None)
    machine.apply(archive(machine, second))
    assert machine.names("/opt/app") == [MANIFEST, "bin", "new"]


def test_of_many_files_that_may_go_some_are_named_and_the_rest_counted(machine: Rooted) -> None:
    machine.apply(archive(machine, pack(**{f"f{number:02}": "x" for number in range(30)})))
    names, _ = fields(machine.plan(archive(machine, pack(new="n"))))["files"]
    assert isinstance(names, list)
    assert (len(names), names[-1]) == (MAX_LISTED + 1, "and 10 more")


@pytest.mark.parametrize("what", ["link", "file", "folder"])
def test_what_is_in_the_place_of_a_folder_or_file_is_refused_in_the_plan(machine: Rooted, what: str) -> None:
    first = pack(etc__one="1", conf="c")
    machine.apply(archive(machine, first))
    folder, conf = machine.root / "opt/app/etc", machine.root / "opt/app/conf"
    (folder / "one").unlink()
    folder.rmdir()
    if what == "link":
        folder.symlink_to("../../precious")
    elif what == "file":
        folder.write_text("x")
    else:
        folder.mkdir()
        conf.unlink()
        conf.mkdir()
    for wanted in (archive(machine, first), archive(machine, pack(new="n"))):
        change = machine.plan(wanted).changes[0]
        words = {"link": "etc is a link now", "file": "etc is a file now", "folder": "conf is a directory now"}[what]
        assert (change.action, change.reason.startswith(words)) == ("refused", True)


@only_root
def test_nothing_behind_a_link_in_a_folders_place_is_taken_away(machine: Rooted) -> None:
    """A link of root is followed in parents, so what lies behind it could look like what was unpacked."""
    first = pack(etc__one="1")
    machine.apply(archive(machine, first))
    precious = machine.write("/precious/one", "mine")
    (machine.root / "opt/app/etc/one").unlink()
    (machine.root / "opt/app/etc").rmdir()
    (machine.root / "opt/app/etc").symlink_to("../../precious")
    gone = archive(machine, first, state="absent")
    assert "stays, with what lies behind it" in machine.plan(gone).changes[0].reason
    machine.apply(gone)
    assert precious.read_text() == "mine"
    assert machine.names("/opt/app") == ["etc"]


@only_root
def test_what_holds_something_unpacked_is_named(machine: Rooted) -> None:
    first = pack(bin__run="1", conf="c")
    machine.apply(archive(machine, first))
    stuck = machine.root / "opt/app/conf"
    subprocess.run(["chattr", "+i", stuck], check=True)
    try:
        change = machine.plan(archive(machine, pack(bin__run="2"))).changes[0]
        assert (change.action, change.reason.startswith("conf: it is immutable")) == ("refused", True)
        assert machine.plan(archive(machine, first)).changes == ()
    finally:
        subprocess.run(["chattr", "-i", stuck], check=True)
    (machine.root / "other").hardlink_to(stuck)
    assert "keeps the old content of conf" in machine.plan(archive(machine, pack(conf="new"))).changes[0].reason


def test_an_archive_that_must_not_be_unpacked_leaves_everything(machine: Rooted) -> None:
    machine.apply(archive(machine, pack(bin__run="run\n")))
    before = machine.tree()
    evil = io.BytesIO()
    with tarfile.open(fileobj=evil, mode="w") as packed:
        packed.addfile(tarfile.TarInfo("app/fine"))
        packed.addfile(tarfile.TarInfo("app/../../up"))
    report = machine.apply(archive(machine, evil.getvalue()))
    assert "its name leads out" in report.changes[0].message
    assert machine.tree() == before


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Give a repository with a program, a link and attributes that would leave things out of an archive."""
    made = Repository.make(tmp_path / "repository", {"bin/run": "run 1\n", "secret.txt": "$Format:%H$\n", "old": "x\n"})
    (made.path / "bin/run").chmod(0o755)
    (made.path / ".gitattributes").write_text("secret.txt export-subst\nold export-ignore\nbin/run eol=crlf\n")
    (made.path / "link").symlink_to("bin/run")
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "one")
    return made


def checkout(repository: Repository, commit: str = "", **more: Json) -> Resource:
    wanted = commit or repository.git("rev-parse", "HEAD")
    return Resource("git_checkout", "/opt/app", {"repository": f"file://{repository.path}", "commit": wanted, **more})


def test_a_commit_is_checked_out_as_it_is_changed_and_taken_away(machine: Rooted, repository: Repository) -> None:
    check_laws(machine, checkout(repository))
    assert machine.names("/opt/app") == [".gitattributes", MANIFEST, "bin", "link", "old", "secret.txt"]
    assert (machine.read("/opt/app/bin/run"), machine.mode("/opt/app/bin/run")) == ("run 1\n", "0755")
    assert machine.read("/opt/app/secret.txt") == "$Format:%H$\n"
    repository.git("rm", "-q", "old")
    repository.commit({"bin/run": "run 2\n"}, "two")
    check_laws(machine, checkout(repository))
    assert machine.names("/opt/app") == [".gitattributes", MANIFEST, "bin", "link", "secret.txt"]
    check_laws(machine, checkout(repository, state="absent"))
    assert not (machine.root / "opt/app").exists()


def test_a_commit_that_is_not_there_changes_nothing(machine: Rooted, repository: Repository) -> None:
    machine.apply(checkout(repository))
    before = machine.tree()
    gone = machine.apply(checkout(repository, "1" * 40)).changes[0]
    assert (gone.result, "git fetch ended with 128" in gone.message) == ("failed", True)
    elsewhere = machine.apply(checkout(repository, "1" * 40, ref="main")).changes[0]
    assert "does not have the commit 1111" in elsewhere.message
    assert machine.tree() == before


def test_a_server_that_gives_no_single_commit_is_asked_for_the_ref(repository: Repository, tmp_path: Path) -> None:
    old = repository.git("rev-parse", "HEAD")
    repository.commit({"bin/run": "run 2\n"}, "two")

    def run(argv: Sequence[str], environment: Mapping[str, Json], seconds: int) -> Finished:
        if "--depth=1" in argv:
            return Finished(128, "upload-pack: not our ref")  # what a server says that gives only what its refs point to
        return RealHost().run(argv, environment=environment, timeout=seconds)

    with pytest.raises(HostError, match="not our ref"):
        fetch_commit(f"file://{repository.path}", old, "", str(tmp_path), run, 60)
    found = fetch_commit(f"file://{repository.path}", old, "main", str(tmp_path), run, 60)
    with tarfile.open(tmp_path / str(found["blob"])) as packed:
        assert "run 1\n" in {(packed.extractfile(item) or io.BytesIO()).read().decode() for item in packed if item.isreg()}
    assert [path.name for path in tmp_path.iterdir() if path.name == "commit"] == []


def test_what_a_repository_could_have_run_is_not_run(machine: Rooted, repository: Repository, tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    evil = tmp_path / "evil.sh"
    evil.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    evil.chmod(0o755)
    repository.commit(
        {".gitattributes": "* filter=evil\n", ".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = ext::sh evil\n'}, "evil"
    )
    (repository.path / ".git/hooks").mkdir(exist_ok=True)
    for name in ("post-checkout", "reference-transaction", "post-index-change", "pre-receive"):
        (repository.path / ".git/hooks" / name).symlink_to(evil)
    for name, value in {"filter.evil.smudge": str(evil), "uploadpack.packObjectsHook": str(evil)}.items():
        repository.git("config", name, value)
    assert machine.apply(checkout(repository)).result == "changed"
    assert not mark.exists()


def test_a_commit_with_a_link_that_leads_out_is_refused(machine: Rooted, repository: Repository) -> None:
    (repository.path / "out").symlink_to("../../etc/passwd")
    repository.git("add", "-A")
    repository.git("commit", "-q", "-m", "out")
    assert "leads out" in machine.apply(checkout(repository)).changes[-1].message
