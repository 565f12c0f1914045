"""Names of the facts that `when` may ask, of those that are only shown, and the predicate itself.

A predicate maps fact names to the values that satisfy it: all facts must match, any value of a list does. It is kept in the
Graph and evaluated on the machine.
"""

from __future__ import annotations

from typing import Mapping, Tuple

FACTS: Mapping[str, str] = {
    "os.family": "family of the distribution: debian, redhat, arch, alpine, suse, darwin",
    "os.name": "ID of os-release: debian, ubuntu, fedora …; macos",
    "os.version": "VERSION_ID of os-release, as text; of macOS the ProductVersion",
    "os.codename": "VERSION_CODENAME of os-release, or empty",
    "arch": "machine architecture as the kernel names it: x86_64, aarch64 …",
    "kernel": "kernel name in lower case: linux, darwin",
    "init": "the first process: systemd, openrc, sysvinit, runit, launchd, unknown",
    "hostname": "the machine's own host name",
    "package_manager": "the tool that installs packages: apt, dnf, yum, zypper, pacman, apk, brew, or empty",
    "virtualisation": "what the machine runs on: none, kvm, vmware, virtualbox, hyperv, xen, other, a container's kind, empty on macOS",
}
OBSERVED: Mapping[str, str] = {
    "kernel.version": "release of the kernel, as it names it itself",
    "cpus": "number of processors",
    "memory": "memory in MiB, rounded down",
    "addresses": "network addresses, but loopback and link-local ones, sorted, with blanks between; empty on macOS",
}

Facts = Mapping[str, str]
When = Mapping[str, Tuple[str, ...]]


def is_met(when: When, facts: Facts) -> bool:
    """Say whether every asked fact has one of the wanted values; a fact the machine lacks never matches."""
    return all(facts.get(name) in values for name, values in when.items())
