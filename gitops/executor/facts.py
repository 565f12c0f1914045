"""Facts of this machine: a few small files, read once a run."""

from __future__ import annotations

import os
from typing import Dict

from gitops.model.facts import Facts

FAMILIES = {
    "debian": "debian",
    "ubuntu": "debian",
    "fedora": "redhat",
    "rhel": "redhat",
    "centos": "redhat",
    "arch": "arch",
    "alpine": "alpine",
    "suse": "suse",
    "opensuse": "suse",
}
INITS = {"systemd": "systemd", "openrc-init": "openrc", "init": "sysvinit", "runit": "runit", "launchd": "launchd"}


def read_facts() -> Facts:
    """Give every fact of `gitops.model.facts` but those that this machine does not have."""
    release = _read_release()
    system = os.uname()
    return {
        "os.family": _find_family(release),
        "os.name": release.get("ID", ""),
        "os.version": release.get("VERSION_ID", ""),
        "os.codename": release.get("VERSION_CODENAME", ""),
        "arch": system.machine,
        "kernel": system.sysname.lower(),
        "init": INITS.get(_read_line("/proc/1/comm"), "unknown"),
        "hostname": system.nodename,
    }


def _find_family(release: Dict[str, str]) -> str:
    for name in [release.get("ID", ""), *release.get("ID_LIKE", "").split()]:
        if name in FAMILIES:
            return FAMILIES[name]
    return release.get("ID", "")


def _read_release() -> Dict[str, str]:
    found: Dict[str, str] = {}
    for line in _read("/etc/os-release").splitlines():
        name, sign, value = line.partition("=")
        if sign:
            found[name] = value.strip().strip("\"'")
    return found


def _read_line(path: str) -> str:
    return _read(path).strip()


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(65536)
    except OSError:
        return ""
