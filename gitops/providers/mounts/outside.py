"""Programs that must act on the machine as its first process sees it: what a service with a view of its own mounts, only it would see.

systemd gives services such views (ProtectSystem, PrivateTmp and their like), the agent's too. There the program is run by systemd.
"""

from __future__ import annotations

from typing import Sequence

from gitops.errors import HostError
from gitops.providers.host import Host
from gitops.providers.services.systemd import BOOTED

OWN, FIRST = "/proc/self/ns/mnt", "/proc/1/ns/mnt"
RUN = ("systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--")


def as_machine(argv: Sequence[str], host: Host) -> Sequence[str]:
    """Give the command that does it for the whole machine; raise HostError where there is no way out of our own view."""
    own, first = host.inspect(OWN), host.inspect(FIRST)
    if own.target == first.target or first.type != "symlink":
        return list(argv)
    if host.inspect(BOOTED).type != "directory":
        raise HostError("this process sees mounts of its own, and no systemd is there to make them for the machine", code="E315")
    return [*RUN, *argv]
