"""The machine's own state: runs, ledger, lock; a folder of mode 0700, one part for each `--root`.

`runs/<run>/` holds meta.json, journal.jsonl, images/, report.json; `ledger.json` what was last applied, by address. Files are replaced
whole and flushed. A run with no report whose lock is free was interrupted: its temporary files are removed and it is marked so.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, cast

from gitops.errors import HeldError, HostError, MalformedError, UsageError
from gitops.executor.journal import MEMORY_FOLDER, read_journal
from gitops.model.address import Address
from gitops.model.codec import Json, decode_json, digest_bytes, encode_canonical
from gitops.model.resource import Resource

KEPT_RUNS = 50
LOCK_POLL = 0.1
TEMP_PREFIX = ".gitops-"
_RUN = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}\Z")


class StateFolder:
    """One machine's state, or one root's."""

    def __init__(self, base: str, root: str) -> None:
        self.base = os.path.join(base, "roots", digest_bytes(os.path.realpath(root).encode())[:16]) if root else base
        try:
            os.makedirs(os.path.join(self.base, "runs"), mode=0o700, exist_ok=True)
        except OSError as error:
            raise HostError(
                f"cannot make the state folder {self.base}: {error.strerror}", code="E240", hint="use --state DIR"
            ) from error

    def run_folder(self, run: str) -> str:
        """Give a run's folder."""
        return os.path.join(self.base, "runs", run)

    def list_runs(self) -> Tuple[str, ...]:
        """List run ids, oldest first."""
        return tuple(sorted(name for name in os.listdir(os.path.join(self.base, "runs")) if _RUN.match(name)))

    def begin_run(self, run: str, meta: Mapping[str, Json]) -> str:
        """Make a run's folder with its meta.json and give it."""
        folder = self.run_folder(run)
        os.makedirs(folder, mode=0o700)
        write_durably(os.path.join(folder, "meta.json"), encode_canonical(dict(meta)))
        return folder

    def read_meta(self, run: str) -> Dict[str, Json]:
        """Give a run's meta.json; raise HostError when there is no such run."""
        return _read_object(os.path.join(self.run_folder(run), "meta.json"), f"there is no run {run[:60]}")

    def read_report(self, run: str) -> Optional[Dict[str, Json]]:
        """Give a run's report, or None when it has none yet."""
        path = os.path.join(self.run_folder(run), "report.json")
        return _read_object(path, "") if os.path.exists(path) else None

    def write_report(self, run: str, report: Mapping[str, Json]) -> None:
        """Write a run's report and drop the oldest runs beyond those kept."""
        write_durably(os.path.join(self.run_folder(run), "report.json"), encode_canonical(dict(report)))
        for old in self.list_runs()[:-KEPT_RUNS]:
            shutil.rmtree(self.run_folder(old), ignore_errors=True)

    def read_ledger(self) -> Dict[Address, Resource]:
        """Give what was last applied, by address."""
        path = os.path.join(self.base, "ledger.json")
        if not os.path.exists(path):
            return {}
        table = _read_object(path, "")
        found = [Resource.from_json(item) for item in table.values()]
        return {resource.address: resource for resource in found}

    def write_ledger(self, ledger: Mapping[Address, Resource]) -> None:
        """Replace the ledger."""
        table: Dict[str, Json] = {str(address): resource.to_json() for address, resource in ledger.items()}
        write_durably(os.path.join(self.base, "ledger.json"), encode_canonical(table))

    def keep_ledger(self, run: str) -> None:
        """Keep the ledger as it is beside a run's journal, so that undoing the run brings it back."""
        path = os.path.join(self.base, "ledger.json")
        if os.path.exists(path):
            shutil.copyfile(path, os.path.join(self.run_folder(run), "ledger-before.json"))

    def restore_ledger(self, run: str) -> None:
        """Bring back the ledger that a run found."""
        path = os.path.join(self.run_folder(run), "ledger-before.json")
        if os.path.exists(path):
            with open(path, "rb") as stream:
                write_durably(os.path.join(self.base, "ledger.json"), stream.read())
        else:
            self.write_ledger({})

    def list_interrupted(self) -> Sequence[str]:
        """List runs without a report (call it under the lock)."""
        return [run for run in self.list_runs() if not os.path.exists(os.path.join(self.run_folder(run), "report.json"))]


class Lock:
    """One run at a time: an advisory lock whose file names its holder."""

    def __init__(self, base: str, run: str, timeout: int) -> None:
        self._descriptor = os.open(os.path.join(base, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + timeout
        while not self._try():
            if time.monotonic() >= deadline:
                holder = os.pread(self._descriptor, 200, 0).decode("utf-8", "replace").strip()
                os.close(self._descriptor)
                raise HeldError(
                    f"another run is going on here ({holder})", code="H110", hint="wait for it, or raise --lock-timeout"
                )
            time.sleep(LOCK_POLL)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"pid {os.getpid()}, run {run}\n".encode(), 0)

    def release(self) -> None:
        """Let the next run go."""
        os.close(self._descriptor)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def clean_interrupted(folder: str, run: str, root: str) -> List[str]:
    """Remove the temporary files that an interrupted run left beside the paths of its journal; give what was removed."""
    removed: List[str] = []
    parents = sorted({entry.path.rpartition("/")[0] for entry in read_journal(folder) if entry.path})
    for parent in parents:
        real = f"{root}{parent}" or "/"
        if not os.path.isdir(real):
            continue
        for name in os.listdir(real):
            if name.startswith(f"{TEMP_PREFIX}{run}-"):
                os.unlink(os.path.join(real, name))
                removed.append(f"{parent}/{name}")
    shutil.rmtree(os.path.join(MEMORY_FOLDER, run), ignore_errors=True)
    return removed


def make_run_id(now: float) -> str:
    """Give a new run's id: UTC time and six random hex digits; ids sort by time."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now)) + "-" + os.urandom(3).hex()


def check_run_id(run: str) -> str:
    """Give the id back; raise MalformedError when it is not one."""
    if not _RUN.match(run):
        raise MalformedError(f"not a run: got {run[:60]!r}, expected like 20261124T150000Z-1a2b3c", code="U030")
    return run


def write_durably(path: str, data: bytes) -> None:
    """Replace a file of the state: written beside, flushed, renamed, folder flushed."""
    temp = f"{path}.new"
    descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(temp, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read_object(path: str, missing: str) -> Dict[str, Json]:
    try:
        with open(path, "rb") as stream:
            value = decode_json(stream.read())
    except FileNotFoundError:
        raise UsageError(missing or f"{path} is missing", code="U031", hint="`gitops runs list` shows the runs") from None
    if not isinstance(value, dict):
        raise MalformedError(f"{path} is not an object", code="E241")
    return cast(Dict[str, Json], dict(cast(Mapping[str, Any], value)))
