"""Facts of this machine: a few small files, read once a run."""

from __future__ import annotations

import os
from typing import Dict

from gitops.executor.hardware import read_hardware
from gitops.executor.macfacts import read_mac_facts
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
    "opensuse-leap": "suse",
    "opensuse-tumbleweed": "suse",
    "sles": "suse",
}
INITS = {"systemd": "systemd", "openrc-init": "openrc", "init": "sysvinit", "runit": "runit", "launchd": "launchd"}


def read_facts(root: str = "") -> Facts:
    """Give every fact of `gitops.model.facts`, empty where this machine has none; `root` is where tests put its files."""
    release = _read_release(root)
    system = os.uname()
    return {
        "os.family": _find_family(release),
        "os.name": release.get("ID", ""),
        "os.version": release.get("VERSION_ID", ""),
        "os.codename": release.get("VERSION_CODENAME", ""),
        "arch": system.machine,
        "kernel": system.sysname.lower(),
        "init": _find_init(root),
        "hostname": system.nodename,
        **read_hardware(root, lambda path: _read(root + path)),
        **read_mac_facts(root),
    }


def _find_init(root: str) -> str:
    """OpenRC is most often begun by an `init` that is called like sysvinit's."""
    if os.path.exists(f"{root}/run/openrc/softlevel"):
        return "openrc"
    return INITS.get(_read(f"{root}/proc/1/comm").strip(), "unknown")


def _find_family(release: Dict[str, str]) -> str:
    for name in [release.get("ID", ""), *release.get("ID_LIKE", "").split()]:
        if name in FAMILIES:
            return FAMILIES[name]
    return release.get("ID", "")


def _read_release(root: str) -> Dict[str, str]:
    """Read os-release(5): the file in /etc, else the one that the distribution ships."""
    found: Dict[str, str] = {}
    text = _read(f"{root}/etc/os-release" if os.path.exists(f"{root}/etc/os-release") else f"{root}/usr/lib/os-release")
    for line in text.splitlines():
        name, sign, value = line.partition("=")
        if sign:
            found[name] = value.strip().strip("\"'")
    return found


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(65536)
    except OSError:
        return ""
