"""The example of a small real stack, with Debian's own packages: applied twice, used, restarted, changed, undone; pushed to twenty hosts."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from gitops.model.graph import Graphs
from gitops.model.report import Report
from gitops.pipeline.project import build_tree
from gitops.source.snapshot import snapshot_folder
from tests.support.hosts import Rig, TestHost
from tests.support.login import Logins
from tests.support.managed import Managed, describe, unpack_executor
from tests.support.roots import STACK_SUITE, get_root

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

EXAMPLE = Path(__file__).parents[2] / "examples/stack"
FLEET = 20
VISIT = "import sys, urllib.request as u; sys.stdout.write(u.urlopen(sys.argv[1], timeout=10).read().decode())"


def compile_stack(folder: Path = EXAMPLE) -> Graphs:
    return build_tree(snapshot_folder(folder)).compiled.graphs["production"]


@dataclass(frozen=True)
class Built:
    """A host on which the stack was built, how that went, and the packages that were there before."""

    machine: Managed
    report: Report
    packages: frozenset[str]


@pytest.fixture(scope="module")
def built(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("stack")
    host = rig.boot("app-1", STACK_SUITE)
    (host.path / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/packages ./\n", encoding="utf-8")
    host.run(["apt-get", "update", "-qq"])
    machine = Managed.start(host, folder / "project", unpack_executor(folder / "executor", get_root(STACK_SUITE)))
    before = list_packages(host)
    yield Built(machine, machine.converge(compile_stack()), before)
    host.remove()


@contextlib.contextmanager
def second_release(folder: Path) -> Iterator[Path]:
    """Give the project one change later: another greeting, and one more open port."""
    shutil.copytree(EXAMPLE, folder)
    for name, old, new in (
        ("gitops.yaml", "greeting: hello", "greeting: good day"),
        ("groups/app.yaml", "ports: [22, 80]", "ports: [22, 80, 443]"),
    ):
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")
    yield folder


def list_packages(host: TestHost) -> frozenset[str]:
    rows = host.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"]).out.splitlines()
    return frozenset(row.partition(" ")[0] for row in rows if row.endswith(" installed"))


def visit(host: TestHost, path: str = "/") -> str:
    return host.run(["python3", "-c", VISIT, f"http://127.0.0.1{path}"]).out


def test_built_by_one_run_it_serves_and_a_second_run_changes_nothing(built: Built) -> None:
    assert built.report.result == "changed"  # the fixture has applied it twice
    host = built.machine.host
    assert [visit(host) for _ in range(2)] == ["hello, visit 1\n", "hello, visit 2\n"]
    assert visit(host, "/ready") == "app-1 is ready\n"
    rules = host.run(["nft", "list", "ruleset"]).out
    assert "tcp dport { 22, 80 } accept" in rules
    assert host.run(["su", "-s", "/bin/sh", "postgres", "-c", "pg_dump -Fc -f /var/backups/app/now.dump app"]).status == 0
    assert host.run(["systemctl", "show", "-p", "User", "--value", "app"]).out == "app\n"
    host.run(["rm", "/var/backups/app/now.dump"])


def test_it_is_so_after_a_restart_of_the_machine(built: Built) -> None:
    built.machine.host.reboot()
    assert built.machine.plan(compile_stack(), guards=True).changes == ()
    assert visit(built.machine.host).startswith("hello, visit ")


def test_drift_is_healed(built: Built) -> None:
    host = built.machine.host
    for argv in (
        ["systemctl", "stop", "app"],
        ["sh", "-c", "echo >/etc/nginx/nginx.conf"],
        ["chmod", "0644", "/srv/app/app.py"],
        ["rm", "/etc/cron.d/app-backup"],
    ):
        host.run(argv)
    changes = built.machine.converge(compile_stack()).changes
    assert {item.address for item in changes} == {
        "service:app",
        "file:/etc/nginx/nginx.conf",
        "service:nginx",  # it reads its config again
        "file:/srv/app/app.py",
        "cron:app-backup",
    }
    assert visit(host).startswith("hello, visit ")


def test_a_release_is_pushed_to_twenty_hosts_at_once(built: Built, rig: Rig, tmp_path: Path) -> None:
    built.machine.host.power_off()
    logins = Logins(tmp_path / "ssh", rig)
    hosts = [rig.make(f"app-{number}", STACK_SUITE, like=built.machine.host) for number in range(2, FLEET + 1)]
    fleet = [built.machine.host, *hosts]
    for number, host in enumerate(fleet, 1):
        logins.admit(host, f"root@192.0.2.{number}")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(TestHost.boot, fleet))
    push = ("--host", "role=app", "--ssh-config", logins.config, "--format", "json")
    with second_release(tmp_path / "project") as project:
        first, second = (logins.gitops("-C", project, "apply", "--yes", *push) for _ in range(2))
        assert first.status == 0, first.err
        assert [item["result"] for item in first.json["reports"]] == ["changed"] * FLEET
        assert [item["result"] for item in second.json["reports"]] == ["converged"] * FLEET
        assert [visit(host).partition(",")[0] for host in fleet] == ["good day"] * FLEET
        assert ["443" in host.run(["nft", "list", "ruleset"]).out for host in fleet] == [True] * FLEET
    for host in hosts:
        host.remove()


def test_undone_it_is_gone_and_said_what_stays(built: Built) -> None:
    machine = built.machine
    if visit(machine.host).startswith("good day"):
        machine.converge(compile_stack())
    undone = machine.rollback(built.report.run).report
    assert undone.result == "failed", describe(undone)  # exit 4: what commands did stays
    assert [item.address for item in undone.changes if item.result == "failed"] == []
    kept = [item.message for item in undone.changes if item.result == "skipped"]
    assert kept == [
        f"command:{name} ran: what a command did cannot be undone" for name in ("app-schema", "database", "database-role")
    ]
    host = machine.host
    assert list_packages(host) == built.packages  # those that came along are gone, too
    assert host.run(["getent", "passwd", "app"], check=False).status == 2
    for path in ("/srv/app", "/var/backups/app", "/etc/cron.d/app-backup", "/etc/systemd/system/app.service"):
        assert not (host.path / path.lstrip("/")).exists()
    assert host.run(["systemctl", "is-active", "app", "nginx"], check=False).out.split() == ["inactive", "inactive"]
