"""The laws of `tests/conformance` with the real programs: accounts, packages, services, kernel parameters, on booted systemd hosts.

The hosts are containers: they share a kernel and do not see its modules, so `kernel_module` is not tried here.
"""

from __future__ import annotations

import pytest

from tests.support.managed import Managed
from tests.support.reallaws import try_laws
from tests.support.results import check_results

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

NAMES = {"bookworm": "Debian 12, systemd, apt", "bullseye": "Debian 11, systemd, apt", "trixie": "Debian 13, systemd, apt"}
RESOURCES = """\
- cron: laws
  schedule: "@daily"
  command: date +%F
- sysctl: net.ipv4.ip_default_ttl
  value: "63"
- systemd_unit: laws.service
  content: "[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n"
- service: laws
  state: running
  enabled: true
- group: lawgroup
  gid: 6400
- user: lawuser
  uid: 6401
  groups: [lawgroup]
- package: tool-f
- file: /etc/laws/file
  content: "one\\n"
  owner: lawuser
  mode: "0640"
- symlink: /etc/laws/link
  target: file
- line: laws
  path: /etc/laws/lines
  text: one = 1
- block: laws
  path: /etc/laws/lines
  text: "two\\nthree\\n"
- host_entry: 192.0.2.77
  names: [laws.example.org]
- ssh_authorized_key: root
  keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ laws"]
- mount: /mnt/laws
  device: tmpfs
  fstype: tmpfs
  options: size=1m
- timer: laws-tidy
  schedule: daily
  command: [/bin/true]
- apt_repository: laws
  uris: ["file:/srv/laws"]
  suites: ["./"]
  trusted: true
  enabled: false
- directory: /etc/laws-folder
  owner: lawuser
"""


def test_the_laws_hold_with_the_real_programs(shared: Managed, request: pytest.FixtureRequest) -> None:
    found = try_laws(shared, RESOURCES)
    check_results(NAMES[request.node.callspec.params["shared"]], found, request.config)
