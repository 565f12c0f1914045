"""What a run does to files, directories and links below a root, and what it leaves alone."""

from __future__ import annotations

import os
import socket
import stat
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from gitops.errors import UsageError
from gitops.executor.tree import Tree
from gitops.executor.writes import OPEN_AT_ONCE
from gitops.model.report import Report
from gitops.providers.directory import MAX_LISTED
from tests.support.rooted import Rooted, command, directory, file, secret, symlink

IS_ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not IS_ROOT, reason="only root may give files away, and is not stopped by modes")


@pytest.fixture
def machine(tmp_path: Path) -> Rooted:
    return Rooted(tmp_path)


def opened(descriptor: int) -> str:
    """Give the path of an open file."""
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def results(report: Report) -> list[tuple[str, str, str]]:
    return [(item.address, item.action, item.result) for item in report.changes]


def message(report: Report, address: str) -> str:
    return next(item.message for item in report.changes if item.address == address)


def test_a_new_file_comes_with_parents_modes_and_content(machine: Rooted) -> None:
    report = machine.apply(file("/etc/app/x.conf", "hello\n"), file("/etc/app/y", machine.blob(b"\0\xff"), mode="0600"))
    assert report.result == "changed"
    assert machine.read("/etc/app/x.conf") == "hello\n"
    assert (machine.root / "etc/app/y").read_bytes() == b"\0\xff"
    assert [machine.mode(path) for path in ("/etc", "/etc/app", "/etc/app/x.conf", "/etc/app/y")] == [
        "0755",
        "0755",
        "0644",
        "0600",
    ]
    assert machine.apply(file("/etc/app/x.conf", "hello\n")).result == "converged"


def test_what_is_not_declared_is_left_alone(machine: Rooted) -> None:
    machine.write("/etc/x", "old", 0o640)
    machine.apply(file("/etc/x", "new"))
    assert (machine.read("/etc/x"), machine.mode("/etc/x")) == ("new", "0640")
    machine.apply(file("/etc/x"))
    assert machine.read("/etc/x") == "new"


@only_root
def test_owners_and_setuid_survive_a_new_content_and_a_new_owner(machine: Rooted) -> None:
    path = machine.write("/bin/tool", "one")
    os.chown(path, 4242, 4343)
    path.chmod(0o4755)
    machine.apply(file("/bin/tool", "two"))
    info = path.stat()
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (4242, 4343, 0o4755)
    machine.apply(file("/bin/tool", "two", owner="77", mode="4711"))
    info = path.stat()
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (77, 4343, 0o4711)
    assert machine.plan(file("/bin/tool", "two", owner="77", mode="4711")).changes == ()


@only_root
def test_names_come_from_the_roots_own_passwd(machine: Rooted) -> None:
    machine.write("/etc/passwd", "www:x:4242:4242::/:/bin/false\n")
    machine.write("/etc/group", "www:x:4343:\n")
    machine.apply(file("/srv/x", "a", owner="www", group="www"))
    info = (machine.root / "srv/x").stat()
    assert (info.st_uid, info.st_gid) == (4242, 4343)
    failed = machine.apply(file("/srv/y", "a", owner="nobody-here"))
    assert "there is no user `nobody-here`" in message(failed, "file:/srv/y")


def test_extended_attributes_survive_a_new_content(machine: Rooted) -> None:
    path = machine.write("/etc/x", "old")
    try:
        os.setxattr(path, "user.note", b"mine")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    run = machine.apply(file("/etc/x", "new")).run
    assert os.getxattr(path, "user.note") == b"mine"
    machine.rollback(run)
    assert os.getxattr(path, "user.note") == b"mine"


ACL_VERSION = 2
NOBODY_READS = ((1, 6, -1), (2, 4, 65534), (4, 0, -1), (16, 4, -1), (32, 0, -1))  # u::rw u:65534:r g::- m::r o::-
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service=ep


def acl(*entries: tuple[int, int, int]) -> bytes:
    """Give an ACL as the kernel keeps it, from (tag, permissions, id)."""
    return struct.pack("<I", ACL_VERSION) + b"".join(struct.pack("<HHi", *entry) for entry in entries)


def give(path: Path, name: str, value: bytes) -> None:
    try:
        os.setxattr(path, name, value)
    except OSError:
        pytest.skip("this file system has no ACLs, or this sandbox sets no capabilities")


def test_an_acl_survives_a_new_content_a_rollback_and_a_removal(machine: Rooted) -> None:
    path = machine.write("/etc/x", "old", 0o640)
    give(path, "system.posix_acl_access", acl(*NOBODY_READS))
    run = machine.apply(file("/etc/x", "new")).run
    assert (machine.read("/etc/x"), os.getxattr(path, "system.posix_acl_access")) == ("new", acl(*NOBODY_READS))
    machine.rollback(run)
    assert (machine.read("/etc/x"), os.getxattr(path, "system.posix_acl_access")) == ("old", acl(*NOBODY_READS))
    removed = machine.apply(file("/etc/x", state="absent")).run
    machine.rollback(removed)
    assert (machine.read("/etc/x"), os.getxattr(path, "system.posix_acl_access")) == ("old", acl(*NOBODY_READS))


def test_the_folders_default_acl_opens_no_file_that_was_closed(machine: Rooted) -> None:
    path = machine.write("/etc/x", "old", 0o640)
    give(path.parent, "system.posix_acl_default", acl((1, 7, -1), (2, 7, 65534), (4, 5, -1), (16, 7, -1), (32, 5, -1)))
    run = machine.apply(file("/etc/x", "new"), file("/etc/fresh", "new")).run
    assert "system.posix_acl_access" not in os.listxattr(path)
    assert "system.posix_acl_access" in os.listxattr(path.parent / "fresh")  # as for every new file there
    assert machine.mode("/etc/x") == "0640"
    machine.rollback(run)
    assert (machine.read("/etc/x"), os.listxattr(path)) == ("old", [])


def test_a_removed_directory_comes_back_with_its_acls(machine: Rooted) -> None:
    folder = machine.write("/srv/in/deep/x", "mine").parent
    default = acl((1, 7, -1), (2, 5, 65534), (4, 5, -1), (16, 5, -1), (32, 0, -1))
    give(folder, "system.posix_acl_default", default)
    give(machine.root / "srv", "system.posix_acl_default", acl((1, 7, -1), (2, 7, 4242), (4, 5, -1), (16, 7, -1), (32, 5, -1)))
    run = machine.apply(directory("/srv", purge=True)).run
    assert list((machine.root / "srv").iterdir()) == []
    machine.rollback(run)
    assert (os.getxattr(folder, "system.posix_acl_default"), os.listxattr(folder)) == (default, ["system.posix_acl_default"])
    assert os.listxattr(folder.parent) == []
    assert (machine.read("/srv/in/deep/x"), os.listxattr(folder / "x")) == ("mine", [])


@only_root
def test_a_capability_does_not_pass_to_another_content_but_comes_back_with_its_own(machine: Rooted) -> None:
    path = machine.write("/bin/tool", "granted", 0o755)
    os.chown(path, 4242, 4242)
    give(path, "security.capability", CAPABILITY)
    run = machine.apply(file("/bin/tool", "other")).run
    assert "security.capability" not in os.listxattr(path)
    machine.rollback(run)
    assert (machine.read("/bin/tool"), os.getxattr(path, "security.capability")) == ("granted", CAPABILITY)


def test_a_link_in_a_files_place_is_replaced_and_never_followed(machine: Rooted) -> None:
    target = machine.write("/precious", "mine")
    (machine.root / "etc").mkdir()
    (machine.root / "etc/x").symlink_to("../precious")
    assert [item.action for item in machine.plan(file("/etc/x", "new")).changes] == ["replace"]
    machine.apply(file("/etc/x", "new"))
    assert (machine.read("/etc/x"), target.read_text()) == ("new", "mine")
    assert not (machine.root / "etc/x").is_symlink()


@pytest.mark.parametrize("kind", ["directory", "pipe", "socket"])
def test_a_directory_and_a_device_are_never_replaced(machine: Rooted, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine.root / "etc").mkdir()
    if kind == "directory":
        (machine.root / "etc/x").mkdir()
    elif kind == "pipe":
        os.mkfifo(machine.root / "etc/x")
    else:
        monkeypatch.chdir(machine.root)
        socket.socket(socket.AF_UNIX).bind("etc/x")
    before = machine.tree(is_exact=True)
    for resource in (
        file("/etc/x", "new"),
        symlink("/etc/x", "/a"),
        file("/etc/x", state="absent"),
        symlink("/etc/x", state="absent"),
    ):
        report = machine.apply(resource, file("/other", "goes on"))
        assert (machine.status, report.result) == (4, "failed")
        assert [item.result for item in report.changes if item.address == resource.address] == ["refused"]
        (machine.root / "other").unlink()
    assert machine.tree(is_exact=True) == before


def test_a_directory_that_is_a_link_or_a_file_is_refused(machine: Rooted) -> None:
    machine.write("/real/in", "x")
    (machine.root / "link").symlink_to("/real")
    for path in ("/link", "/real/in"):
        plan = machine.plan(directory(path))
        assert [(item.action, item.address) for item in plan.changes] == [("refused", f"directory:{path}")]


def test_what_depends_on_a_refused_thing_is_skipped_and_the_rest_goes_on(machine: Rooted) -> None:
    (machine.root / "etc").mkdir()
    (machine.root / "etc/x").mkdir()
    report = machine.apply(file("/etc/x", "a"), file("/etc/y", "b", needs=["file:/etc/x"]), file("/etc/z", "c"))
    assert {item.address: item.result for item in report.changes} == {
        "file:/etc/x": "refused",
        "file:/etc/y": "refused",
        "file:/etc/z": "changed",
    }


def test_a_file_in_the_place_of_a_parent_is_refused(machine: Rooted) -> None:
    machine.write("/etc", "a file")
    report = machine.apply(file("/etc/x", "a"))
    assert results(report) == [("file:/etc/x", "refused", "refused")]
    assert "/etc is not a directory" in message(report, "file:/etc/x")


def test_links_on_the_way_are_followed_below_the_root_only(machine: Rooted) -> None:
    machine.write("/data/www/keep", "")
    (machine.root / "srv").symlink_to("/data")
    (machine.root / "up").symlink_to("../../../../data/./www/..")
    machine.apply(file("/srv/www/x", "a"), file("/up/www/y", "b"))
    assert (machine.read("/data/www/x"), machine.read("/data/www/y")) == ("a", "b")


def test_a_missing_parent_behind_a_link_is_made_and_named_as_declared(machine: Rooted) -> None:
    (machine.root / "data").mkdir()
    (machine.root / "srv").symlink_to("/data")
    plan = machine.plan(file("/srv/a/b/x", "a"))
    assert [item.address for item in plan.changes] == ["directory:/srv/a", "directory:/srv/a/b", "file:/srv/a/b/x"]
    assert machine.apply(file("/srv/a/b/x", "a")).result == "changed"
    assert machine.read("/data/a/b/x") == "a"


def test_dotdot_in_a_link_is_the_parent_of_where_the_link_before_it_led(machine: Rooted) -> None:
    machine.write("/one/deep/keep", "")
    machine.write("/one/target/keep", "")
    (machine.root / "short").symlink_to("one/deep")
    (machine.root / "way").symlink_to("short/../target")
    machine.apply(file("/way/x", "a"))
    assert machine.read("/one/target/x") == "a"


def test_dangling_links_and_loops_of_links_are_refused_with_the_reason(machine: Rooted) -> None:
    (machine.root / "loop").symlink_to("loop")
    (machine.root / "dangling").symlink_to("/nowhere/at/all")
    report = machine.apply(file("/loop/x", "a"), file("/dangling/x", "b"))
    assert "too many links" in message(report, "file:/loop/x")
    assert "/dangling is a link to something that does not exist" in message(report, "file:/dangling/x")
    assert not (machine.root / "nowhere").exists()


def test_a_link_that_others_could_have_put_there_is_not_followed(machine: Rooted) -> None:
    (machine.root / "tmp").mkdir()
    (machine.root / "data").mkdir()
    (machine.root / "tmp").chmod(0o1777)
    (machine.root / "tmp/x").symlink_to("/data")
    report = machine.apply(file("/tmp/x/y", "a"))
    assert "others could have put there" in message(report, "file:/tmp/x/y")
    assert not (machine.root / "data/y").exists()


@pytest.mark.parametrize("make", ["writable", "owned"])
def test_a_hard_linked_file_where_others_can_write_is_refused(machine: Rooted, make: str) -> None:
    if make == "owned" and not IS_ROOT:
        pytest.skip("only root may give a folder away")
    shadow = machine.write("/etc/shadow", "secret", 0o600)
    (machine.root / "home").mkdir()
    os.link(shadow, machine.root / "home/x")
    if make == "writable":
        (machine.root / "home").chmod(0o777)
    else:
        os.chown(machine.root / "home", 4242, 4242)
    report = machine.apply(file("/home/x", mode="0644", needs=[]))
    assert results(report) == [("file:/home/x", "refused", "refused")]
    assert machine.mode("/etc/shadow") == "0600"


def test_a_long_name_and_a_deep_path_are_refused_and_stop_nothing(machine: Rooted) -> None:
    long, deep = "/" + "n" * 300, "/d" * 400 + "/x"
    (machine.root / "d").mkdir()
    report = machine.apply(file(long, "a"), file("/fine", "b"), file(deep, "c"))
    assert ("file:/fine", "create", "changed") in results(report)
    assert "File name too long" in message(report, f"file:{long}")


NAMES = ["two words", "quo'te\"s", "co:lon", "Ünïcødé €", "-dash", "$HOME", "*", "back\\slash", "%s"]


def test_any_name_is_managed_undone_and_reported(machine: Rooted) -> None:
    resources = [file(f"/srv/{name}", name) for name in NAMES]
    run = machine.apply(*resources).run
    assert machine.names("/srv") == sorted(NAMES)
    assert machine.apply(*resources).result == "converged"
    machine.rollback(run)
    assert machine.tree() == {}


def test_a_purge_deletes_what_is_not_managed_whatever_its_name(machine: Rooted) -> None:
    machine.write("/srv/keep", "kept")
    machine.write("/srv/managed/deep/x", "x")
    odd = [b"line\nbreak", b"\xff\xfe", b"tab\t", b"a b", "é".encode()]
    for name in odd:
        (machine.root / "srv" / os.fsdecode(name)).write_text("odd")
    machine.write("/srv/tree/below/file", "t")
    (machine.root / "srv/tree/link").symlink_to("/srv/keep")
    before = machine.tree()
    resources = (directory("/srv", purge=True), file("/srv/keep", "kept"), file("/srv/managed/deep/x", "x"))
    plan = machine.plan(*resources)
    listed = plan.changes[0].fields[0].before
    assert isinstance(listed, Sequence)
    assert set(listed) == {"a b", "line\\x0abreak", "tab\\x09", "tree", "é", "\\udcff\\udcfe"}
    report = machine.apply(*resources)
    assert (report.result, machine.names("/srv")) == ("changed", ["keep", "managed"])
    assert machine.apply(*resources).result == "converged"
    assert machine.rollback(report.run).result == "reverted"
    assert machine.tree() == before


def test_purge_deletes_what_it_listed_and_the_next_run_goes_on(machine: Rooted) -> None:
    (machine.root / "srv").mkdir()
    for number in range(MAX_LISTED + 5):
        (machine.root / f"srv/f{number:05}").touch()
    resource = directory("/srv", purge=True)
    plan = machine.plan(resource)
    listed = plan.changes[0].fields[0].before
    assert isinstance(listed, Sequence)
    assert len(listed) == MAX_LISTED
    assert "5 more" in plan.changes[0].reason
    machine.apply(resource)
    assert len(machine.names("/srv")) == 5
    machine.apply(resource)
    assert machine.names("/srv") == []
    assert machine.apply(resource).result == "converged"


def test_absent_needs_recurse_for_a_full_directory_and_rollback_brings_it_back(machine: Rooted) -> None:
    machine.write("/srv/a/b/c", "deep", 0o600)
    (machine.root / "srv/a/l").symlink_to("b")
    before = machine.tree()
    refused = machine.plan(directory("/srv/a", state="absent"))
    assert (refused.changes[0].action, "recurse" in refused.changes[0].reason) == ("refused", True)
    report = machine.apply(directory("/srv/a", state="absent", recurse=True))
    assert (report.result, machine.names("/srv")) == ("changed", [])
    machine.rollback(report.run)
    assert machine.tree() == before


def test_absent_removes_a_file_or_a_link_whichever_is_there(machine: Rooted) -> None:
    machine.write("/srv/file", "x")
    (machine.root / "srv/link").symlink_to("file")
    machine.apply(symlink("/srv/file", state="absent"), file("/srv/link", state="absent"))
    assert machine.names("/srv") == []
    assert machine.apply(file("/never/was", state="absent")).result == "converged"


def test_a_validator_sees_the_new_file_below_the_root_and_decides(machine: Rooted) -> None:
    machine.write("/etc/x", "good")
    bad = machine.apply(file("/etc/x", "bad", validate=["grep", "-q", "good", "{path}"]))
    assert "did not accept the new file" in message(bad, "file:/etc/x")
    assert (machine.read("/etc/x"), machine.temps()) == ("good", [])
    (machine.root / "data").mkdir()
    (machine.root / "srv").symlink_to("/data")
    good = machine.apply(file("/srv/x", "good again", validate=["grep", "-q", "good", "{path}"]))
    assert (good.result, machine.read("/data/x")) == ("changed", "good again")


def test_more_files_than_descriptors_in_more_folders_than_are_kept_open(machine: Rooted) -> None:
    resources = [file(f"/srv/d{number % 230}/f{number}", str(number)) for number in range(OPEN_AT_ONCE + 250)]
    before = len(list(Path("/proc/self/fd").iterdir()))
    report = machine.apply(*resources)
    assert report.result == "changed"
    assert machine.read("/srv/d3/f3") == "3"
    assert machine.apply(*resources).result == "converged"
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_the_same_content_many_times_is_kept_once_and_comes_back(machine: Rooted) -> None:
    for number in range(20):
        machine.write(f"/srv/f{number}", "same")
    before = machine.tree()
    report = machine.apply(*(file(f"/srv/f{number}", "new") for number in range(20)))
    images = list(machine.state.rglob("images/*"))
    assert len(images) == 1
    machine.rollback(report.run)
    assert machine.tree() == before


def test_a_changed_directory_on_the_way_is_seen_by_what_comes_after(machine: Rooted) -> None:
    machine.write("/real/a/keep", "")
    machine.write("/real/b/keep", "")
    (machine.root / "way").symlink_to("/real/a")
    machine.apply(file("/way/one", "1"))
    machine.apply(symlink("/way", "/real/b"), file("/way/two", "2", needs=["symlink:/way"]))
    assert (machine.root / "real/b/two").exists()
    assert not (machine.root / "real/a/two").exists()


def test_kinds_that_cannot_honour_the_root_are_refused_before_anything_changes(machine: Rooted) -> None:
    with pytest.raises(UsageError, match="command"):
        machine.apply(file("/x", "a"), command("no", "true"))
    assert machine.tree() == {}
    assert machine.apply(file("/x", "a"), command("no", "true"), only=("file:/x",)).result == "changed"


def test_sensitive_before_images_never_go_to_disk(machine: Rooted) -> None:
    machine.write("/etc/key", "OLD-SECRET")
    resource = file("/etc/key", secret())
    plan = machine.plan(resource, secrets={"env:PASSWORD": "NEW-SECRET"})
    assert "kept" in plan.changes[0].reason
    first = machine.apply(resource, secrets={"env:PASSWORD": "NEW-SECRET"})
    assert machine.read("/etc/key") == "NEW-SECRET"
    machine.apply(file("/etc/key", "public now"))
    machine.apply(file("/etc/key", state="absent"))
    machine.rollback(first.run)
    kept = b"".join(path.read_bytes() for path in machine.state.rglob("*") if path.is_file())
    assert b"SECRET" not in kept


def test_a_run_that_cannot_keep_what_is_there_changes_nothing_of_it(machine: Rooted, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write("/etc/x", "old")
    real = os.write

    def no_room(descriptor: int, data: bytes) -> int:
        if "/images/" in opened(descriptor):
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", no_room)
    report = machine.apply(file("/etc/x", "new"), file("/etc/y", "fresh"))
    assert "cannot be kept" in message(report, "file:/etc/x")
    assert (machine.read("/etc/x"), machine.read("/etc/y")) == ("old", "fresh")


def test_a_journal_that_cannot_be_written_stops_the_change_and_stays_readable(
    machine: Rooted, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.write("/etc/x", "old")
    real = os.write
    lines: list[int] = []

    def half_a_line(descriptor: int, data: bytes) -> int:
        if opened(descriptor).endswith("journal.jsonl"):
            if lines:
                raise OSError(28, "No space left on device")
            lines.append(1)
            return real(descriptor, bytes(data[:10]))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", half_a_line)
    report = machine.apply(file("/etc/x", "new"))
    assert "the journal cannot be written, so nothing of this is changed" in message(report, "file:/etc/x")
    assert machine.read("/etc/x") == "old"
    assert next(machine.state.rglob("journal.jsonl")).read_bytes() == b""


def test_a_short_write_is_continued(machine: Rooted, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def write_little(descriptor: int, data: bytes) -> int:
        return real(descriptor, bytes(data[:7]))

    monkeypatch.setattr(os, "write", write_little)
    report = machine.apply(file("/etc/x", "a content of more than seven bytes"))
    assert machine.read("/etc/x") == "a content of more than seven bytes"
    monkeypatch.undo()
    assert machine.rollback(report.run).result == "reverted"
    assert machine.tree() == {}


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(machine: Rooted, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write("/etc/x", "old")
    real = os.write

    def no_room(descriptor: int, data: bytes) -> int:
        if "/.gitops-" in opened(descriptor):
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", no_room)
    report = machine.apply(file("/etc/x", "new"), symlink("/etc/l", "x"))
    assert message(report, "file:/etc/x") == "No space left on device"
    assert (machine.read("/etc/x"), machine.temps(), str((machine.root / "etc/l").readlink())) == ("old", [], "x")


def test_an_error_of_the_flush_is_not_overlooked(machine: Rooted, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def broken(descriptor: int) -> None:
        name = opened(descriptor)
        if "/.gitops-" in name and os.fstat(descriptor).st_size == 3:
            raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", broken)
    report = machine.apply(*(file(f"/srv/f{number}", "bad" if number == 7 else "good") for number in range(30)))
    assert [item.address for item in report.changes if item.result == "failed"] == ["file:/srv/f7"]
    assert (len(machine.names("/srv")), machine.temps()) == (29, [])


def test_what_lies_behind_a_link_of_the_same_run_comes_in_one_run(machine: Rooted) -> None:
    resources = (directory("/data"), symlink("/way", "/data"), file("/way/x", "1"), file("/way/sub/y", "2"))
    plan = machine.plan(*resources)
    assert [item.address for item in plan.changes] == [
        "directory:/data",
        "symlink:/way",
        "directory:/way/sub",
        "file:/way/sub/y",
        "file:/way/x",
    ]
    assert machine.apply(*resources).result == "changed"
    assert (machine.read("/data/x"), machine.read("/data/sub/y")) == ("1", "2")
    assert machine.apply(*resources).result == "converged"


def test_recurse_mends_what_is_below_and_nothing_else_and_is_undone(machine: Rooted) -> None:
    outside = machine.write("/precious", "mine", 0o600)
    inside = machine.write("/srv/a/x", "1", 0o600)
    own = machine.write("/srv/a/own", "2", 0o600)
    (machine.root / "srv/a").chmod(0o700)
    (machine.root / "srv/link").symlink_to("../precious")
    (machine.root / "srv/way").symlink_to("..")
    resources = (directory("/srv", recurse=True, mode="0750", file_mode="0640"), file("/srv/a/own", "2", mode="0600"))
    change = machine.plan(*resources).changes[0]
    assert [item.before for item in change.fields if item.name == "recurse"] == [["/srv/a/x", "/srv/a"]]
    run = machine.apply(*resources).run
    assert [machine.mode(path) for path in ("/srv", "/srv/a", "/srv/a/x", "/srv/a/own")] == ["0750", "0750", "0640", "0600"]
    assert (stat.S_IMODE(outside.stat().st_mode), stat.S_IMODE(inside.stat().st_mode), own.read_text()) == (0o600, 0o640, "2")
    assert machine.plan(*resources).changes == ()
    machine.rollback(run)
    assert [machine.mode(path) for path in ("/srv/a", "/srv/a/x")] == ["0700", "0600"]


@only_root
def test_recurse_gives_away_no_file_that_a_user_linked_into_it(machine: Rooted) -> None:
    """A hard link to somebody else's file in one's own folder is the old trick against `chown -R`."""
    shadow = machine.write("/etc/shadow", "secret", 0o600)
    home = machine.root / "home/ann"
    home.mkdir(parents=True)
    os.link(shadow, home / "x")
    os.chown(home, 4242, 4242)
    report = machine.apply(directory("/home/ann", recurse=True, owner="4242", group="4242"))
    assert results(report) == [("directory:/home/ann", "refused", "refused")]
    assert (shadow.stat().st_uid, shadow.stat().st_gid) == (0, 0)


@only_root
def test_a_folder_swapped_for_a_link_under_purge_empties_nothing_else(machine: Rooted, monkeypatch: pytest.MonkeyPatch) -> None:
    precious = machine.write("/precious/x", "mine")
    machine.write("/srv/in/x", "theirs")
    listing = Tree.list_doomed

    def list_and_swap(tree: Tree, path: str) -> list[tuple[str, bool]]:
        found = listing(tree, path)
        if (machine.root / "srv/in").is_dir():
            (machine.root / "srv/in").rename(machine.root / "aside")
            (machine.root / "srv/in").symlink_to("../precious")
            os.chown(machine.root / "srv/in", 4242, 4242, follow_symlinks=False)
            tree.walker.forget()
        return found

    monkeypatch.setattr(Tree, "list_doomed", list_and_swap)
    report = machine.apply(directory("/srv", purge=True))
    assert (report.result, precious.read_text()) == ("failed", "mine")
    assert (machine.root / "aside/x").read_text() == "theirs"
