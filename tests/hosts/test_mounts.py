"""Mounts on real hosts: fstab and the kernel's table agree with the config, nothing else moves, all of it is undone."""

from __future__ import annotations

import pytest

from gitops.model.report import Report
from tests.support.managed import Managed

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

OWN = "# the machine's own\ntmpfs /mnt/own tmpfs noauto 0 0\n"


def shown(machine: Managed, *argv: str) -> str:
    return machine.host.run(argv, check=False).out.strip()


def mounted(machine: Managed, path: str) -> list[str]:
    """Give source, type and options of what is mounted at a path; nothing when there is nothing."""
    return shown(machine, "findmnt", "-n", "-r", "-o", "SOURCE,FSTYPE,OPTIONS", "--mountpoint", path).split()


def fstab(machine: Managed) -> str:
    return (machine.host.path / "etc/fstab").read_text(encoding="utf-8")


def reasons(machine: Managed, resources: str) -> dict[str, str]:
    return {str(item.address): item.reason for item in machine.plan(resources).changes if item.action == "refused"}


def messages(machine: Managed, resources: str) -> dict[str, tuple[str, str]]:
    return {str(item.address): (item.result, item.message) for item in machine.apply(resources).report.changes}


def test_a_file_system_comes_changes_and_goes_and_each_step_is_undone(shared: Managed) -> None:
    (shared.host.path / "etc/fstab").write_text(OWN, encoding="utf-8")
    resources = "- mount: /srv/scratch\n  device: scratch\n  fstype: tmpfs\n  options: OPTIONS\n- file: /srv/scratch/inside\n  content: x\n"
    first = shared.converge(resources.replace("OPTIONS", "size=1m,mode=0755,noexec"))
    assert [str(item.address) for item in first.changes] == [
        "directory:/srv/scratch",
        "mount:/srv/scratch",
        "file:/srv/scratch/inside",
    ]
    assert fstab(shared) == OWN + "scratch\t/srv/scratch\ttmpfs\tsize=1m,mode=0755,noexec\t0\t0\n"
    source, kind, options = mounted(shared, "/srv/scratch")
    assert (source, kind, "noexec" in options.split(","), "size=1024k" in options) == ("scratch", "tmpfs", True, True)
    second = shared.converge(resources.replace("OPTIONS", "size=2m,mode=0755,ro"))
    options = mounted(shared, "/srv/scratch")[2].split(",")
    assert ("ro" in options, "noexec" in options, "size=2048k" in options) == (True, False, True)
    assert shared.rollback(second.run).report.result == "reverted"
    options = mounted(shared, "/srv/scratch")[2].split(",")
    assert ("ro" in options, "noexec" in options) == (False, True)
    shared.host.run(["umount", "/srv/scratch"])
    shared.converge(resources.replace("OPTIONS", "size=1m,mode=0755,noexec"))
    assert shared.rollback(first.run).report.result == "reverted"
    assert (fstab(shared), mounted(shared, "/srv/scratch")) == (OWN, [])
    assert not (shared.host.path / "srv/scratch").exists()


def test_a_bind_mount_shows_its_folder_read_only_and_a_reboot_keeps_it(machine: Managed) -> None:
    resources = """\
- directory: /srv/real dir
- file: /srv/real dir/inside
  content: x
- directory: /srv/shown
- mount: /srv/shown
  device: /srv/real dir
  fstype: none
  options: bind,ro
"""
    report = machine.converge(resources)
    assert [str(item.address) for item in report.changes][-1] == "mount:/srv/shown"
    assert shown(machine, "cat", "/srv/shown/inside") == "x"
    assert "Read-only" in machine.host.run(["touch", "/srv/shown/new"], check=False).err
    machine.host.run(["mount", "-o", "remount,bind,rw", "/srv/shown"])
    assert [item.action for item in machine.converge(resources).changes] == ["update"]
    assert "Read-only" in machine.host.run(["touch", "/srv/shown/new"], check=False).err
    machine.host.reboot()
    assert machine.plan(resources).changes == ()
    gone = "- mount: /srv/shown\n  state: absent\n"
    run = machine.converge(gone).run
    assert (mounted(machine, "/srv/shown"), "/srv/shown" in fstab(machine)) == ([], False)
    assert machine.rollback(run).report.result == "reverted"
    assert shown(machine, "cat", "/srv/shown/inside") == "x"
    assert machine.plan(resources).changes == ()


def test_a_service_with_a_view_of_its_own_mounts_for_the_machine(shared: Managed) -> None:
    """As the agent's unit does it."""
    resources = "- mount: /srv/seen by all\n  device: wide\n  fstype: tmpfs\n"
    restricted = ("ProtectControlGroups=yes", "ProtectKernelLogs=yes", "RestrictNamespaces=yes", "DevicePolicy=closed")
    events = shared.apply_as_unit(resources, *restricted)
    assert Report.from_json(events[-1].body).result == "changed", events
    assert mounted(shared, "/srv/seen by all")[:2] == ["wide", "tmpfs"]
    events = shared.apply_as_unit("- mount: /srv/seen by all\n  state: absent\n", *restricted)
    assert Report.from_json(events[-1].body).result == "changed", events
    assert mounted(shared, "/srv/seen by all") == []


def test_present_and_unmounted_leave_and_take_what_is_mounted(shared: Managed) -> None:
    resources = "- mount: /srv/later\n  device: later\n  fstype: tmpfs\n  state: STATE\n"
    shared.converge(resources.replace("STATE", "present"))
    assert mounted(shared, "/srv/later") == []
    shared.converge(resources.replace("STATE", "mounted"))
    assert mounted(shared, "/srv/later")[:2] == ["later", "tmpfs"]
    assert shared.plan(resources.replace("STATE", "present")).changes == ()
    run = shared.converge(resources.replace("STATE", "unmounted")).run
    assert (mounted(shared, "/srv/later"), "/srv/later" in fstab(shared)) == ([], True)
    assert shared.rollback(run).report.result == "reverted"
    assert mounted(shared, "/srv/later")[:2] == ["later", "tmpfs"]
    shared.converge("- mount: /srv/later\n  state: absent\n")


def test_what_is_busy_stays_and_is_told(shared: Managed) -> None:
    shared.converge("- mount: /srv/busy\n  device: busy\n  fstype: tmpfs\n")
    user = shared.host.start(["sh", "-c", "cd /srv/busy && echo here && exec cat"])
    assert user.stdout is not None
    assert user.stdout.readline() == b"here\n"
    gone = "- mount: /srv/busy\n  state: absent\n"
    result, message = messages(shared, gone)["mount:/srv/busy"]
    assert (result, "busy" in message) == ("failed", True)
    assert mounted(shared, "/srv/busy")[:1] == ["busy"]
    assert "/srv/busy" in fstab(shared)  # nothing is half done: the line goes when the mount has gone
    user.communicate()
    assert messages(shared, gone)["mount:/srv/busy"] == ("changed", "")
    assert (mounted(shared, "/srv/busy"), "/srv/busy" in fstab(shared)) == ([], False)


def test_what_somebody_else_mounted_there_stays(shared: Managed) -> None:
    shared.converge("- mount: /srv/mine\n  device: /srv\n  fstype: none\n  options: bind\n")
    shared.host.run(["umount", "/srv/mine"])
    shared.host.run(["mount", "-t", "tmpfs", "foreign", "/srv/mine"])
    wanted = "- mount: /srv/mine\n  device: /srv\n  fstype: none\n  options: bind\n"
    assert "foreign (tmpfs) is mounted there" in reasons(shared, wanted)["mount:/srv/mine"]
    assert shared.apply(wanted).status == 4
    assert mounted(shared, "/srv/mine")[:1] == ["foreign"]
    shared.converge(wanted.replace("options: bind", "options: bind\n  state: unmounted"))
    shared.converge(wanted)
    run = shared.converge("- mount: /srv/mine\n  state: absent\n").run
    assert shared.rollback(run).report.result == "reverted"
    shared.converge("- mount: /srv/mine\n  state: absent\n")


def test_a_mount_that_fails_is_told_and_what_lies_below_is_not_written_under_it(shared: Managed) -> None:
    resources = "- mount: /srv/none\n  device: /dev/no-such-disk\n  fstype: ext4\n- file: /srv/none/inside\n  content: x\n"
    found = messages(shared, resources)
    assert (found["mount:/srv/none"][0], "no-such-disk" in found["mount:/srv/none"][1]) == ("failed", True), found
    assert found["file:/srv/none/inside"] == ("skipped", "because mount:/srv/none did not succeed")
    assert not (shared.host.path / "srv/none/inside").exists()
    shared.converge("- mount: /srv/none\n  state: absent\n")


def test_a_folder_that_others_write_to_is_no_place_for_a_mount(shared: Managed) -> None:
    shared.host.run(["install", "-d", "-o", "daemon", "/srv/theirs"])
    shared.host.run(["ln", "-s", "/etc", "/srv/link"])
    resources = "".join(
        f"- mount: {path}\n  device: x\n  fstype: tmpfs\n" for path in ("/srv/theirs/data", "/var/tmp/data", "/srv/link")
    )
    found = reasons(shared, resources)
    assert "others than root may write to /srv/theirs" in found["mount:/srv/theirs/data"]
    assert "others than root may write to /var/tmp" in found["mount:/var/tmp/data"]
    assert "is a link" in found["mount:/srv/link"]
    assert "the machine needs it" in reasons(shared, "- mount: /proc\n  state: absent\n")["mount:/proc"]


def test_where_there_is_no_mount_program_the_plan_says_so(machine: Managed) -> None:
    folder = "/usr/bin" if (machine.host.path / "bin").is_symlink() else "/bin"
    programs = [f"{folder}/mount", f"{folder}/umount"]
    for path in programs:
        machine.host.run(["mv", path, f"{path}.away"])
    resources = "- mount: /srv/scratch\n  device: scratch\n  fstype: tmpfs\n  options: size=1m\n"
    change = next(item for item in machine.plan(resources).changes if item.address == "mount:/srv/scratch")
    assert (change.confidence, "there is no mount(8) on this machine" in change.reason) == ("conditional", True)
    assert messages(machine, resources)["mount:/srv/scratch"][0] == "failed"
    for path in programs:
        machine.host.run(["mv", f"{path}.away", path])
    machine.converge(resources)
