"""Files on real hosts: secret before-images in memory, ACLs of the machine's own tools, labels."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.managed import Managed

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

OLD, NEW = "the-old-secret-value", "the-new-secret-value"


def shown(machine: Managed, *argv: str) -> str:
    return machine.host.run(argv, check=False).out.strip()


def test_what_was_secret_is_kept_in_memory_only_until_it_is_undone(shared: Managed) -> None:
    (shared.host.path / "etc/token").write_text(OLD)
    resources = '- file: /etc/token\n  content: "${secret.token}"\n  mode: "0600"\n'
    answer = shared.send(replace(shared.request("apply", resources), secrets={"env:TOKEN": NEW}))
    run = answer.report.run
    assert (answer.report.result, shown(shared, "cat", "/etc/token")) == ("changed", NEW)
    assert shown(shared, "stat", "-f", "-c", "%T", f"/run/gitops/{run}") == "tmpfs"
    assert shown(shared, "stat", "-c", "%a %U", "/run/gitops", f"/run/gitops/{run}") == "700 root\n700 root"
    assert shown(shared, "sh", "-c", f"cat /run/gitops/{run}/*") == OLD
    assert shown(shared, "sh", "-c", f"stat -c %a /run/gitops/{run}/*") == "600"
    assert shown(shared, "grep", "-rlF", "-e", OLD, "-e", NEW, "/var/lib/gitops") == ""
    assert OLD not in str([event.to_json() for event in answer.events])
    assert shared.rollback(run).report.result == "reverted"
    assert shown(shared, "cat", "/etc/token") == OLD


def test_what_was_kept_in_memory_is_gone_after_a_restart_and_said_so(shared: Managed) -> None:
    (shared.host.path / "etc/token").write_text(OLD)
    resources = '- file: /etc/token\n  content: "${secret.token}"\n'
    run = shared.send(replace(shared.request("apply", resources), secrets={"env:TOKEN": NEW})).report.run
    shared.host.run(["rm", "-r", f"/run/gitops/{run}"])
    undone = shared.rollback(run).report
    assert [(item.address, item.result) for item in undone.changes] == [("file:/etc/token", "skipped")]
    assert "kept in memory, and is gone" in undone.changes[0].message
    assert shown(shared, "cat", "/etc/token") == NEW


SHARED = """\
- {group: laws, gid: 5410}
- {user: ann, uid: 5411}
- file: /srv/shared
  content: "one\\n"
  mode: "0600"
  acl: ["user:ann:rw-", "group:laws:r--"]
- {directory: /srv/folder, mode: "0750", acl: ["user:ann:rwx", "default:group:laws:rwx"]}
"""
# systemd brings setfacl's own library, but takes the mask for the group's permissions where a default list says nothing.
SAME = """\
f /srv/other 0600 root root - one
a /srv/other - - - - user:ann:rw-,group:laws:r--
d /srv/beside 0750 root root
a /srv/beside - - - - user:ann:rwx,default:group::r-x,default:group:laws:rwx
"""
SHOW = "import os, sys; print({n: os.getxattr(sys.argv[1], n).hex() for n in sorted(os.listxattr(sys.argv[1]))})"


def test_an_acl_lets_in_whom_it_names_and_is_that_of_the_machines_own_tools(shared: Managed) -> None:
    report = shared.apply(SHARED).report
    assert report.result == "changed"
    (shared.host.path / "srv/same.conf").write_text(SAME)
    shared.host.run(["systemd-tmpfiles", "--create", "/srv/same.conf"])
    for own, other in (("/srv/shared", "/srv/other"), ("/srv/folder", "/srv/beside")):
        assert shown(shared, "python3", "-c", SHOW, own) == shown(shared, "python3", "-c", SHOW, other)
        assert "posix_acl" in shown(shared, "python3", "-c", SHOW, own)
    shared.host.run(["runuser", "-u", "ann", "--", "sh", "-c", "echo two >/srv/shared && touch /srv/folder/x"])
    assert shared.host.run(["runuser", "-u", "nobody", "--", "cat", "/srv/shared"], check=False).status != 0
    assert shared.apply(SHARED.replace("one", "three")).report.result == "changed"
    assert shown(shared, "python3", "-c", SHOW, "/srv/shared") == shown(shared, "python3", "-c", SHOW, "/srv/other")
    shared.host.run(["rm", "-r", "/srv/same.conf", "/srv/other", "/srv/beside", "/srv/folder/x"])
