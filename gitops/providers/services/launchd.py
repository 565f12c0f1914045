"""launchd: daemons of the system domain by their labels, described by LABEL.plist in /Library/LaunchDaemons, asked by launchctl.

Stopped is unloaded, since launchd starts what it holds again; a job that waits for its time or a demand counts as stopped, one that it is
about to start as running. A restart unloads and loads, so that a changed description counts, also of what waits, which is not started by
that; a reload is SIGHUP. launchd loads nothing that is disabled: what is to run but not at boot is enabled for that moment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Mapping, Sequence

from gitops.errors import HostError
from gitops.model.codec import Json
from gitops.providers.host import Host
from gitops.providers.services.supervisor import INVERSE, OUTPUT_SHOWN, Supervisor, run_verb

PROGRAM = "/sbin/launchd"
FOLDERS = ("/Library/LaunchDaemons", "/System/Library/LaunchDaemons")
PLIST_BUDDY = "/usr/libexec/PlistBuddy"
FIELD = re.compile(r"\t([^\t=]+?) = (.+)\Z")  # what is indented more belongs to a part of the job
OVERRIDE = re.compile(r"\s*\"(.+)\" => (\w+)\s*\Z")
OFF = ("disabled", "true")  # as newer and older releases say it
ABOUT_TO_RUN = ("spawn scheduled", "spawning", "xpcproxy")
NOT_LOADED, GONE, LEAVING = 113, 3, 36
STILL_LEAVING = (5, 37)  # what bootstrap answers while the job before it is being torn down
LOOKS = 25  # a second each: launchd kills after 5 or 20, by its release
TRIES = 5


@dataclass(frozen=True)
class Job:
    """What launchd says of a job; empty for one that it does not hold. `path` may be words where no file described it."""

    state: str = ""
    path: str = ""
    ending: str = ""

    @property
    def is_loaded(self) -> bool:
        """Whether launchd holds it."""
        return bool(self.state)

    @property
    def is_running(self) -> bool:
        """Whether it runs, or will without anybody's doing."""
        return self.state == "running" or self.state in ABOUT_TO_RUN


class Launchd(Supervisor):
    """See the module."""

    name = "launchd"
    takes_any_name = True

    def is_here(self, host: Host) -> bool:
        """Say whether its program is there; no other system has it."""
        return host.inspect(PROGRAM).type == "file"

    def read_states(self, names: Sequence[str], host: Host) -> Mapping[str, Dict[str, Json]]:
        """Ask once for what is disabled, then of each job."""
        overrides = _read_overrides(host)
        return {name: _read_state(name, overrides, host) for name in names}

    def control(self, verb: str, name: str, host: Host) -> None:
        """Run launchctl."""
        if verb in ("enable", "disable"):
            host.note_undo(["launchctl", INVERSE[verb], _target(name)])
            run_verb(["launchctl", verb, _target(name)], host)
            return
        job = _read_job(name, host)
        if verb == "start":
            _start(name, job, host)
        elif verb == "stop":
            _unload(name, job, host)
        elif job.is_loaded and verb == "restart":
            _restart(name, job, host)
        elif job.is_running:
            hang_up = ["launchctl", "kill", "SIGHUP", _target(name)]
            host.note_undo(hang_up, is_refresh=True)
            run_verb(hang_up, host)

    def check_alive(self, name: str, host: Host, *, is_wanted: bool) -> None:
        """Raise when the job has ended within a second."""
        host.run(["sleep", "1"])
        job = _read_job(name, host)
        ending = f"last exit code: {job.ending or 'unknown'}"
        if job.state in ABOUT_TO_RUN:
            raise HostError(f"{name} was started and ended at once ({ending})", code="E132")
        if is_wanted and not job.is_running:
            why = "leave `state` out for what starts on demand or by the clock"
            raise HostError(f"{name} was started and is not running ({ending}); {why}", code="E132")


def _target(label: str) -> str:
    return f"system/{label}"


def _read_overrides(host: Host) -> Mapping[str, str]:
    done = host.run(["launchctl", "print-disabled", "system"])
    if done.status != 0:
        raise HostError(f"launchctl print-disabled ended with {done.status}: {done.output.strip()[-OUTPUT_SHOWN:]}", code="E130")
    return {match.group(1): match.group(2) for match in map(OVERRIDE.match, done.output.splitlines()) if match}


def _read_job(label: str, host: Host) -> Job:
    done = host.run(["launchctl", "print", _target(label)])
    if done.status == NOT_LOADED:
        return Job()
    if done.status != 0:
        raise HostError(f"launchctl print ended with {done.status}: {done.output.strip()[-OUTPUT_SHOWN:]}", code="E130")
    fields: Dict[str, str] = {}
    for match in filter(None, map(FIELD.match, done.output.splitlines())):
        fields.setdefault(match.group(1), match.group(2).strip())
    return Job(fields.get("state", "unknown"), fields.get("path", ""), fields.get("last exit code", ""))


def _read_state(label: str, overrides: Mapping[str, str], host: Host) -> Dict[str, Json]:
    job = _read_job(label, host)
    path = _find_file(label, job, host)
    exists = job.is_loaded or bool(path)
    return {"exists": exists, "running": job.is_running, "enabled": exists and not _is_disabled(label, path, overrides, host)}


def _find_file(label: str, job: Job, host: Host) -> str:
    """Give the file that describes a job: the one that it was loaded from, else the one of its name; empty when there is none."""
    paths = [job.path] if job.path.startswith("/") else []
    paths.extend(f"{folder}/{label}.plist" for folder in FOLDERS)
    return next((path for path in paths if host.inspect(path).type != "absent"), "")


def _is_disabled(label: str, path: str, overrides: Mapping[str, str], host: Host) -> bool:
    """Say whether launchd leaves it out at boot: what launchctl was told, else what its file says."""
    if label in overrides:
        return overrides[label] in OFF
    done = host.run([PLIST_BUDDY, "-c", "Print :Disabled", path]) if path else None
    return done is not None and done.status == 0 and done.output.strip() == "true"


def _start(label: str, job: Job, host: Host) -> None:
    if job.is_running:  # begun since, perhaps before its config was in place
        _restart(label, job, host)
        return
    if job.is_loaded:
        host.note_undo(["launchctl", "kill", "SIGTERM", _target(label)])
        run_verb(["launchctl", "kickstart", _target(label)], host)
        return
    path = _find_file(label, job, host)
    if not path:
        raise HostError(f"there is no {label}.plist in {' or '.join(FOLDERS)}", code="E138")
    _load(label, path, host, is_started=True)


def _restart(label: str, job: Job, host: Host) -> None:
    path = _find_file(label, job, host)
    if path:
        _unload(label, job, host, is_refresh=True)
        host.note_undo(["sleep", "2"], is_refresh=True)  # undone, it is unloaded, which takes a moment, and then loaded
        _load(label, path, host, is_started=job.is_running, is_refresh=True)
    elif job.is_running:
        again = ["launchctl", "kickstart", "-k", _target(label)]
        host.note_undo(again, is_refresh=True)
        run_verb(again, host)


def _unload(label: str, job: Job, host: Host, *, is_refresh: bool = False) -> None:
    """Unload a job and wait until launchd has let go of it."""
    _note_loading(label, _find_file(label, job, host), host, is_refresh=is_refresh)
    done = host.run(["launchctl", "bootout", _target(label)])
    if done.status not in (0, GONE, LEAVING):
        raise HostError(f"launchctl bootout ended with {done.status}: {done.output.strip()[-OUTPUT_SHOWN:]}", code="E131")
    for _ in range(LOOKS):
        if not _read_job(label, host).is_loaded:
            return
        host.run(["sleep", "1"])
    raise HostError(f"launchd did not let go of {label} in {LOOKS} s", code="E139")


def _note_loading(label: str, path: str, host: Host, *, is_refresh: bool) -> None:
    """Note how a job is loaded again: what is noted last is undone first."""
    if not path:
        host.note_undo((), f"no file describes {label}: whoever gave it to launchd must do that again")
        return
    is_disabled = _is_disabled(label, path, _read_overrides(host), host)
    if is_disabled:
        host.note_undo(["launchctl", "disable", _target(label)], is_refresh=is_refresh)
    host.note_undo(["launchctl", "bootstrap", "system", path], is_refresh=is_refresh)
    if is_disabled:
        host.note_undo(["launchctl", "enable", _target(label)], is_refresh=is_refresh)


def _load(label: str, path: str, host: Host, *, is_started: bool, is_refresh: bool = False) -> None:
    """Load a job, enabled for that moment when it is not, and start it."""
    is_disabled = _is_disabled(label, path, _read_overrides(host), host)
    if is_disabled:
        host.note_undo(["launchctl", "disable", _target(label)], is_refresh=is_refresh)
        run_verb(["launchctl", "enable", _target(label)], host)
    host.note_undo(["launchctl", "bootout", _target(label)], is_refresh=is_refresh)
    try:
        _bootstrap(path, host)
    finally:
        if is_disabled:
            run_verb(["launchctl", "disable", _target(label)], host)
    if is_started and not _read_job(label, host).is_running:
        run_verb(["launchctl", "kickstart", _target(label)], host)


def _bootstrap(path: str, host: Host) -> None:
    """Load from a file; what is still being torn down from before is tried again."""
    argv = ["launchctl", "bootstrap", "system", path]
    done = host.run(argv)
    for _ in range(TRIES):
        if done.status not in STILL_LEAVING:
            break
        host.run(["sleep", "1"])
        done = host.run(argv)
    if done.status != 0:
        raise HostError(f"{' '.join(argv)} ended with {done.status}: {done.output.strip()[-OUTPUT_SHOWN:]}", code="E131")
