"""Which package manager a machine has: what its distribution uses, else the first whose program is there.

Some distributions carry another's tools, so what os-release says goes first.
"""

from __future__ import annotations

from typing import List, Mapping, Optional, Sequence, Tuple

from gitops.providers.host import Host
from gitops.providers.packages.apk import Apk
from gitops.providers.packages.apt import Apt
from gitops.providers.packages.brew import PREFIXES, Brew
from gitops.providers.packages.dnf import Dnf
from gitops.providers.packages.packager import Packager
from gitops.providers.packages.pacman import Pacman
from gitops.providers.packages.zypper import Zypper

MANAGERS: Mapping[str, Packager] = {
    "apt": Apt(),
    "dnf": Dnf(),
    "pacman": Pacman(),
    "zypper": Zypper(),
    "apk": Apk(),
    "brew": Brew(),
}
NONE_HERE = "there is no apt, dnf, pacman, zypper, apk or brew on this machine"
RELEASES = ("/etc/os-release", "/usr/lib/os-release")
PROGRAMS: Sequence[Tuple[str, str]] = (
    ("apt", "/usr/bin/apt-get"),
    ("dnf", "/usr/bin/dnf"),
    ("pacman", "/usr/bin/pacman"),
    ("zypper", "/usr/bin/zypper"),
    ("apk", "/sbin/apk"),
    *(("brew", program) for program in PREFIXES),
)
FAMILIES: Mapping[str, str] = {
    "debian": "apt",
    "ubuntu": "apt",
    "fedora": "dnf",
    "rhel": "dnf",
    "centos": "dnf",
    "arch": "pacman",
    "opensuse": "zypper",
    "opensuse-leap": "zypper",
    "opensuse-tumbleweed": "zypper",
    "suse": "zypper",
    "sles": "zypper",
    "alpine": "apk",
}


def find_manager(host: Host) -> Optional[Packager]:
    """Give the machine's package manager, or None."""
    here = [name for name, program in PROGRAMS if host.inspect(program).type != "absent"]
    preferred = [name for name in _list_preferred(host) if name in here]
    found = (preferred or here)[:1]
    return MANAGERS[found[0]] if found else None


def _list_preferred(host: Host) -> List[str]:
    # The first is most often a link to the second, and links are not followed here.
    text = next((host.read_text(path) for path in RELEASES if host.inspect(path).type == "file"), "")
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    words = [word for key in ("ID", "ID_LIKE") for word in values.get(key, "").strip().strip("\"'").split()]
    return [FAMILIES[word] for word in words if word in FAMILIES]
