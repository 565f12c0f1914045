"""Agents on two real hosts, inside them: a signed release is followed, drift is healed, a tampered one is refused. No service runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import call
from tests.support.hosts import Done, Rig, TestHost
from tests.support.ownpython import list_binds, own_suite
from tests.support.project import Repository

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

PROJECT = """\
apiVersion: gitops/v1
kind: Project
metadata: {name: acme}
spec:
  environments:
    production:
      source: main
      release: release/production
      hosts: {env: production}
"""
INVENTORY = """\
apiVersion: gitops/v1
kind: Host
metadata: {name: left, labels: {env: production}}
spec: {vars: {greeting: hello from the left}}
---
apiVersion: gitops/v1
kind: Host
metadata: {name: right, labels: {env: production}}
spec: {vars: {greeting: hello from the right}}
---
apiVersion: gitops/v1
kind: Group
metadata: {name: all}
spec:
  selector: {}
  resources:
    - package: hello-daemon
      version: 1.0-1
    - file: /etc/hello-daemon/hello.conf
      content: "${vars.greeting}\\n"
      owner: hello
      group: operators
      notify: [service:hello-daemon]
    - service: hello-daemon
      state: running
      enabled: true
    - group: operators
    - user: hello
      system: true
      groups: [operators]
"""
STATE = "/var/lib/gitops"
NAMES = ("left", "right")


class Fleet:
    """Two hosts, a project and its release branch (a folder that the hosts see read-only)."""

    def __init__(self, hosts: Mapping[str, TestHost], folder: Path) -> None:
        self.hosts = hosts
        self.folder = folder
        self.project = Repository.make(folder / "acme", {"gitops.yaml": PROJECT, "inventory/all.yaml": INVENTORY})

    def gitops(self, name: str, *arguments: str) -> Done:
        """Run our command line in a host."""
        return self.hosts[name].run([sys.executable, "-P", "-m", "gitops.cli", *arguments], check=False)

    def release(self) -> None:
        done = call("-C", self.project.path, "release", "--env", "production", "--key", self.folder / "key")
        assert done.status == 0, done.err

    def agent(self, name: str) -> tuple[int, dict[str, Any]]:
        """Give exit status and report of one cycle."""
        done = self.gitops(name, "agent", "run", "--once", "--state", STATE)
        assert done.out, done.err
        return done.status, json.loads(done.out)

    def shown(self, name: str, *argv: str) -> str:
        return self.hosts[name].run(argv, check=False).out.strip()


@pytest.fixture
def fleet(rig: Rig, repository: Path, tmp_path: Path) -> Iterator[Fleet]:
    """Give two enrolled hosts and a first release."""
    binds = [*list_binds(), (str(tmp_path), str(tmp_path))]
    hosts = {name: rig.boot(name, own_suite(), binds=binds) for name in NAMES}
    found = Fleet(hosts, tmp_path)
    assert call("release", "keygen", "--out", tmp_path / "key").status == 0
    assert (
        call("-C", found.project.path, "trust", "init", "--key", tmp_path / "key.pub", "--out", tmp_path / "root.json").status
        == 0
    )
    found.release()
    for name, host in hosts.items():
        host.add_packages(repository)
        options = ("--env", "production", "--name", name, "--trust-root", str(tmp_path / "root.json"), "--state", STATE)
        done = found.gitops(name, "agent", "enroll", "--repo", f"file://{found.project.path}", *options)
        assert done.status == 0, done.err
    yield found
    for host in hosts.values():
        host.remove()


def test_agents_follow_heal_and_refuse_on_two_real_hosts(fleet: Fleet) -> None:
    for name in NAMES:
        # What a plan on the machine says is what the agent's first cycle does.
        planned = json.loads(
            fleet.gitops(name, "-C", str(fleet.project.path), "plan", "--local", "--host", name, "--format", "json").out
        )
        status, report = fleet.agent(name)
        assert (status, report["result"]) == (0, "changed"), report
        # A package brought a file since, and a service runs already: what is done then is of the same verb, or what notifies asked for.
        happened = [(item["address"], item["result"]) for item in report["changes"]]
        assert happened == [(item["address"], "changed") for item in planned["changes"]]
        assert fleet.agent(name)[1]["result"] == "converged"
        assert fleet.shown(name, "cat", "/run/hello-daemon.seen") == f"hello from the {name}"
        assert fleet.shown(name, "systemctl", "is-enabled", "hello-daemon") == "enabled"
        assert fleet.shown(name, "stat", "-c", "%U %G", "/etc/hello-daemon/hello.conf") == "hello operators"

    fleet.project.commit({"inventory/all.yaml": INVENTORY.replace("hello from", "good day from").replace("1.0-1", "1.1-1")})
    fleet.release()
    for name in NAMES:
        status, report = fleet.agent(name)
        assert status == 0, report
        assert {item["address"] for item in report["changes"]} == {
            "package:hello-daemon",
            "file:/etc/hello-daemon/hello.conf",
            "service:hello-daemon",
        }
        assert fleet.shown(name, "dpkg-query", "-W", "-f", "${Version}", "hello-daemon") == "1.1-1"
        assert fleet.shown(name, "cat", "/run/hello-daemon.seen") == f"good day from the {name}"

    left = fleet.hosts["left"]
    left.run(["systemctl", "disable", "--now", "hello-daemon"])
    left.run(["usermod", "-G", "", "hello"])
    status, report = fleet.agent("left")
    assert (status, {item["address"] for item in report["changes"]}) == (0, {"service:hello-daemon", "user:hello"})
    assert fleet.shown("left", "systemctl", "is-active", "hello-daemon") == "active"
    assert fleet.agent("right")[1]["result"] == "converged"

    tip = fleet.project.git("rev-parse", "release/production")
    work = fleet.folder / "tampered"
    fleet.project.git("worktree", "add", "-q", "--detach", str(work), tip)
    wanted = [path for path in work.glob("[bh]*/*/*") if "good day from the left" in path.read_text()]
    wanted[0].write_text(wanted[0].read_text().replace("good day", "bad day!"))
    tampered = Repository(work).commit({}, "tampered")
    fleet.project.git("update-ref", "refs/heads/release/production", tampered)
    left.run(["systemctl", "stop", "hello-daemon"])
    status, _ = fleet.agent("left")
    assert status == 6
    assert fleet.shown("left", "cat", "/etc/hello-daemon/hello.conf") == "good day from the left"
    assert fleet.shown("left", "systemctl", "is-active", "hello-daemon") == "active"  # the last good release still heals
