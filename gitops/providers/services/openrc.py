"""OpenRC: scripts in /etc/init.d, enabled in a runlevel, asked by rc-service.

What OpenRC does not count as started is stopped; what it does is asked for its status, since a daemon may have died since.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence

from gitops.model.codec import Json
from gitops.providers.host import Host
from gitops.providers.services.supervisor import INVERSE, Supervisor, plain, run_verb

BOOTED, STARTED = "/run/openrc/softlevel", "/run/openrc/started"
SCRIPTS, RUNLEVELS, DEFAULT = "/etc/init.d", "/etc/runlevels", "default"


class OpenRc(Supervisor):
    """See the module."""

    name = "openrc"

    def is_here(self, host: Host) -> bool:
        """Say whether it has reached a runlevel."""
        return host.inspect(BOOTED).type == "file"

    def read_states(self, names: Sequence[str], host: Host) -> Mapping[str, Dict[str, Json]]:
        """Read its links; ask only about what is started."""
        return {name: _read_state(plain(name), host) for name in names}

    def control(self, verb: str, name: str, host: Host) -> None:
        """Run rc-service, or rc-update on the default runlevel."""
        service = plain(name)
        if verb in ("restart", "reload") and not _read_state(service, host)["running"]:
            return
        host.note_undo(_argv(INVERSE.get(verb, verb), service))
        run_verb(_argv("restart" if verb == "start" else verb, service), host)


def _argv(verb: str, service: str) -> List[str]:
    if verb == "enable":
        return ["rc-update", "add", service, DEFAULT]
    if verb == "disable":
        return ["rc-update", "--all", "del", service]
    return ["rc-service", service, verb]


def _read_state(service: str, host: Host) -> Dict[str, Json]:
    levels = host.list_names(RUNLEVELS) if host.inspect(RUNLEVELS).type == "directory" else ()
    is_started = host.inspect(f"{STARTED}/{service}").type != "absent"
    return {
        "exists": host.inspect(f"{SCRIPTS}/{service}").type != "absent",
        "running": is_started and host.run(["rc-service", service, "status"]).status == 0,
        "enabled": any(host.inspect(f"{RUNLEVELS}/{level}/{service}").type != "absent" for level in levels),
    }
