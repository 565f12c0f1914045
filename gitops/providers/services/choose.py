"""Which init system runs a machine."""

from __future__ import annotations

from typing import Optional, Sequence

from gitops.providers.host import Host
from gitops.providers.services.launchd import Launchd
from gitops.providers.services.openrc import OpenRc
from gitops.providers.services.runit import Runit
from gitops.providers.services.supervisor import Supervisor
from gitops.providers.services.systemd import Systemd
from gitops.providers.services.sysvinit import SysVInit

SUPERVISORS: Sequence[Supervisor] = (Systemd(), OpenRc(), Runit(), SysVInit(), Launchd())
NONE_HERE = "no systemd, OpenRC, runit, sysvinit or launchd runs this machine"


def find_supervisor(host: Host) -> Optional[Supervisor]:
    """Give the supervisor of this machine, or None."""
    return next((supervisor for supervisor in SUPERVISORS if supervisor.is_here(host)), None)
