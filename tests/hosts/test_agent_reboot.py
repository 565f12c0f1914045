"""The agent under its own unit: it mounts for the whole machine, names it, reboots it, and goes on after the boot by itself."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.cli import call
from tests.support.hosts import Rig, TestHost
from tests.support.ownpython import list_binds, own_suite
from tests.support.project import Repository

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

UNIT = Path(__file__).parents[2] / "examples" / "systemd" / "trueup-agent.service"
STATE = "/var/lib/gitops"
WAIT_SECONDS = 60
START_TIME = 21  # of /proc/PID/stat
PROJECT = """\
apiVersion: gitops/v1
kind: Project
metadata: {name: acme}
spec:
  environments:
    production: {source: main, release: release/production, hosts: {env: production}}
---
apiVersion: gitops/v1
kind: Host
metadata: {name: web-1, labels: {env: production}}
spec:
  resources:
    - mount: /srv/wide
      device: wide
      fstype: tmpfs
    - hostname: renamed-by-agent
    - file: /etc/kernel.conf
      content: "x\\n"
      notify: [reboot:kernel]
    - reboot: kernel
    - command: after-boot
      argv: [cp, /proc/1/stat, /etc/after-boot]
      creates: /etc/after-boot
      needs: [reboot:kernel]
"""


@pytest.fixture
def host(rig: Rig, tmp_path: Path) -> Iterator[TestHost]:
    found = rig.boot("boots", own_suite(), binds=[*list_binds(), (str(tmp_path), str(tmp_path))])
    yield found
    found.remove()


def wait_for(host: TestHost, condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        journal = host.run(["journalctl", "-u", "trueup-agent", "--no-pager"], check=False).out[-3000:]
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {what}: {journal}"
        time.sleep(0.2)


def test_the_agent_goes_on_after_the_boot_that_it_asked_for(host: TestHost, tmp_path: Path) -> None:
    project = Repository.make(tmp_path / "acme", {"gitops.yaml": PROJECT})
    key, root = tmp_path / "key", tmp_path / "root.json"
    assert call("release", "keygen", "--out", key).status == 0
    assert call("-C", project.path, "trust", "init", "--key", f"{key}.pub", "--out", root).status == 0
    assert call("-C", project.path, "release", "--env", "production", "--key", key).status == 0
    gitops = f"{sys.executable} -P -m gitops.cli"
    (tmp_path / UNIT.name).write_text(UNIT.read_text(encoding="utf-8").replace("/usr/bin/gitops", gitops), encoding="utf-8")
    host.run(["cp", str(tmp_path / UNIT.name), "/etc/systemd/system/"])
    enroll = ["--env", "production", "--name", "web-1", "--trust-root", str(root), "--state", STATE]
    host.run([*gitops.split(), "agent", "enroll", "--repo", f"file://{project.path}", *enroll])
    first = boot_of(host)
    host.await_reboot(["systemctl", "enable", "--now", "trueup-agent"])
    after = host.path / "etc/after-boot"
    wait_for(host, after.exists, "what needs the reboot")
    second = boot_of(host)
    assert (second != first, after.read_text(encoding="utf-8").split()[START_TIME]) == (True, second)
    wait_for(host, lambda: '"good": null' not in host.run(status_of(gitops)).out, "the release")
    assert host.run(["findmnt", "-n", "-o", "SOURCE", "/srv/wide"]).out.strip() == "wide"
    assert host.run(["cat", "/etc/hostname"]).out == "renamed-by-agent\n"
    assert host.run(["hostname"]).out.strip() == "renamed-by-agent"
    assert boot_of(host) == second


def boot_of(host: TestHost) -> str:
    """Give when the first process began."""
    return host.run(["cat", "/proc/1/stat"]).out.split()[START_TIME]


def status_of(gitops: str) -> list[str]:
    return [*gitops.split(), "agent", "status", "--state", STATE, "--format", "json"]
