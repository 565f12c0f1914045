"""Facts of what a machine is made of: processors, memory, addresses, what it runs on. Small files of the kernel; no process is run."""

from __future__ import annotations

import os
from typing import Callable, Dict, List, Set

Read = Callable[[str], str]
KIB_A_MIB = 1024
LOCAL_ONLY = ("127.", "169.254.")
IF_INET6_FIELDS, GLOBAL, TEMPORARY = 6, "00", 1  # address, index, prefix, scope, flags, interface
VENDORS = {
    "qemu": "kvm",
    "kvm": "kvm",
    "vmware": "vmware",
    "innotek": "virtualbox",
    "virtualbox": "virtualbox",
    "microsoft corporation virtual machine": "hyperv",
    "xen": "xen",
    "amazon ec2": "kvm",
    "google compute engine": "kvm",
}
PACKAGE_MANAGERS = (
    ("apt", "apt-get"),
    ("dnf", "dnf"),
    ("yum", "yum"),
    ("zypper", "zypper"),
    ("pacman", "pacman"),
    ("apk", "apk"),
)
FOLDERS = ("/usr/bin", "/sbin", "/usr/sbin", "/bin")


def read_hardware(root: str, read: Read) -> Dict[str, str]:
    """Give the facts that say what the machine is made of; empty where the kernel does not tell."""
    return {
        "kernel.version": os.uname().release,
        "cpus": str(os.cpu_count() or ""),
        "memory": _find_memory(read("/proc/meminfo")),
        "virtualisation": _find_virtualisation(root, read),
        "package_manager": _find_package_manager(root),
        "addresses": " ".join(_find_addresses(read)),
    }


def _find_memory(text: str) -> str:
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "MemTotal:" and words[1].isdigit():
            return str(int(words[1]) // KIB_A_MIB)
    return ""


def _find_virtualisation(root: str, read: Read) -> str:
    """A container says so in /run or by a file of its engine; a machine by the vendor in its firmware, or by its processor."""
    container = read("/run/systemd/container").strip()
    if container:
        return container if container.isascii() and container.replace("-", "").isalnum() else "other"
    for path, name in (("/.dockerenv", "docker"), ("/run/.containerenv", "podman")):
        if os.path.exists(root + path):
            return name
    vendor = " ".join(read(f"/sys/class/dmi/id/{name}").strip().lower() for name in ("sys_vendor", "product_name"))
    for word, name in VENDORS.items():
        if word in vendor:
            return name
    return "other" if " hypervisor" in read("/proc/cpuinfo") else "none"


def _find_package_manager(root: str) -> str:
    for name, program in PACKAGE_MANAGERS:
        if any(os.path.exists(f"{root}{folder}/{program}") for folder in FOLDERS):
            return name
    return ""


def _find_addresses(read: Read) -> List[str]:
    """List IPv4 addresses of the kernel's routing trie, then IPv6 ones of its interfaces, temporary ones left out."""
    found: Set[str] = set()
    last = ""
    for line in read("/proc/net/fib_trie").splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "|--":
            last = words[1]
        elif words[1:] == ["host", "LOCAL"] and last.replace(".", "").isdigit() and not last.startswith(LOCAL_ONLY):
            found.add(last)
    longer: Set[str] = set()
    for line in read("/proc/net/if_inet6").splitlines():
        words = line.split()
        if len(words) == IF_INET6_FIELDS and words[3] == GLOBAL and not int(words[4], 16) & TEMPORARY:
            longer.add(words[0])
    return [*sorted(found, key=lambda text: [int(part) for part in text.split(".")]), *map(_shorten, sorted(longer))]


def _shorten(digits: str) -> str:
    """Give 32 hex digits as RFC 5952 writes an address: no leading zeros, the first longest run of zero groups as `::`."""
    groups = [digits[start : start + 4].lstrip("0") or "0" for start in range(0, len(digits), 4)]
    runs = [(len(groups[start:]) - len(_after_zeros(groups[start:])), start) for start in range(len(groups))]
    length, start = max(runs, key=lambda run: (run[0], -run[1]))
    if length < 2:  # noqa: PLR2004  a single zero group stands as it is
        return ":".join(groups)
    return ":".join(groups[:start]) + "::" + ":".join(groups[start + length :])


def _after_zeros(groups: List[str]) -> List[str]:
    while groups and groups[0] == "0":
        groups = groups[1:]
    return groups
