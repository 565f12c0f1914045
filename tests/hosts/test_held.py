"""What holds paths as they are on real machines, whose root is an overlay of two file systems, is in the plan; cron gives sh what was declared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hosts import Rig
from tests.support.managed import Managed, unpack_executor
from tests.support.roots import STACK_SUITE, get_root

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

HOSTS = "- {host_entry: 192.0.2.7, names: [db]}\n"
COMMANDS = (r"printf '%s' 'a\%b'", r"printf '%s' 'a\\b'", r"printf '%s' '\\\%'", "printf '%s\\n' 100%", r"printf '%s' 'x\\'")


def refused(machine: Managed, resources: str) -> dict[str, str]:
    """Give what the plan refuses, and see that an apply then changes nothing of it."""
    reasons = {str(item.address): item.reason for item in machine.plan(resources).changes if item.action == "refused"}
    report = machine.apply(resources).report
    assert {str(item.address) for item in report.changes if item.result == "refused"} == set(reasons)
    return reasons


def shown(machine: Managed, *argv: str) -> str:
    return machine.host.run(argv, check=False).out.strip()


def test_hosts_from_outside_as_in_a_container_is_refused(shared: Managed) -> None:
    shared.host.run(["sh", "-c", "cp /etc/hosts /srv/hosts && mount --bind /srv/hosts /etc/hosts"])
    try:
        reason = refused(shared, HOSTS)["host_entry:192.0.2.7"]
        assert reason.startswith("/etc/hosts: it is a mount point")
        assert "is a mount point" in refused(shared, "- file: /etc/hosts\n  content: x\n")["file:/etc/hosts"]
    finally:
        shared.host.run(["umount", "/etc/hosts"])
    shared.converge(HOSTS)


# These hosts have no chattr(1): FS_IOC_SETFLAGS, as it does.
SET_FLAGS = "import fcntl, os, struct, sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x40086602, struct.pack('l', int(sys.argv[2])))"


@pytest.mark.parametrize(("flag", "words"), [(0x10, "is immutable"), (0x20, "is append-only")])
def test_flags_of_chattr_are_refused(shared: Managed, flag: int, words: str) -> None:
    for path in ("/srv/flagged/x", "/srv/flagged"):
        shared.host.run(["sh", "-c", "mkdir -p /srv/flagged && echo old >/srv/flagged/x"])
        shared.host.run(["python3", "-c", SET_FLAGS, path, str(flag)])
        try:
            assert words in refused(shared, "- file: /srv/flagged/x\n  content: new\n")["file:/srv/flagged/x"]
        finally:
            shared.host.run(["python3", "-c", SET_FLAGS, path, "0"])
    shared.host.run(["rm", "-r", "/srv/flagged"])


def test_a_read_only_mount_is_refused_until_a_mount_before_it_makes_it_writable(shared: Managed) -> None:
    shared.host.run(["sh", "-c", "mkdir -p /srv/disk && mount -t tmpfs -o ro,mode=0755 disk /srv/disk"])
    inside = "- file: /srv/disk/x\n  content: new\n"
    assert "mounted read-only" in refused(shared, inside)["file:/srv/disk/x"]
    mount = "- mount: /srv/disk\n  device: disk\n  fstype: tmpfs\n  options: rw,mode=0755\n"
    plan = {str(item.address): item for item in shared.plan(mount + inside).changes}
    assert (plan["file:/srv/disk/x"].action, plan["file:/srv/disk/x"].confidence) == ("create", "conditional")
    shared.converge(mount + inside)
    shared.converge("- mount: /srv/disk\n  state: absent\n")


def test_recurse_and_absent_go_through_both_layers_of_the_root(shared: Managed) -> None:
    """The files of the lower layer have another number than their folder."""
    shared.host.run(["sh", "-c", "echo new >/etc/pam.d/trueup"])
    numbers = set(shown(shared, "sh", "-c", "stat -c %d /etc/pam.d /etc/pam.d/*").split())
    assert len(numbers) > 1
    wanted = "- directory: /etc/pam.d\n  recurse: true\n  file_mode: '0640'\n"
    run = shared.converge(wanted).run
    assert set(shown(shared, "sh", "-c", "stat -c %a /etc/pam.d/*").split()) == {"640"}
    assert shared.rollback(run).report.result == "reverted"
    gone = "- directory: /etc/pam.d\n  state: absent\n  recurse: true\n"
    shared.host.run(["mkdir", "/etc/pam.d/in"])
    shared.host.run(["mount", "--bind", "/srv", "/etc/pam.d/in"])
    try:
        assert refused(shared, gone)["directory:/etc/pam.d"].startswith("/etc/pam.d/in is a mount point")
        plan = shared.plan(wanted)
        assert "/etc/pam.d/in" in plan.changes[0].reason
    finally:
        shared.host.run(["umount", "/etc/pam.d/in"])
    before = shown(shared, "sh", "-c", "ls /etc/pam.d; cat /etc/pam.d/* 2>/dev/null | cksum")
    run = shared.converge(gone).run
    assert shown(shared, "ls", "-d", "/etc/pam.d") == ""
    assert shared.rollback(run).report.result == "reverted"
    assert shown(shared, "sh", "-c", "ls /etc/pam.d; cat /etc/pam.d/* 2>/dev/null | cksum") == before


def test_set_id_bits_and_second_names_are_said(shared: Managed) -> None:
    shared.host.run(["sh", "-c", "cp /bin/true /srv/tool && chmod 2755 /srv/tool && ln /srv/tool /srv/other"])
    wanted = "- file: /srv/tool\n  group: daemon\n"
    change = shared.plan(wanted).changes[0]
    assert {item.name: item.after for item in change.fields} == {"mode": "0755", "group": "daemon"}
    assert "set-id bits" in change.reason
    assert "another name (a hard link), which changes with it" in change.reason
    run = shared.converge(wanted).run
    assert shown(shared, "stat", "-c", "%a %G", "/srv/tool") == "755 daemon"
    shared.rollback(run)
    assert shown(shared, "stat", "-c", "%a %G", "/srv/tool") == "2755 root"
    split = shared.plan("- file: /srv/tool\n  content: new\n").changes[0]
    assert "keeps the old content" in split.reason


@pytest.fixture
def scheduled(rig: Rig, tmp_path: Path) -> Iterator[Managed]:
    host = rig.boot("cron-1", STACK_SUITE)
    (host.path / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/packages ./\n", encoding="utf-8")
    host.run(["apt-get", "update", "-qq"])
    yield Managed.start(host, tmp_path / "project", unpack_executor(tmp_path / "executor", get_root(STACK_SUITE)))
    host.remove()


def test_sh_gets_from_cron_what_was_declared(scheduled: Managed) -> None:
    host = scheduled.host
    host.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "cron"])
    host.run(["systemctl", "stop", "cron"])
    resources = "".join(
        f"- cron: job{number}\n  schedule: '@reboot'\n  command: |-\n    {command} >/srv/job{number}\n"
        for number, command in enumerate(COMMANDS)
    )
    scheduled.converge(resources)
    host.run(["rm", "-f", "/run/crond.reboot"])
    host.run(["systemctl", "start", "cron"])
    for number, command in enumerate(COMMANDS):
        host.run(["sh", "-c", f"until test -e /srv/job{number}; do sleep 0.1; done"])
        wanted = host.run(["sh", "-c", command]).out
        host.run(["sh", "-c", f"until test $(wc -c </srv/job{number}) -ge {len(wanted)}; do sleep 0.1; done"])
        assert (host.path / f"srv/job{number}").read_text(encoding="utf-8") == wanted
