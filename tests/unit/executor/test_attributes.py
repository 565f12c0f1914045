"""What is declared beside a content: set whole before it is seen, compared without flapping, undone; refused where it cannot be."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitops.executor.posixacl import ACCESS, DEFAULT
from gitops.model.report import Report
from tests.support.rooted import Rooted, directory, file

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may label where SELinux does not run")

# What setfacl 2.3.1 wrote: -m u:4242:rw-,g:5000:r--,u:7:--x on a 0640 file; -m d:g:5000:rwx,u:4242:rwx on a 0750 directory.
FILES_ACL = (
    "0200000001000600ffffffff0200010007000000020006009210000004000400ffffffff080004008813000010000700ffffffff20000000ffffffff"
)
FOLDERS_ACL = "0200000001000700ffffffff020007009210000004000500ffffffff10000700ffffffff20000000ffffffff"
DEFAULT_ACL = "0200000001000700ffffffff04000500ffffffff080007008813000010000700ffffffff20000000ffffffff"
PASSWD = "root:x:0:0::/:/bin/sh\nalice:x:4242:4242::/:/bin/sh\nbob:x:7:7::/:/bin/sh\n"
GROUPS = "root:x:0:\nops:x:5000:\nlike_ops:x:5000:\n"
NAMED = ("user:alice:rw", "group:ops:r", "user:bob:x")


@pytest.fixture
def machine(tmp_path: Path) -> Rooted:
    found = Rooted(tmp_path)
    found.write("/etc/passwd", PASSWD)
    found.write("/etc/group", GROUPS)
    return found


def kept(machine: Rooted, path: str, name: str = ACCESS) -> str:
    """Give an attribute as hex, empty when it is not there."""
    place = machine.root / path[1:]
    return os.getxattr(place, name).hex() if name in os.listxattr(place) else ""


def give(machine: Rooted, path: str, name: str, value: str) -> None:
    os.setxattr(machine.root / path[1:], name, bytes.fromhex(value))


def fields(machine: Rooted, *resources: Any) -> dict[str, tuple[Any, Any]]:
    """Give before and after by name, of the only change of a plan."""
    (change,) = machine.plan(*resources).changes
    return {item.name: (item.before, item.after) for item in change.fields}


def only(report: Report) -> str:
    (outcome,) = report.changes
    return outcome.message


def failing(monkeypatch: pytest.MonkeyPatch, call: str, when: Callable[..., bool], number: int) -> None:
    """Let a call of `os` fail with an error when its arguments are such."""
    real = getattr(os, call)

    def fail(*words: Any, **more: Any) -> Any:
        if when(*words):
            raise OSError(number, os.strerror(number))
        return real(*words, **more)

    monkeypatch.setattr(os, call, fail)


def test_a_declared_acl_is_what_setfacl_would_write(machine: Rooted) -> None:
    resources = (
        file("/srv/d/x", "hi", mode="0640", acl=list(NAMED)),
        directory("/srv/d", mode="0750", acl=["user:alice:rwx", "default:group:ops:rwx"]),
    )
    before = machine.tree()
    run = machine.apply(*resources)
    assert run.result == "changed"
    assert (kept(machine, "/srv/d/x"), machine.mode("/srv/d/x")) == (FILES_ACL, "0670")
    assert (kept(machine, "/srv/d"), kept(machine, "/srv/d", DEFAULT)) == (FOLDERS_ACL, DEFAULT_ACL)
    settled = machine.tree(is_exact=True)
    assert machine.apply(*resources).result == "converged"
    assert machine.tree(is_exact=True) == settled
    assert machine.rollback(run.run).result == "reverted"
    assert machine.tree() == before


def test_the_order_of_entries_and_who_is_named_how_change_nothing(machine: Rooted) -> None:
    machine.apply(file("/srv/x", "hi", mode="0640", acl=list(NAMED)))
    for acl in (NAMED[::-1], ("user:4242:rw-", "group:like_ops:r--", "user:7:--x")):
        assert machine.plan(file("/srv/x", "hi", mode="0640", acl=list(acl))).changes == ()
    folder = directory("/srv", acl=["user:alice:r-x", "default:user:4242:r-x"])
    machine.apply(folder)
    assert machine.plan(folder).changes == ()


def test_a_mask_that_chmod_changed_is_put_back_and_shown(machine: Rooted) -> None:
    resource = file("/srv/x", "hi", mode="0640", acl=["user:alice:rw-"])
    machine.apply(resource)
    (machine.root / "srv/x").chmod(0o640)
    assert fields(machine, resource) == {"acl": (["user:alice:rw-", "mask::r--"], ["user:alice:rw-"])}
    machine.apply(resource)
    assert (machine.mode("/srv/x"), machine.plan(resource).changes) == ("0660", ())


def test_the_mode_is_that_of_the_base_entries_and_old_and_new_are_shown(machine: Rooted) -> None:
    machine.apply(file("/srv/x", "hi", mode="0640", acl=["user:alice:rw-"]))
    changed = file("/srv/x", mode="0600", acl=["group:ops:r--"])
    assert fields(machine, changed) == {"mode": ("0640", "0600"), "acl": (["user:alice:rw-"], ["group:ops:r--"])}
    run = machine.apply(changed).run
    assert machine.mode("/srv/x") == "0640"  # the mask
    machine.rollback(run)
    assert fields(machine, changed) == {"mode": ("0640", "0600"), "acl": (["user:alice:rw-"], ["group:ops:r--"])}


def test_without_a_declared_mode_the_base_entries_stay(machine: Rooted) -> None:
    machine.apply(file("/srv/x", "hi", mode="0640", acl=["user:alice:rwx"]))
    for resource in (file("/srv/x", "hi", acl=["user:bob:r--"]), file("/srv/x", "new", acl=["user:alice:-wx"])):
        machine.apply(resource)
        assert machine.plan(resource).changes == ()
    assert machine.mode("/srv/x") == "0670"
    machine.apply(file("/srv/x", "newer", acl=[]))
    assert (machine.mode("/srv/x"), kept(machine, "/srv/x")) == ("0640", "")


def test_an_empty_acl_takes_the_list_away_and_opens_nothing(machine: Rooted) -> None:
    machine.write("/srv/x", "hi", 0o600)
    give(machine, "/srv/x", ACCESS, FILES_ACL)
    give(machine, "/srv", DEFAULT, DEFAULT_ACL)
    before = (kept(machine, "/srv/x"), kept(machine, "/srv", DEFAULT))
    report = machine.apply(file("/srv/x", acl=[]), directory("/srv", acl=[]))
    assert (machine.mode("/srv/x"), kept(machine, "/srv/x"), kept(machine, "/srv", DEFAULT)) == ("0640", "", "")
    machine.rollback(report.run)
    assert (machine.mode("/srv/x"), kept(machine, "/srv/x"), kept(machine, "/srv", DEFAULT)) == ("0670", *before)


def test_what_is_not_declared_is_left_alone(machine: Rooted) -> None:
    machine.write("/srv/x", "hi")
    give(machine, "/srv/x", ACCESS, FILES_ACL)
    machine.apply(file("/srv/x", "new"), directory("/srv"))
    assert (kept(machine, "/srv/x"), machine.read("/srv/x")) == (FILES_ACL, "new")


def test_a_new_thing_mixes_nothing_of_its_folders_default_acl_into_its_own(machine: Rooted) -> None:
    machine.write("/srv/keep")
    give(machine, "/srv", DEFAULT, DEFAULT_ACL)
    machine.apply(
        file("/srv/x", "hi", mode="0640", acl=list(NAMED)),
        file("/srv/none", "hi", acl=[]),
        directory("/srv/d", acl=["default:group:ops:r-x"]),
    )
    assert (kept(machine, "/srv/x"), kept(machine, "/srv/none"), machine.mode("/srv/none")) == (FILES_ACL, "", "0644")
    assert (kept(machine, "/srv/d"), kept(machine, "/srv/d", DEFAULT) == DEFAULT_ACL) == ("", False)


def test_base_entries_of_a_default_acl_can_be_named_and_else_stay(machine: Rooted) -> None:
    machine.apply(directory("/srv", mode="0755", acl=["default:user:alice:rwx", "default:other::---"]))
    wider = directory("/srv", mode="0777", acl=["default:user:alice:rwx"])
    assert fields(machine, wider) == {"mode": ("0755", "0777")}
    machine.apply(wider)
    assert machine.plan(wider).changes == ()
    other = directory("/srv", acl=["default:user:alice:rwx", "default:other::r-x"])
    assert [item[-1] for item in fields(machine, other)["acl"]] == ["default:other::---", "default:other::r-x"]


def test_recurse_gives_no_acl_to_what_is_below(machine: Rooted) -> None:
    machine.write("/srv/a/x", "hi", 0o600)
    resource = directory("/srv", recurse=True, mode="0750", file_mode="0640", acl=["user:alice:r-x"])
    machine.apply(resource)
    assert (kept(machine, "/srv/a/x"), kept(machine, "/srv/a"), kept(machine, "/srv") != "") == ("", "", True)
    assert machine.plan(resource).changes == ()


def test_somebody_unknown_fails_the_item_and_two_names_of_one_do(machine: Rooted) -> None:
    machine.write("/srv/x", "hi", 0o600)
    before = machine.tree(is_exact=True)
    assert "there is no user `nobody-here`" in only(machine.apply(file("/srv/x", mode="0644", acl=["user:nobody-here:r--"])))
    double = file("/srv/x", acl=["group:ops:r--", "group:like_ops:rw-"])
    assert "are of the same group" in only(machine.apply(double))
    assert {path: row[:4] for path, row in machine.tree(is_exact=True).items()} == {path: row[:4] for path, row in before.items()}
    assert "there is no user" in only(machine.apply(file("/srv/new", "hi", acl=["user:nobody-here:r--"])))
    assert not (machine.root / "srv/new").exists()


def test_all_that_an_acl_names_comes_before_it(machine: Rooted) -> None:
    edges = machine.plan(
        file("/srv/x", "hi", acl=["user:alice:r--", "group:ops:r--", "mask::r--"]),
        directory("/srv", acl=["default:group:ops:r-x"]),
    )
    assert [item.address for item in edges.changes] == ["directory:/srv", "file:/srv/x"]


def test_a_wrong_entry_is_refused_at_the_door(machine: Rooted) -> None:
    with pytest.raises(Exception, match="only a directory has default entries"):
        machine.apply(file("/srv/x", acl=["default:user:alice:r--"]))


def test_a_file_system_without_acls_is_a_refusal_when_seen_and_a_clear_failure_when_new(
    machine: Rooted, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.write("/srv/x", "hi")
    before = machine.tree(is_exact=True)
    for call in ("getxattr", "setxattr"):
        failing(monkeypatch, call, lambda *words: str(words[1]).startswith("system."), errno.ENOTSUP)
    failing(monkeypatch, "listxattr", lambda *_: True, errno.ENOTSUP)
    for resource in (file("/srv/x", "new", acl=["user:alice:r--"]), directory("/srv", acl=["user:alice:r--"])):
        report = machine.apply(resource)
        assert (report.result, only(report)) == (
            "failed",
            "the file system keeps no ACLs here; leave `acl` out, or mount it with them",
        )
    assert machine.tree(is_exact=True) == before
    assert only(machine.apply(file("/srv/new", "hi", acl=["user:alice:r--"]))) == "the file system keeps no ACLs here"
    assert (machine.names("/srv"), machine.apply(file("/srv/x", "hi", acl=[])).result) == (["x"], "converged")


def test_a_change_in_place_that_fails_half_way_is_put_back(machine: Rooted, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write("/srv/x", "hi", 0o600)
    give(machine, "/srv/x", ACCESS, FILES_ACL)
    (machine.root / "srv/x").chmod(0o600)
    before = (machine.tree(), kept(machine, "/srv/x"))
    failing(monkeypatch, "chmod", lambda *words: words[1] == 0o664, errno.EIO)
    assert "Input/output error" in only(machine.apply(file("/srv/x", mode="0644", acl=["user:alice:rw-"])))
    assert (machine.tree(), kept(machine, "/srv/x")) == before


def test_attributes_that_cannot_be_read_are_kept_by_changing_nothing(machine: Rooted, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write("/srv/x", "hi", 0o600)
    give(machine, "/srv/x", ACCESS, FILES_ACL)
    for call, name in (("listxattr", ""), ("getxattr", ACCESS)):
        with monkeypatch.context() as patch:
            failing(patch, call, lambda *words, name=name: not name or words[1] == name, errno.EIO)
            for resource in (file("/srv/x", mode="0644"), file("/srv/x", "new")):
                assert "cannot be kept, so it is not changed: Input/output error" in only(machine.apply(resource))
            seen = machine.plan(file("/srv/x", acl=["user:alice:r--"])).changes
        assert [item.reason for item in seen] == (["it cannot be read: Input/output error"] if name else [""])
    assert (kept(machine, "/srv/x")[:8], machine.read("/srv/x")) == (FILES_ACL[:8], "hi")


def test_a_list_that_is_none_is_said_so(machine: Rooted, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write("/srv/x", "hi")
    for value in ("01000000", "0200", "020000000300060000000000", "0200000001"):
        monkeypatch.setattr(os, "getxattr", lambda *_, value=value, **__: bytes.fromhex(value))
        (change,) = machine.plan(file("/srv/x", acl=["user:alice:r--"])).changes
        assert (change.action, "its ACL cannot be read" in change.reason) == ("refused", True)


def test_an_undo_takes_away_only_what_it_knows(machine: Rooted) -> None:
    machine.write("/srv/x", "hi", 0o600)
    (machine.root / "etc/d").mkdir()
    run = machine.apply(file("/srv/x", mode="0644"), directory("/etc/d", mode="0700")).run
    give(machine, "/srv/x", ACCESS, FILES_ACL)
    give(machine, "/etc/d", DEFAULT, DEFAULT_ACL)
    warnings = {item["what"]: item["warning"] for item in machine.undo_plan(run)}
    assert all("changed since that run" in warning for warning in warnings.values())
    machine.rollback(run)
    assert (kept(machine, "/srv/x"), kept(machine, "/etc/d", DEFAULT), machine.mode("/srv/x")) == ("", "", "0600")


def test_an_image_of_an_earlier_version_takes_no_attributes_away(machine: Rooted) -> None:
    machine.write("/srv/x", "hi", 0o600)
    run = machine.apply(file("/srv/x", mode="0644")).run
    (journal,) = machine.state.rglob("journal.jsonl")
    journal.write_text(journal.read_text().replace(',"xattrs":{}', ""))
    give(machine, "/srv/x", ACCESS, FILES_ACL)
    machine.rollback(run)
    assert (kept(machine, "/srv/x") != "", machine.mode("/srv/x")) == (True, "0600")


def test_several_images_of_one_file_give_the_oldest_list_and_the_content(machine: Rooted) -> None:
    machine.write("/srv/x", "hi", 0o600)
    give(machine, "/srv/x", ACCESS, FILES_ACL)
    before = machine.tree()
    report = machine.apply(directory("/srv", recurse=True, file_mode="0604", purge=True))
    assert machine.names("/srv") == []
    machine.rollback(report.run)
    assert (machine.tree(), kept(machine, "/srv/x")) == (before, FILES_ACL)


def test_a_folder_whose_attributes_cannot_be_read_was_perhaps_touched(machine: Rooted, monkeypatch: pytest.MonkeyPatch) -> None:
    run = machine.apply(directory("/srv", mode="0700")).run
    failing(monkeypatch, "listxattr", lambda *_: True, errno.EIO)
    assert ["changed since that run" in item["warning"] for item in machine.undo_plan(run)] == [True]


def note(machine: Rooted, path: str) -> dict[str, bytes]:
    place = machine.root / path[1:]
    return {name: os.getxattr(place, name) for name in os.listxattr(place)}


def test_declared_attributes_are_set_or_removed_and_others_stay(machine: Rooted) -> None:
    machine.write("/srv/x", "hi")
    for name in ("note", "old", "other"):
        os.setxattr(machine.root / "srv/x", f"user.{name}", b"\xff\0")
    os.setxattr(machine.root / "srv", "user.old", b"")
    before = (note(machine, "/srv"), note(machine, "/srv/x"), machine.tree())
    resources = (
        file("/srv/x", "hi", xattrs={"user.note": "grüße", "user.old": None, "user.never": None}),
        file("/srv/new", "hi", mode="0444", xattrs={"user.note": "", "user.old": None}),
        directory("/srv", xattrs={"user.old": None}),
    )
    run = machine.apply(*resources).run
    assert note(machine, "/srv/x") == {"user.note": "grüße".encode(), "user.other": b"\xff\0"}
    assert (note(machine, "/srv"), note(machine, "/srv/new")) == ({}, {"user.note": b""})
    settled = machine.tree(is_exact=True)
    assert machine.apply(*resources).result == "converged"
    assert machine.tree(is_exact=True) == settled
    assert machine.rollback(run).result == "reverted"
    assert (note(machine, "/srv"), note(machine, "/srv/x"), machine.tree()) == before


def test_what_is_in_an_attribute_is_told_as_digest_and_size(machine: Rooted) -> None:
    machine.write("/srv/x", "hi")
    os.setxattr(machine.root / "srv/x", "user.note", b"what is on a host")
    resource = file("/srv/x", xattrs={"user.note": "new", "user.more": "more", "user.none": None})
    before, after = fields(machine, resource)["xattrs"]
    assert (before["user.note"]["size"], before["user.more"], after) == (17, None, {"user.note": "new", "user.more": "more"})
    assert "what is on a host" not in str([event.to_json() for event in machine.events])
    machine.apply(resource)
    assert machine.plan(resource).changes == ()


def test_a_new_content_keeps_what_is_not_named(machine: Rooted) -> None:
    machine.write("/srv/x", "hi")
    os.setxattr(machine.root / "srv/x", "user.other", b"kept")
    run = machine.apply(file("/srv/x", "new", xattrs={"user.note": "1"})).run
    assert note(machine, "/srv/x") == {"user.note": b"1", "user.other": b"kept"}
    machine.rollback(run)
    assert (note(machine, "/srv/x"), machine.read("/srv/x")) == ({"user.other": b"kept"}, "hi")


def test_a_file_system_without_attributes_is_a_refusal_when_seen_and_a_clear_failure_when_new(
    machine: Rooted, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.write("/srv/x", "hi")
    for call in ("getxattr", "setxattr"):
        failing(monkeypatch, call, lambda *words: str(words[1]).startswith("user."), errno.ENOTSUP)
    report = machine.apply(file("/srv/x", xattrs={"user.note": "new"}))
    assert (report.result, "leave `xattrs` out" in only(report)) == ("failed", True)
    assert only(machine.apply(file("/srv/new", "hi", xattrs={"user.note": "new"}))) == (
        "the file system keeps no attributes of users here"
    )
    assert machine.apply(file("/srv/x", xattrs={"user.note": None})).result == "converged"
    assert machine.names("/srv") == ["x"]


def test_one_attribute_for_which_there_is_no_room_leaves_all_as_it_was(machine: Rooted, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write("/srv/x", "hi", 0o600)
    os.setxattr(machine.root / "srv/x", "user.old", b"old")
    failing(monkeypatch, "setxattr", lambda *words: words[1] == "user.b", errno.ENOSPC)
    resource = file("/srv/x", mode="0644", xattrs={"user.a": "1", "user.old": None, "user.b": "2"})
    assert "No space left on device" in only(machine.apply(resource))
    assert (note(machine, "/srv/x"), machine.mode("/srv/x")) == ({"user.old": b"old"}, "0600")


LABEL = "security.selinux"


def label(machine: Rooted, path: str) -> str:
    return bytes.fromhex(kept(machine, path, LABEL)).decode()


def with_selinux(machine: Rooted) -> None:
    """Let the machine look like one with SELinux; the real kernel takes any label then, and gives none by itself."""
    machine.write("/sys/fs/selinux/enforce", "1")


@only_root
def test_a_declared_label_is_set_compared_in_what_is_declared_and_undone(machine: Rooted) -> None:
    with_selinux(machine)
    machine.write("/srv/x", "hi")
    os.setxattr(machine.root / "srv/x", LABEL, b"staff_u:object_r:etc_t:s0:c1\0")
    resources = (
        file("/srv/x", "hi", selinux="web_t"),
        file("/srv/new", "hi", selinux="system_u:object_r:web_t:s0"),
        directory("/srv", selinux="system_u:object_r:web_t"),
    )
    shown = {
        change.address: {item.name: (item.before, item.after) for item in change.fields}
        for change in machine.plan(*resources).changes
    }
    assert shown["file:/srv/x"] == {"selinux": ("staff_u:object_r:etc_t:s0:c1", "web_t")}
    assert shown["file:/srv/new"]["selinux"] == (None, "system_u:object_r:web_t:s0")
    run = machine.apply(*resources).run
    assert label(machine, "/srv/x") == "staff_u:object_r:web_t:s0:c1\0"
    assert (label(machine, "/srv/new"), label(machine, "/srv")) == ("system_u:object_r:web_t:s0\0", "system_u:object_r:web_t\0")
    settled = machine.tree(is_exact=True)
    assert machine.apply(*resources).result == "converged"
    assert machine.tree(is_exact=True) == settled
    assert machine.rollback(run).result == "reverted"
    assert (label(machine, "/srv/x"), label(machine, "/srv"), machine.names("/srv")) == (
        "staff_u:object_r:etc_t:s0:c1\0",
        "",
        ["x"],
    )


@only_root
def test_a_new_content_has_the_declared_label(machine: Rooted) -> None:
    with_selinux(machine)
    machine.write("/srv/x", "hi")
    os.setxattr(machine.root / "srv/x", LABEL, b"a:b:etc_t:s0\0")
    machine.apply(file("/srv/x", "new", selinux="web_t"))
    assert (machine.read("/srv/x"), label(machine, "/srv/x")) == ("new", "a:b:web_t:s0\0")


def test_without_selinux_a_label_is_refused_and_nothing_changes(machine: Rooted) -> None:
    machine.write("/srv/x", "hi")
    before = machine.tree(is_exact=True)
    for resource in (
        file("/srv/x", "new", selinux="web_t"),
        file("/srv/new", "new", selinux="web_t"),
        directory("/srv", selinux="web_t"),
        directory("/new", selinux="web_t"),
    ):
        report = machine.apply(resource)
        assert (report.result, only(report)) == ("failed", "no SELinux runs on this machine; leave `selinux` out here")
    assert machine.tree(is_exact=True) == before
    assert machine.apply(file("/srv/x", state="absent", selinux="web_t")).result == "changed"


def test_a_label_that_cannot_be_is_a_clear_failure_that_leaves_all_as_it_was(
    machine: Rooted, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_selinux(machine)
    machine.write("/srv/x", "hi", 0o600)
    resource = file("/srv/x", mode="0644", selinux="a:b:c:s0")
    assert "it has no label whose type could be changed" in only(machine.apply(file("/srv/x", mode="0644", selinux="web_t")))
    for number, words in (
        (errno.EINVAL, "the policy of this machine does not know a:b:c:s0"),
        (errno.ENOTSUP, "the file system keeps no labels here"),
        (errno.EACCES, "Permission denied"),
    ):
        with monkeypatch.context() as patch:
            failing(patch, "setxattr", lambda *words: words[1] == LABEL, number)
            assert words in only(machine.apply(resource))
        assert machine.mode("/srv/x") == "0600"


@only_root
def test_a_label_that_only_the_system_takes_away_stays(machine: Rooted, monkeypatch: pytest.MonkeyPatch) -> None:
    with_selinux(machine)
    machine.write("/srv/x", "hi", 0o600)
    run = machine.apply(file("/srv/x", mode="0644", selinux="a:b:c:s0")).run
    failing(monkeypatch, "removexattr", lambda *words: words[1] == LABEL, errno.EACCES)
    assert machine.rollback(run).result == "reverted"
    assert (machine.mode("/srv/x"), label(machine, "/srv/x")) == ("0600", "a:b:c:s0\0")
