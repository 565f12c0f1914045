"""One project that uses every kind, on real systemd hosts: the laws of a run, checked with the machine's own tools."""

from __future__ import annotations

import pytest

from tests.support.managed import Managed, describe

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

RESOURCES = """\
- package: hello-tool
  version: 1.0-1
- package: hello-daemon
- package: old-tool
  state: absent
- file: /etc/hello-daemon/hello.conf
  content: "greeting = GREETING\\n"
  notify: [service:hello-daemon]
- service: hello-daemon
  state: running
  enabled: true
- group: operators
  gid: 4200
- group: alice
  gid: 4301
- user: alice
  uid: 4301
  groups: [operators]
  shell: /bin/sh
  comment: Alice Example
- user: hello
  system: true
  home: /var/lib/hello
  shell: /usr/sbin/nologin
- directory: /var/lib/hello
  owner: hello
  group: operators
  mode: "2750"
- file: /var/lib/hello/notes
  content: "for operators\\n"
  owner: hello
  group: operators
  mode: "0640"
- file: /home/alice/.profile
  content: "umask 027\\n"
  owner: alice
  group: alice
- symlink: /usr/local/bin/hello-version
  target: /usr/share/hello-tool/version
- command: index
  argv: [cp, /usr/share/hello-tool/version, /var/lib/hello/index]
  creates: /var/lib/hello/index
  needs: [package:hello-tool, directory:/var/lib/hello]
- command: stamp
  argv: [touch, /var/lib/hello/stamp]
  unless: [test, -e, /var/lib/hello/stamp]
  user: hello
  needs: [directory:/var/lib/hello]
"""
FIRST, SECOND = RESOURCES.replace("GREETING", "hello"), RESOURCES.replace("GREETING", "good day")
NOTHING = """\
- package: hello-tool
  state: absent
- package: hello-daemon
  state: absent
- file: /etc/hello-daemon/hello.conf
  state: absent
- service: hello-daemon
  state: stopped
  enabled: false
- group: operators
  state: absent
- group: alice
  state: absent
- user: alice
  state: absent
- user: hello
  state: absent
- directory: /var/lib/hello
  state: absent
  recurse: true
- symlink: /usr/local/bin/hello-version
  state: absent
"""


def shown(machine: Managed, *argv: str) -> str:
    return machine.host.run(argv, check=False).out.strip()


def pid_of_daemon(machine: Managed) -> str:
    return shown(machine, "systemctl", "show", "-p", "MainPID", "--value", "hello-daemon")


def check_it_is_so(machine: Managed, greeting: str) -> None:
    """Ask the machine's own tools, nothing of ours."""
    assert shown(machine, "dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", "hello-tool") == "1.0-1 installed"
    assert shown(machine, "dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", "hello-daemon") == "1.1-1 installed"
    assert shown(machine, "dpkg-query", "-W", "-f", "${db:Status-Status}", "old-tool") == "config-files"
    assert shown(machine, "systemctl", "is-active", "hello-daemon") == "active"
    assert shown(machine, "systemctl", "is-enabled", "hello-daemon") == "enabled"
    assert shown(machine, "cat", "/etc/hello-daemon/hello.conf") == f"greeting = {greeting}"
    assert shown(machine, "cat", "/run/hello-daemon.seen") == f"greeting = {greeting}"
    assert shown(machine, "getent", "passwd", "alice") == "alice:x:4301:4301:Alice Example:/home/alice:/bin/sh"
    assert shown(machine, "id", "-nG", "alice") == "alice operators"
    assert shown(machine, "getent", "group", "operators") == "operators:x:4200:alice"
    assert shown(machine, "getent", "passwd", "hello").endswith("::/var/lib/hello:/usr/sbin/nologin")
    assert int(shown(machine, "id", "-u", "hello")) < 1000
    assert shown(machine, "stat", "-c", "%A %U %G", "/var/lib/hello") == "drwxr-s--- hello operators"
    assert shown(machine, "stat", "-c", "%A %U %G", "/var/lib/hello/notes") == "-rw-r----- hello operators"
    assert shown(machine, "stat", "-c", "%U %G", "/home/alice/.profile") == "alice alice"
    assert shown(machine, "stat", "-c", "%U", "/home/alice") == "alice"
    machine.host.run(
        ["sh", "-c", "id probe 2>/dev/null || useradd -m probe"]
    )  # homes are as this system makes them: 0700 since Debian 13
    assert shown(machine, "stat", "-c", "%a", "/home/alice") == shown(machine, "stat", "-c", "%a", "/home/probe")
    assert shown(machine, "readlink", "/usr/local/bin/hello-version") == "/usr/share/hello-tool/version"
    assert shown(machine, "cat", "/var/lib/hello/index") == "1.0-1"
    assert shown(machine, "stat", "-c", "%U", "/var/lib/hello/stamp") == "hello"


def test_first_run_converges_as_planned_and_second_changes_nothing(machine: Managed) -> None:
    machine.host.run(["apt-get", "install", "-y", "-q", "old-tool"])
    report = machine.converge(FIRST)
    assert report.result == "changed"
    parents = {
        "directory:/etc/hello-daemon",
        "directory:/home/alice",
    }  # planned as missing; the package and the new user made them
    assert {item.address for item in report.changes} == {item.address for item in machine.resources} | parents
    check_it_is_so(machine, "hello")


def test_a_changed_config_file_restarts_its_service_and_nothing_else_happens(machine: Managed) -> None:
    machine.converge(FIRST)
    before = pid_of_daemon(machine)
    report = machine.converge(SECOND)
    assert [(item.address, item.action) for item in report.changes] == [
        ("file:/etc/hello-daemon/hello.conf", "update"),
        ("service:hello-daemon", "restart"),
    ]
    assert pid_of_daemon(machine) not in ("0", before)
    assert shown(machine, "cat", "/run/hello-daemon.seen") == "greeting = good day"


def test_drift_by_hand_is_seen_as_corrective_and_healed(machine: Managed) -> None:
    machine.host.run(["apt-get", "install", "-y", "-q", "old-tool"])
    machine.converge(FIRST)
    for argv in (
        ["systemctl", "disable", "--now", "hello-daemon"],
        ["apt-get", "install", "-y", "-q", "hello-tool=1.1-1"],
        ["apt-get", "install", "-y", "-q", "old-tool"],
        ["usermod", "-s", "/bin/bash", "-G", "", "alice"],
        ["groupmod", "-g", "4999", "operators"],
        ["chown", "root:root", "/var/lib/hello/notes"],
        ["rm", "/usr/local/bin/hello-version", "/var/lib/hello/stamp"],
        ["sh", "-c", "echo by hand >/etc/hello-daemon/hello.conf"],
    ):
        machine.host.run(argv)
    changes = machine.plan(FIRST, guards=True).changes
    assert {item.classification for item in changes} == {"corrective"}
    assert {item.address for item in changes} == {
        "service:hello-daemon",
        "package:hello-tool",
        "package:old-tool",
        "user:alice",
        "group:operators",
        "directory:/var/lib/hello",  # its group is the old number now
        "file:/var/lib/hello/notes",
        "symlink:/usr/local/bin/hello-version",
        "command:stamp",
        "file:/etc/hello-daemon/hello.conf",
    }
    machine.converge(FIRST)
    check_it_is_so(machine, "hello")


def test_rollback_brings_back_what_was(machine: Managed) -> None:
    machine.converge(FIRST)
    more = "- user: bob\n  uid: 4302\n- package: new-mailer\n"
    run = machine.converge(SECOND.replace("version: 1.0-1", "version: 1.1-1") + more).run
    answer = machine.rollback(run)
    assert answer.report.result == "reverted", describe(answer.report)
    assert shown(machine, "cat", "/etc/hello-daemon/hello.conf") == "greeting = hello"
    assert shown(machine, "cat", "/run/hello-daemon.seen") == "greeting = hello"
    assert shown(machine, "dpkg-query", "-W", "-f", "${Version}", "hello-tool") == "1.0-1"
    assert shown(machine, "dpkg-query", "-W", "-f", "${db:Status-Status}", "new-mailer") in ("", "not-installed")
    assert shown(machine, "getent", "passwd", "bob") == ""
    assert machine.plan(FIRST, guards=True).changes == ()


def test_everything_can_be_absent(machine: Managed) -> None:
    machine.converge(FIRST)
    machine.converge(NOTHING)
    assert shown(machine, "dpkg-query", "-W", "-f", "${db:Status-Status}", "hello-tool") in ("", "not-installed")
    assert shown(machine, "dpkg-query", "-W", "-f", "${db:Status-Status}", "hello-daemon") in (
        "config-files",
        "",
        "not-installed",
    )
    assert shown(machine, "systemctl", "is-active", "hello-daemon") == "inactive"
    assert shown(machine, "getent", "passwd", "alice", "hello") == ""
    assert shown(machine, "getent", "group", "alice", "operators") == ""
    assert shown(machine, "sh", "-c", "ls -d /var/lib/hello /usr/local/bin/hello-version 2>/dev/null") == ""
    assert shown(machine, "stat", "-c", "%u", "/home/alice") == "4301"  # absent keeps the home


def test_it_stays_so_over_a_reboot(machine: Managed) -> None:
    machine.converge(FIRST)
    machine.host.reboot()
    assert machine.plan(FIRST, guards=True).changes == ()
    check_running = shown(machine, "systemctl", "is-active", "hello-daemon")
    assert check_running == "active"
