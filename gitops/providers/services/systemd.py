"""systemd: one query for all units; unit files are read again before a batch of verbs when one of them changed, and after it is undone.

What could not be started says how it ended and shows the last lines of its own journal, of this start alone: bounded, and redacted by the
host as all output is.
"""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, Sequence

from gitops.errors import HostError
from gitops.model.codec import Json
from gitops.providers.host import Host
from gitops.providers.services.supervisor import INVERSE, OUTPUT_SHOWN, REFRESHES, Supervisor

BOOTED = "/run/systemd/system"
CONFIGURED = "/etc/systemd/system"
# systemd.unit(5), "Unit File Load Path", with Debian's older place.
FOLDERS = (CONFIGURED, "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
NOTHING = "/dev/null"
PROPERTIES = ("Id", "LoadState", "ActiveState", "SubState", "UnitFileState", "Type", "RemainAfterExit", "MainPID")
RELOAD = ("systemctl", "daemon-reload")
SHOW = ("systemctl", "show", "--no-pager", *(f"--property={name}" for name in PROPERTIES))
RUNNING = ("active", "reloading", "activating")
ENABLED = ("enabled", "alias")
NO_CHOICE = ("static", "indirect", "transient")
# A process between fork and its program: what systemd names it, and its helper (from 255 on).
BECOMING = ("(", "systemd-executo")
LOOKS, PAUSE_SECONDS = 30, "0.1"
SYNC = ("journalctl", "--sync")
JOURNAL = ("journalctl", "--no-pager", "-q", "-n", "10", "-o", "cat")
JOURNAL_SHOWN = 1000
JOURNAL_SECONDS = 20
ENDING = ("Result", "ExecMainStatus", "InvocationID")
INVOCATION = re.compile(r"[0-9a-f]{32}\Z")
UNIT_TYPES = ("service", "socket", "timer", "path", "mount", "automount", "swap", "target", "slice", "scope", "device")
ONESHOT = "it is a oneshot service that does not remain after its work, so it is never found running; leave `state` out"
# `restart` and not `start`: a package may have started it since, before its config was in place.
VERBS: Mapping[str, str] = {"start": "restart", "restart": "try-restart", "reload": "try-reload-or-restart"}


class Systemd(Supervisor):
    """See the module."""

    name = "systemd"
    takes_any_name = True

    def is_here(self, host: Host) -> bool:
        """As sd_booted(3) does it."""
        return host.inspect(BOOTED).type == "directory"

    def read_states(self, names: Sequence[str], host: Host) -> Mapping[str, Dict[str, Json]]:
        """Ask systemctl once; what an init script brought is asked again, since only its own tool knows. Within a run that wrote unit
        files systemd reads them first, else it would tell of those before.
        """
        if names and host.has_written_below(FOLDERS):
            _read_files_again(host)
        shown = dict(zip(names, show_units([unit_of(name) for name in names], host)))
        states: Dict[str, Dict[str, Json]] = {}
        for name in names:
            states[name] = make_state(shown[name], unit_of(name))
            linked = _find_link(unit_of(name), host) if states[name]["exists"] else ""
            if linked:
                states[name]["linked"] = linked
            if shown[name].get("UnitFileState") == "generated":
                states[name]["enabled"] = host.run(["systemctl", "is-enabled", "--", unit_of(name)]).status == 0
        return states

    def control(self, verb: str, name: str, host: Host) -> None:
        """Run systemctl; what failed tells its journal."""
        unit, word = unit_of(name), VERBS.get(verb, verb)
        host.note_undo(["systemctl", INVERSE.get(verb, word), "--", unit], is_refresh=verb in REFRESHES)
        if word == "restart":
            host.run(["systemctl", "reset-failed", "--", unit])  # else a start limit that was reached would hold
        done = host.run(["systemctl", word, "--", unit])
        if done.status != 0:
            lines = f"{done.output.strip()[-OUTPUT_SHOWN:]}{describe_end(unit, host)}"
            raise HostError(f"systemctl {word}: {lines}", code="E131")

    def prepare(self, names: Sequence[str], host: Host) -> None:
        """Let systemd read its files again when this run wrote any, when one of these changed since, or is not known yet. It does not
        notice by itself all that makes a unit another (252: what lies in folders that are new).
        """
        if host.has_written_below(FOLDERS):
            _read_files_again(host)
            return
        units = [unit_of(name) for name in names]
        try:
            shown = show_units(units, host, ("NeedDaemonReload", "DropInPaths"))
            is_stale = any(
                unit.get("NeedDaemonReload") == "yes"
                or unit.get("LoadState") == "not-found"
                or _has_other_parts(name, unit, host)
                for name, unit in zip(units, shown)
            )
        except HostError:
            is_stale = True
        if is_stale:
            _read_files_again(host)

    def finish(self, host: Host) -> None:
        """Note the newest entry, so the first to be undone: unit files may be back by then."""
        host.note_undo(list(RELOAD), is_refresh=True)

    def check_alive(self, name: str, host: Host, *, is_wanted: bool) -> None:
        """Raise when the unit has failed by now although systemctl was content (a service of type `simple` that ends at once)."""
        unit = unit_of(name)
        shown = _show_settled(unit, host)
        if shown.get("ActiveState") == "failed" or shown.get("SubState") == "auto-restart":
            raise HostError(f"{unit} was started and failed at once{describe_end(unit, host)}", code="E132")
        if is_wanted and make_state(shown).get("oneshot"):
            raise HostError(f"{unit} did its work: {ONESHOT}", code="E133")


def unit_of(name: str) -> str:
    """Give the unit's full name: `php8.2-fpm` is a service, `backup.timer` is what it says."""
    return name if name.rpartition(".")[2] in UNIT_TYPES and "." in name else f"{name}.service"


def make_state(shown: Mapping[str, str], unit: str = "") -> Dict[str, Json]:
    """Give the state of one unit from systemd's properties; a service that waits to be started again after it failed is not running.
    What is asked for by another name than its own has that as `alias_of`.
    """
    load, file_state = shown.get("LoadState", "not-found"), shown.get("UnitFileState", "")
    state: Dict[str, Json] = {
        "exists": load != "not-found",
        "running": shown.get("ActiveState") in RUNNING and shown.get("SubState") != "auto-restart",
        "enabled": file_state in ENABLED,
    }
    if load == "masked":
        state["masked"] = True
    if unit and shown.get("Id", unit) != unit and load not in ("not-found", "masked"):
        state["alias_of"] = shown["Id"]
    if file_state in NO_CHOICE:
        state["fixed"] = file_state
    if shown.get("Type") == "oneshot" and shown.get("RemainAfterExit") == "no":
        state["oneshot"] = True
    return state


def read_files_again(host: Host) -> None:
    """Let systemd read its files; what this run wrote so far is known to it then."""
    if host.run(list(RELOAD)).status == 0:
        host.mark_written()


def is_mask(path: str, target: str) -> bool:
    """Say whether a link hides a unit from systemd: to /dev/null, where unit files are looked for."""
    return target == NOTHING and path.rpartition("/")[0] in FOLDERS


def show_units(units: Sequence[str], host: Host, more: Sequence[str] = ()) -> Sequence[Mapping[str, str]]:
    """Ask for PROPERTIES, and `more`, of units in one go; raise HostError when systemd does not answer for each."""
    if not units:
        return ()
    done = host.run([*SHOW, *(f"--property={name}" for name in more), "--", *units])
    blocks = [_read_block(block) for block in done.output.strip().split("\n\n")]
    if done.status != 0 or len(blocks) != len(units):
        raise HostError(f"systemctl show ended with {done.status}: {done.output.strip()[-OUTPUT_SHOWN:]}", code="E130")
    return blocks


def _read_files_again(host: Host) -> None:
    host.note_undo(list(RELOAD), is_refresh=True)  # for unit files that are new, and gone again by then
    read_files_again(host)


def _find_link(unit: str, host: Host) -> str:
    """Give where `systemctl link` found a unit's file; nothing when it lies where such files belong."""
    target = host.inspect(f"{CONFIGURED}/{unit}").target
    is_elsewhere = target.startswith("/") and target != NOTHING and target.rpartition("/")[0] not in FOLDERS
    return target if is_elsewhere else ""


def _has_other_parts(unit: str, shown: Mapping[str, str], host: Host) -> bool:
    """Say whether a unit's drop-ins are others than systemd knows: it does not notice one in a folder that is new itself."""
    folder = f"{CONFIGURED}/{unit}.d"
    names = host.list_names(folder) if host.inspect(folder).type == "directory" else ()
    there = {f"{folder}/{name}" for name in names if name.endswith(".conf")}
    return there != {path for path in shown.get("DropInPaths", "").split() if path.startswith(f"{folder}/")}


def _show_settled(unit: str, host: Host) -> Mapping[str, str]:
    """Show a unit once its process has become its program: later systemd says "started" before that, even when there is no program."""
    shown = show_units([unit], host)[0]
    for _ in range(LOOKS):
        if not _is_becoming(shown, host):
            break
        host.run(["sleep", PAUSE_SECONDS])
        shown = show_units([unit], host)[0]
    return shown


def _is_becoming(shown: Mapping[str, str], host: Host) -> bool:
    number = shown.get("MainPID", "0")
    if shown.get("Type") != "simple" or shown.get("ActiveState") != "active" or number == "0":
        return False
    done = host.run(["cat", f"/proc/{number}/comm"])  # it may belong to anybody, so a program reads it
    return done.status != 0 or done.output.startswith(BECOMING)


def _read_block(block: str) -> Dict[str, str]:
    pairs: List[List[str]] = [line.split("=", 1) for line in block.splitlines() if "=" in line]
    return {pair[0]: pair[1] for pair in pairs}


def describe_end(unit: str, host: Host) -> str:
    """Give how a unit ended, and the last lines that its latest start left in the journal; they begin on a line of their own."""
    try:
        shown = show_units([unit], host, ENDING)[0]
        host.run(list(SYNC), timeout=JOURNAL_SECONDS)  # what it said last may still be on its way
        lines = host.run([*JOURNAL, *_matches(unit, shown)], timeout=JOURNAL_SECONDS).output.strip()
    except HostError:
        return ""
    result, status = shown.get("Result", "success"), shown.get("ExecMainStatus", "0")
    ending = "" if result == "success" else f"\n{unit}: {result}" + ("" if status == "0" else f", status {status}")
    if len(lines) > JOURNAL_SHOWN:
        lines = lines[-JOURNAL_SHOWN:].partition("\n")[2] or lines[-JOURNAL_SHOWN:]
    return f"{ending}\n{lines}" if lines else ending


def _matches(unit: str, shown: Mapping[str, str]) -> Sequence[str]:
    """Give what journalctl looks for: all that the latest start said, and what systemd said of it."""
    invocation = shown.get("InvocationID", "")
    if not INVOCATION.match(invocation):
        return ("-u", unit)
    return (f"_SYSTEMD_INVOCATION_ID={invocation}", "+", f"INVOCATION_ID={invocation}")
