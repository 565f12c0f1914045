"""sysvinit: scripts in /etc/init.d, enabled by links of a runlevel (Debian's update-rc.d), asked for their LSB status."""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, Sequence

from gitops.model.codec import Json
from gitops.providers.host import Host
from gitops.providers.services.supervisor import INVERSE, REFRESHES, Supervisor, plain, run_verb

FIRST_PROCESS = "/proc/1/comm"
SCRIPTS = "/etc/init.d"
RUNLEVELS = ("/etc/rc2.d", "/etc/rc3.d", "/etc/rc4.d", "/etc/rc5.d")
START_LINK = re.compile(r"S[0-9]{2}(.+)\Z")


class SysVInit(Supervisor):
    """See the module."""

    name = "sysvinit"
    starts_unseen = True

    def is_here(self, host: Host) -> bool:
        """Say whether process 1 is `init` and has scripts (OpenRC, asked before, may be started by the same `init`)."""
        return host.read_text(FIRST_PROCESS).strip() == "init" and host.inspect(SCRIPTS).type == "directory"

    def read_states(self, names: Sequence[str], host: Host) -> Mapping[str, Dict[str, Json]]:
        """Read the links once; ask each script for its status."""
        enabled = _list_enabled(host)
        return {name: _read_state(plain(name), enabled, host) for name in names}

    def control(self, verb: str, name: str, host: Host) -> None:
        """Run the script through service(8), or update-rc.d."""
        service = plain(name)
        if verb in ("restart", "reload") and not self._is_running(service, host):
            return
        host.note_undo(_argv(INVERSE.get(verb, verb), service), is_refresh=verb in REFRESHES)
        if verb == "enable":  # makes the links when there are none; `enable` alone only turns them round
            run_verb(["update-rc.d", service, "defaults"], host)
        run_verb(_argv("restart" if verb == "start" else verb, service), host)

    def _is_running(self, service: str, host: Host) -> bool:
        return host.run(["service", service, "status"]).status == 0


def _argv(verb: str, service: str) -> List[str]:
    if verb in ("enable", "disable"):
        return ["update-rc.d", service, verb]
    return ["service", service, verb]


def _list_enabled(host: Host) -> Sequence[str]:
    folders = [folder for folder in RUNLEVELS if host.inspect(folder).type == "directory"]
    links = [START_LINK.match(link) for folder in folders for link in host.list_names(folder)]
    return [match.group(1) for match in links if match]


def _read_state(service: str, enabled: Sequence[str], host: Host) -> Dict[str, Json]:
    exists = host.inspect(f"{SCRIPTS}/{service}").type != "absent"
    return {
        "exists": exists,
        "running": exists and host.run(["service", service, "status"]).status == 0,
        "enabled": service in enabled,
    }
