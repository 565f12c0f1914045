"""rpm: what dnf and zypper share. Names and versions as rpm has them, and one query of its database."""

from __future__ import annotations

import re
from typing import Dict, Mapping, Sequence

from gitops.errors import HostError
from gitops.providers.host import Finished, Host
from gitops.providers.packages.packager import show_end

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*\Z")
VERSION = re.compile(r"([0-9]+:)?[A-Za-z0-9._+~^]+-[A-Za-z0-9._+~^]+\Z")
QUERY = ("rpm", "-q", "--queryformat", "%{NAME}\\t%{EVR}\\n", "--")
NOT_INSTALLED = re.compile(r"package \S+ is not installed\Z")


def find_rpm_mistake(name: str, version: str) -> str:
    """Letters, digits and some signs; a version with its release."""
    if not NAME.match(name):
        return f"`{name[:80]}` is not a package's name (letters, digits, `.`, `_`, `+`, `-`)"
    if version and not VERSION.match(version):
        return f"`{version[:80]}` is not a package's version; it must be whole, such as 1.2-3 or 1:1.2-3"
    return ""


def read_rpms(names: Sequence[str], host: Host) -> Mapping[str, str]:
    """Give the versions of those that are installed, with one query; of several of a package the last installed one counts."""
    done = host.run([*QUERY, *names]) if names else Finished(0, "")
    found: Dict[str, str] = {}
    for line in done.output.splitlines():
        name, tab, version = line.partition("\t")
        if tab:
            found[name] = version
        elif not NOT_INSTALLED.match(line):
            raise HostError(show_end(done, "rpm -q"), code="E136")
    return found
