"""The systemd unit on a real host: what it restricts does not stop packages, services, users, files, nor an orderly end."""

from __future__ import annotations

import json
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
PROJECT = """\
apiVersion: gitops/v1
kind: Project
metadata: {name: acme}
spec:
  secrets:
    token: {from: env, key: GITOPS_SECRET_ACME_TOKEN}
  environments:
    production: {source: main, release: release/production, hosts: {env: production}}
"""
INVENTORY = """\
apiVersion: gitops/v1
kind: Host
metadata: {name: web-1, labels: {env: production}}
spec:
  resources:
    - package: hello-daemon
    - file: /etc/hello-daemon/hello.conf
      content: "hello\\n"
      owner: hello
      notify: [service:hello-daemon]
    - service: hello-daemon
      state: running
      enabled: true
    - user: hello
      system: true
    - file: /tmp/seen-by-all
      content: "not in a private folder\\n"
    - file: /etc/token
      content: "${secret.token}\\n"
      mode: "0600"
    - command: umask
      argv: [sh, -c, "umask >/run/umask"]
      creates: /run/umask
"""


@pytest.fixture
def host(rig: Rig, repository: Path, tmp_path: Path) -> Iterator[TestHost]:
    found = rig.boot("unit", own_suite(), binds=[*list_binds(), (str(tmp_path), str(tmp_path))])
    found.add_packages(repository)
    yield found
    found.remove()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {what}"
        time.sleep(0.2)


def test_the_unit_converges_heals_and_ends_in_order(host: TestHost, tmp_path: Path) -> None:
    project = Repository.make(tmp_path / "acme", {"gitops.yaml": PROJECT, "inventory/web.yaml": INVENTORY})
    key, root = tmp_path / "key", tmp_path / "root.json"
    assert call("release", "keygen", "--out", key).status == 0
    assert call("-C", project.path, "trust", "init", "--key", f"{key}.pub", "--out", root).status == 0
    assert call("-C", project.path, "release", "--env", "production", "--key", key).status == 0
    gitops = f"{sys.executable} -P -m gitops.cli"
    unit = UNIT.read_text(encoding="utf-8").replace("/usr/bin/gitops", gitops)
    (tmp_path / UNIT.name).write_text(unit, encoding="utf-8")
    host.run(["cp", str(tmp_path / UNIT.name), "/etc/systemd/system/"])
    host.run(["mkdir", "-p", "/etc/gitops"])
    host.run(
        [
            "sh",
            "-c",
            "printf 'GITOPS_SECRET_ACME_TOKEN=from-the-environment\\nGITOPS_AGENT_INTERVAL=10s\\n' >/etc/gitops/agent.env",
        ]
    )
    enroll = ["--env", "production", "--name", "web-1", "--trust-root", str(root), "--state", STATE]
    host.run([*gitops.split(), "agent", "enroll", "--repo", f"file://{project.path}", *enroll])
    host.run(["systemctl", "daemon-reload"])
    host.run(["systemctl", "enable", "--now", "trueup-agent"])

    def is_arrived() -> bool:
        done = host.run(["cat", "/run/hello-daemon.seen"], check=False)
        return done.out.strip() == "hello" and bool(status(host, gitops)["good"])

    def journal() -> str:
        return host.run(["journalctl", "-u", "trueup-agent", "--no-pager"], check=False).out

    try:
        wait_for(is_arrived, "the first release")
    except AssertionError:
        raise AssertionError(journal()) from None
    assert host.run(["cat", "/tmp/seen-by-all"]).out == "not in a private folder\n"
    assert host.run(["cat", "/etc/token"]).out == "from-the-environment\n"
    assert host.run(["cat", "/run/umask"]).out.strip() == "0022"
    assert host.run(["stat", "-c", "%U", "/etc/hello-daemon/hello.conf"]).out.strip() == "hello"
    assert host.run(["stat", "-c", "%a", STATE]).out.strip() == "700"

    host.run(["sh", "-c", "echo by hand >/etc/hello-daemon/hello.conf; systemctl stop hello-daemon"])
    wait_for(lambda: host.run(["cat", "/etc/hello-daemon/hello.conf"]).out == "hello\n", "healing")
    wait_for(lambda: host.run(["systemctl", "is-active", "hello-daemon"], check=False).out.strip() == "active", "the service")

    host.run(["systemctl", "stop", "trueup-agent"])
    shown = host.run(["systemctl", "show", "-p", "Result,ExecMainStatus", "trueup-agent"]).out
    assert "Result=success" in shown
    assert "ExecMainStatus=0" in shown
    assert "from-the-environment" not in journal()


def status(host: TestHost, gitops: str) -> dict[str, object]:
    done = host.run([*gitops.split(), "agent", "status", "--state", STATE, "--format", "json"])
    found: dict[str, object] = json.loads(done.out)
    return found
