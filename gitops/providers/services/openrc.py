"""OpenRC: scripts in /etc/init.d, enabled in a runlevel, asked by rc-service.

What OpenRC does not count as started is stopped; what it does is asked for its status, since a daemon may have died since.
"""

from __future__ import annotations

from typing import Dict, Mapping, Sequence, Tuple

from gitops.model.codec import Json
from gitops.providers.host import Host
from gitops.providers.services.supervisor import INVERSE, REFRESHES, Supervisor, plain, run_verb

BOOTED, STARTED = "/run/openrc/softlevel", "/run/openrc/started"
SCRIPTS, RUNLEVELS, DEFAULT = "/etc/init.d", "/etc/runlevels", "default"


class OpenRc(Supervisor):
    """See the module."""

    name = "openrc"
    starts_unseen = True

    def is_here(self, host: Host) -> bool:
        """Say whether it has reached a runlevel."""
        return host.inspect(BOOTED).type == "file"

    def read_states(self, names: Sequence[str], host: Host) -> Mapping[str, Dict[str, Json]]:
        """Read its links; ask only about what is started."""
        return {name: _read_state(plain(name), host) for name in names}

    def control(self, verb: str, name: str, host: Host) -> None:
        """Run rc-service, or rc-update: into the default runlevel, out of all that have it."""
        service = plain(name)
        if verb == "enable":
            _move(service, ("add", "del"), [DEFAULT], host)
        elif verb == "disable":
            _move(service, ("del", "add"), _list_levels(service, host), host)
        elif verb not in ("restart", "reload") or _read_state(service, host)["running"]:
            host.note_undo(["rc-service", service, INVERSE.get(verb, verb)], is_refresh=verb in REFRESHES)
            run_verb(["rc-service", service, "restart" if verb == "start" else verb], host)


def _move(service: str, verbs: Tuple[str, str], levels: Sequence[str], host: Host) -> None:
    host.note_undo(["rc-update", verbs[1], service, *levels])
    run_verb(["rc-update", verbs[0], service, *levels], host)


def _list_levels(service: str, host: Host) -> Sequence[str]:
    levels = host.list_names(RUNLEVELS) if host.inspect(RUNLEVELS).type == "directory" else ()
    return [level for level in levels if host.inspect(f"{RUNLEVELS}/{level}/{service}").type != "absent"]


def _read_state(service: str, host: Host) -> Dict[str, Json]:
    is_started = host.inspect(f"{STARTED}/{service}").type != "absent"
    return {
        "exists": host.inspect(f"{SCRIPTS}/{service}").type != "absent",
        "running": is_started and host.run(["rc-service", service, "status"]).status == 0,
        "enabled": bool(_list_levels(service, host)),
    }
