"""runit: folders in /etc/sv, enabled by a link in the folder that runsvdir watches, asked by sv.

Only what is enabled is supervised, so only that can run: `state: running` needs `enabled: true`. Enabling lets runsvdir start it.
"""

from __future__ import annotations

from typing import Dict, Mapping, Sequence

from gitops.errors import HostError
from gitops.model.codec import Json
from gitops.providers.host import Host
from gitops.providers.services.supervisor import Supervisor, plain, run_verb

FIRST_PROCESS = "/proc/1/comm"
FOLDERS = "/etc/sv"
WATCHED = ("/etc/service", "/var/service")
LOOK_SECONDS = 8  # runsvdir looks every five


class Runit(Supervisor):
    """See the module."""

    name = "runit"

    def is_here(self, host: Host) -> bool:
        """Say whether process 1 is runit."""
        return host.read_text(FIRST_PROCESS).strip() == "runit"

    def read_states(self, names: Sequence[str], host: Host) -> Mapping[str, Dict[str, Json]]:
        """Read the links; ask sv about what is supervised."""
        return {name: _read_state(plain(name), host) for name in names}

    def control(self, verb: str, name: str, host: Host) -> None:
        """Run sv, or make or remove the link."""
        service = plain(name)
        if verb == "enable":
            _enable(service, host)
        elif verb == "disable":
            link = f"{_watched(host)}/{service}"
            host.note_undo(["ln", "-s", "--", f"{FOLDERS}/{service}", link])
            run_verb(["rm", "-f", "--", link], host)
        elif verb == "stop":
            host.note_undo(["sv", "start", service])
            run_verb(["sv", "stop", service], host)
        elif verb == "start":
            host.note_undo(["sv", "stop", service])
            if _read_state(service, host)["running"]:  # begun since, perhaps before its config was in place
                host.run(["sleep", "1"])  # what ends in its first second is not started again at once
                run_verb(["sv", "restart", service], host)
            else:
                run_verb(["sv", "start", service], host)
        elif _read_state(service, host)["running"]:
            host.note_undo(["sv", verb, service], is_refresh=True)
            run_verb(["sv", verb, service], host)


def _watched(host: Host) -> str:
    return next((folder for folder in WATCHED if host.inspect(folder).type != "absent"), WATCHED[0])


def _enable(service: str, host: Host) -> None:
    link = f"{_watched(host)}/{service}"
    host.note_undo(["rm", "-f", "--", link])
    run_verb(["ln", "-s", "--", f"{FOLDERS}/{service}", link], host)
    for _ in range(LOOK_SECONDS):
        if host.run(["sv", "status", service]).status == 0:
            return
        host.run(["sleep", "1"])
    raise HostError(f"runsvdir did not begin to supervise {service} in {LOOK_SECONDS} s", code="E137")


def _read_state(service: str, host: Host) -> Dict[str, Json]:
    is_enabled = host.inspect(f"{_watched(host)}/{service}").type != "absent"
    state: Dict[str, Json] = {
        "exists": host.inspect(f"{FOLDERS}/{service}").type == "directory",
        "running": is_enabled and host.run(["sv", "status", service]).output.startswith("run:"),
        "enabled": is_enabled,
    }
    state["supervised"] = True
    return state
