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
