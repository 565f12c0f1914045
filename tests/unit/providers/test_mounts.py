"""Mounts on a machine whose kernel is a table in a folder: what is asked of mount(8), what is refused, edges, the table's odd rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitops.model.resource import Resource
from gitops.plan.item import Preparer
from gitops.plan.laws import check_difference
from gitops.plan.order import find_edges
from gitops.providers.base import Step
from gitops.providers.mounts.fstab import FstabEntry, escape, read_entry, unescape
from gitops.providers.mounts.mountinfo import TABLE, find_mount, is_wanted, read_row, resolve, wanted_flags
from gitops.providers.registry import PROVIDERS
from tests.unit.providers.test_live_parts import Machine, make, spec_of

ROOT = "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n"
TMP = "31 20 0:40 / /srv/t rw,nosuid,noatime shared:9 - tmpfs t rw,size=1024k\n"
FSTAB = "t\t/srv/t\ttmpfs\tnosuid\t0\t0\n"
MOUNT = make("mount", "/srv/t", device="t", fstype="tmpfs", options="nosuid")


def machine(folder: Path, table: str = ROOT, fstab: str = FSTAB, **acts: str) -> Machine:
    """Give a machine with a table of mounts; `acts` are the tables that mount and umount leave."""
    found = Machine(folder, {name.replace("_", " ").replace("PATH", "-- /srv/t"): (TABLE, text) for name, text in acts.items()})
    found.put(TABLE, table)
    found.put("/etc/fstab", fstab)
    (folder / "root/srv/t").mkdir(parents=True)
    (folder / "root/srv").chmod(0o755)
    return found


def test_a_line_without_its_mount_is_mounted(tmp_path: Path) -> None:
    it = machine(tmp_path, mount_PATH=ROOT + TMP)
    assert [(item.name, item.before, item.after) for item in it.diff(MOUNT).fields] == [("live", "not mounted", "t (tmpfs)")]
    assert it.apply(MOUNT).result == "changed"
    assert (it.ran, it.undo()) == ([["mount", "--", "/srv/t"]], [["umount", "--", "/srv/t"]])
    assert it.diff(MOUNT) is None


def test_systemd_reads_the_new_line_before_it_is_mounted_and_the_old_one_before_that_is(tmp_path: Path) -> None:
    it = machine(tmp_path, fstab="", mount_PATH=ROOT + TMP, **{"systemctl_daemon-reload": ROOT})
    it.put("/run/systemd/system/x", "")
    assert it.apply(MOUNT).result == "changed"
    reload = ["systemctl", "daemon-reload"]
    assert it.ran == [reload, ["mount", "--", "/srv/t"]]
    assert it.undo() == [reload, reload, ["umount", "--", "/srv/t"]]


def test_a_service_with_a_view_of_its_own_lets_systemd_mount(tmp_path: Path) -> None:
    outside = "systemd-run --quiet --wait --pipe --collect --"
    it = machine(tmp_path, **{f"{outside} mount -- /srv/t": ROOT + TMP, "systemctl daemon-reload": ROOT})
    for process, number in (("self", 1), ("1", 2)):
        link = tmp_path / "root/proc" / process / "ns/mnt"
        link.parent.mkdir(parents=True)
        link.symlink_to(f"mnt:[{number}]")
    outcome = it.apply(MOUNT)
    assert (outcome.result, "sees mounts of its own" in outcome.message) == ("failed", True)
    it.put("/run/systemd/system/x", "")
    assert it.apply(MOUNT).result == "changed"
    assert it.ran[-1] == [*outside.split(), "mount", "--", "/srv/t"]
    assert it.undo() == [[*outside.split(), "umount", "--", "/srv/t"]]


def test_a_missing_mount_point_is_in_the_plan_and_lawful(tmp_path: Path) -> None:
    it = machine(tmp_path)
    deep = make("mount", "/srv/a/b", device="t", fstype="tmpfs")
    difference = it.diff(deep)
    check_difference(deep.address, difference, ["/etc/fstab"])
    assert [str(item.address) for item in difference.implied] == ["directory:/srv/a", "directory:/srv/a/b"]
    possible = [str(item.resource.address) for item in PROVIDERS["mount"].bound(spec_of(deep)) if item.resource]
    assert possible == ["directory:/etc", "directory:/srv", "directory:/srv/a", "directory:/srv/a/b"]


def test_what_lies_over_another_goes_with_it_and_comes_back_by_name(tmp_path: Path) -> None:
    over = TMP.replace(" t rw", " over rw").replace("31 20", "32 31")
    it = machine(tmp_path, ROOT + TMP + over, fstab="", umount_PATH=ROOT)
    gone = make("mount", "/srv/t", state="absent")
    assert it.diff(gone).action == "remove"
    assert it.apply(gone).result == "changed"
    assert it.ran == [["umount", "--", "/srv/t"]]
    assert it.undo() == [["mount", "-t", "tmpfs", "-o", "rw,nosuid,noatime,size=1024k", "--", "over", "/srv/t"]]


def test_a_part_of_a_file_system_that_no_line_names_cannot_be_mounted_again(tmp_path: Path) -> None:
    it = machine(tmp_path, ROOT + TMP.replace("0:40 / ", "0:40 /part "), fstab="", umount_PATH=ROOT)
    assert it.apply(make("mount", "/srv/t", state="absent")).result == "changed"
    assert it.undo() == []


def test_a_mount_that_will_not_go_keeps_its_line(tmp_path: Path) -> None:
    it = machine(tmp_path, ROOT + TMP)
    outcome = it.apply(make("mount", "/srv/t", state="absent"))
    assert (outcome.result, "umount ended with 1" in outcome.message) == ("failed", True)
    assert (tmp_path / "root/etc/fstab").read_text() == FSTAB


def test_what_the_kernel_does_not_show_was_not_mounted(tmp_path: Path) -> None:
    outcome = machine(tmp_path, mount_PATH=ROOT).apply(MOUNT)
    assert (outcome.result, "the kernel shows nothing there" in outcome.message) == ("failed", True)


def test_flags_that_the_line_names_are_put_right_and_others_only_when_it_changes(tmp_path: Path) -> None:
    wanted = make("mount", "/srv/t", device="t", fstype="tmpfs", options="nosuid,noexec")
    assert machine(tmp_path / "a", ROOT + TMP).diff(MOUNT) is None  # noatime is not ours to judge
    argv = "mount -o remount,nosuid,noexec,atime -- /srv/t"
    it = machine(tmp_path / "b", ROOT + TMP, **{argv: ROOT + TMP.replace("noatime", "noexec")})
    assert [item.name for item in it.diff(wanted).fields] == ["line", "flags"]
    assert it.apply(wanted).result == "changed"
    assert it.undo() == [["mount", "-o", "remount,nosuid,noatime,rw,dev,exec,async", "--", "/srv/t"]]
    assert it.diff(wanted) is None
    stubborn = machine(tmp_path / "c", ROOT + TMP, **{argv: ROOT + TMP})
    outcome = stubborn.apply(wanted)
    assert (outcome.result, "did not take noexec" in outcome.message) == ("failed", True)


def test_what_went_since_the_plan_is_not_remounted(tmp_path: Path) -> None:
    it = machine(tmp_path, ROOT + TMP)
    wanted = make("mount", "/srv/t", device="t", fstype="tmpfs", options="ro")
    state, difference = it.see(wanted), it.diff(wanted)
    it.put(TABLE, ROOT)
    step = Step(wanted.address, difference.action, spec_of(wanted), state, difference)
    (outcome,) = PROVIDERS["mount"].apply([step], it.open())
    assert (outcome.result, "not mounted any more" in outcome.message) == ("failed", True)


@pytest.mark.parametrize(
    ("resource", "table", "reason"),
    [
        (make("mount", "/srv/t", device="u", fstype="ext4", options="nosuid"), TMP, ""),
        (MOUNT, TMP.replace("tmpfs t", "ext4 /dev/vdb1"), "/dev/vdb1 (ext4) is mounted there"),
        (make("mount", "/proc", state="absent"), "40 1 0:5 / /proc rw - proc proc rw\n", "the machine needs it"),
        (make("mount", "/srv/file", device="t", fstype="tmpfs"), "", "is a file"),
        (make("mount", "/srv/file", device="/x", fstype="none", options="bind"), "", ""),
        (make("mount", "/srv/link", device="t", fstype="tmpfs"), "", "is a link"),
        (make("mount", "/srv/open/x", device="t", fstype="tmpfs"), "", "others than root may write to /srv/open"),
        (make("mount", "/srv/open/x", device="t", fstype="tmpfs", state="present"), "", ""),
    ],
)
def test_what_is_refused_says_why(tmp_path: Path, resource: Resource, table: str, reason: str) -> None:
    it = machine(tmp_path, ROOT + table)
    it.put("/srv/file", "")
    (tmp_path / "root/srv/link").symlink_to("/etc")
    (tmp_path / "root/srv/open").mkdir()
    (tmp_path / "root/srv/open").chmod(0o777)
    difference = it.diff(resource)
    assert (difference.action == "refused", reason in difference.reason) == (bool(reason), True), difference


def test_a_host_that_was_asked_for_another_line_is_conditional(tmp_path: Path) -> None:
    state = machine(tmp_path, ROOT + TMP).see(make("mount", "/srv/t", device="other", fstype="tmpfs"))
    difference = PROVIDERS["mount"].diff(spec_of(MOUNT), state)
    assert difference is not None
    assert (difference.action, difference.confidence) == ("update", "conditional")


def entry(device: str, fstype: str = "ext4", options: str = "defaults") -> FstabEntry:
    return FstabEntry(device, "/m", fstype, options)


@pytest.mark.parametrize(
    ("wanted", "row", "is_same"),
    [
        (entry("UUID=ab-1"), "- ext4 /dev/vdb1 rw", True),
        (entry("UUID=ab-1"), "- ext4 /dev/vdc rw", False),
        (entry("UUID=unknown"), "- ext4 /dev/vdc rw", True),
        (entry("LABEL=with blank"), "- ext4 /dev/vdc rw", True),
        (entry("/dev/mapper/vg-lv"), "- ext4 /dev/dm-0 rw", True),
        (entry("/srv/image", options="loop"), "- ext4 /dev/loop0 rw", True),
        (entry("/dev/vdb1", "auto"), "- ext4 /dev/vdb1 rw", True),
        (entry("/dev/vdb1", "xfs"), "- ext4 /dev/vdb1 rw", False),
        (entry("nas:/export/", "nfs"), "- nfs4 nas:/export rw", True),
        (entry("nas:/export", "nfs"), "- nfs4 nas:/other rw", False),
        (entry("x", "sshfs"), "- fuse.sshfs me@there:/ rw", True),
        (entry("label", "tmpfs"), "- tmpfs another rw", True),
        (entry("/srv/a", "none", "bind"), "- ext4 /dev/vda1 rw", True),
        (entry("/srv/link", "none", "bind"), "- ext4 /dev/vda1 rw", True),
        (entry("/srv/b", "none", "bind"), "- ext4 /dev/vda1 rw", False),
    ],
)
def test_what_is_mounted_is_told_from_what_is_not(tmp_path: Path, wanted: FstabEntry, row: str, is_same: bool) -> None:
    it = machine(tmp_path)
    for path, target in (("dev/disk/by-uuid/ab-1", "../../vdb1"), ("dev/mapper/vg-lv", "../dm-0"), ("srv/link", "./t/../a")):
        link = tmp_path / "root" / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
    for name in ("vdb1", "vdc", "dm-0"):
        it.put(f"/dev/{name}", "")
    root, mount = read_row(ROOT), read_row(f"50 20 8:1 /srv/a /m rw,relatime {row}")
    assert root is not None
    assert mount is not None
    assert is_wanted(wanted, mount, [root, mount], it.open(is_reading=True)) is is_same


def test_links_without_end_are_not_followed_without_end(tmp_path: Path) -> None:
    it = machine(tmp_path)
    (tmp_path / "root/loop").symlink_to("/loop")
    assert resolve("/loop", it.open(is_reading=True)) == "/loop"
    assert resolve("/", it.open(is_reading=True)) == "/"


def test_rows_that_say_nothing_are_passed_over() -> None:
    assert [read_row(line) for line in ("", "1 2 3", "1 2 3 4 5 6 - ext4", "20 1 8:1 / / rw ext4 x rw")] == [None] * 4
    waiting, short = read_row("1 2 0:1 / /m rw - autofs systemd-1 rw"), read_row("1 2 0:1 / /with\\040blank rw - tmpfs t")
    assert waiting is not None
    assert short is not None
    assert (find_mount([waiting], "/m"), find_mount([short], "/with blank")) == (None, short)


def test_options_that_people_write_mean_flags() -> None:
    assert wanted_flags(entry("x", options="users,exec,rw,size=1m")) == {
        "nosuid": True,
        "nodev": True,
        "noexec": False,
        "ro": False,
    }
    assert wanted_flags(entry("x", options="owner,noauto")) == {"nosuid": True, "nodev": True}


@pytest.mark.parametrize("text", ["plain", "a b", "tab\there", "back\\slash", "#begins", "in#side", "\\040"])
def test_a_field_is_read_as_it_was_written(text: str) -> None:
    assert unescape(escape(text)) == text
    assert read_entry(FstabEntry(text, "/m", "ext4").line) == FstabEntry(text, "/m", "ext4")


def edges(*resources: Resource) -> set[tuple[str, str]]:
    return {(edge.before, edge.after) for edge in find_edges(Preparer(PROVIDERS).prepare_all(resources))}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (make("directory", "/srv/t"), MOUNT),
        (make("directory", "/srv"), MOUNT),
        (MOUNT, make("file", "/srv/t/deep/inside")),
        (MOUNT, make("command", "x", argv=["/srv/t/bin/x"])),
        (MOUNT, make("mount", "/srv/t/below", device="t", fstype="tmpfs")),
        (make("directory", "/srv/from"), make("mount", "/srv/t", device="/srv/from", fstype="none", options="bind")),
        (make("package", "nfs-common"), make("mount", "/srv/t", device="nas:/x", fstype="nfs")),
        (make("file", "/etc/cred"), make("mount", "/srv/t", device="//s/x", fstype="cifs", options="credentials=/etc/cred")),
        (make("file", "/srv/t/inside", state="absent"), make("mount", "/srv/t", state="absent")),
        (make("mount", "/srv/t", state="absent"), make("directory", "/srv/t", state="absent")),
    ],
)
def test_automatic_edges(before: Resource, after: Resource) -> None:
    assert edges(before, after) == {(str(before.address), str(after.address))}


def test_a_mistake_has_no_edges() -> None:
    assert edges(make("directory", "/srv/t"), make("mount", "/srv/t")) == set()
