"""The machine's own state: runs, ledger, lock; a folder of mode 0700, one part for each `--root`.

`runs/<run>/` holds meta.json, journal.jsonl, images/, report.json; `ledger.json` what was last applied, by address. Files are replaced
whole and flushed. A run with no report whose lock is free was interrupted: its temporary files are removed and it is marked so.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import time
from typing import Callable, Dict, Iterable, Iterator, Mapping, Optional, Sequence, Tuple

from gitops.errors import ConfigError, HeldError, HostError, MalformedError, UsageError
from gitops.executor.durable import write_plainly, write_together
from gitops.executor.journal import MEMORY_FOLDER, has_entries
from gitops.executor.ledger import LEDGER, LEDGER_CHANGE, Ledger, encode_change, encode_ledger, read_object
from gitops.executor.walk import WRITABLE_BY_OTHERS
from gitops.model.codec import Json, digest_bytes, encode_canonical
from gitops.model.limits import DEFAULTS
from gitops.model.parts import encode_parts, encode_table
from gitops.model.resource import Resource

OTHERS = 0o077
KEPT_RUNS = 50
KEPT_BYTES = DEFAULTS.journal_bytes
LOCK_POLL = 0.1
PARTS = 1 << 20
NEW_PREFIX = "new-"
REPORT = "report.json"
LEFT = "left.json"
SIZE = "size"
_RUN = "DDDDDDDDTDDDDDDZ-xxxxxx"
_LETTERS_OF = {"D": "0123456789", "x": "0123456789abcdef"}


class StateFolder:
    """One machine's state, or one root's."""

    def __init__(self, base: str, root: str) -> None:
        if not base.startswith("/"):
            raise UsageError("no folder for the state was given", code="U033", hint="use --state DIR")
        self.base = os.path.join(base, "roots", digest_bytes(os.path.realpath(root).encode())[:16]) if root else base
        try:
            for folder in (base, os.path.dirname(self.base), self.base, os.path.join(self.base, "runs")):
                os.makedirs(folder, mode=0o700, exist_ok=True)
                if folder in (base, self.base):
                    check_private(folder)
            make_private(os.path.join(self.base, "runs"))
        except OSError as error:
            raise HostError(
                f"cannot make the state folder {self.base}: {error.strerror}", code="E240", hint="use --state DIR"
            ) from error

    def run_folder(self, run: str) -> str:
        """Give a run's folder."""
        return os.path.join(self.base, "runs", run)

    def list_runs(self) -> Tuple[str, ...]:
        """List run ids, oldest first."""
        return tuple(sorted(name for name in os.listdir(os.path.join(self.base, "runs")) if is_run_id(name)))

    def begin_run(self, run: str, meta: Mapping[str, Json]) -> str:
        """Make a run's folder with its meta.json and give it; its journal makes it durable before anything changes."""
        folder = self.run_folder(run)
        fresh = os.path.join(self.base, "runs", f"{NEW_PREFIX}{run}")
        os.makedirs(fresh, mode=0o700)
        write_plainly(os.path.join(fresh, "meta.json"), [encode_canonical(dict(meta))])
        os.rename(fresh, folder)
        return folder

    def has_meta(self, run: str) -> bool:
        """Say whether a run began; a power cut may leave the folder of one that did not."""
        path = os.path.join(self.run_folder(run), "meta.json")
        return os.path.exists(path) and os.path.getsize(path) > 0

    def read_meta(self, run: str) -> Dict[str, Json]:
        """Give a run's meta.json; raise UsageError when there is no such run."""
        return read_object(os.path.join(self.run_folder(run), "meta.json"), f"there is no run {run[:60]}")

    def read_report(self, run: str) -> Optional[Dict[str, Json]]:
        """Give a run's report, or None when it has none yet."""
        path = os.path.join(self.run_folder(run), REPORT)
        return read_object(path, "") if os.path.exists(path) else None

    def write_report(self, run: str, report: Mapping[str, Json]) -> None:
        """Write a run's report and drop old runs."""
        write_together({os.path.join(self.run_folder(run), REPORT): encode_parts(dict(report))})
        self._drop_old(run)

    def _drop_old(self, run: str) -> None:
        """Drop the oldest runs beyond those kept, in number and in bytes, never this one; runs that changed nothing do not push out
        those that did.
        """
        others = [old for old in self.list_runs() if old != run]
        with_journal = [old for old in others if has_entries(self.run_folder(old))]
        without = [old for old in others if old not in set(with_journal)]
        for old in (*with_journal[: 1 - KEPT_RUNS], *without[: 1 - KEPT_RUNS]):
            self.drop_run(old)
        left = KEPT_BYTES - self._size_of(run)
        newest_first = with_journal[1 - KEPT_RUNS :][::-1]
        for old in newest_first:
            left -= self._size_of(old)
            if left < 0 and old != newest_first[0]:  # the last run can always be undone
                self.drop_run(old)

    def _size_of(self, run: str) -> int:
        """Give what a run's folder holds, in bytes; counted once, when the run is over."""
        path = os.path.join(self.run_folder(run), SIZE)
        try:
            with open(path, "rb") as stream:
                return int(stream.read(20))
        except (OSError, ValueError):
            size = _count_bytes(self.run_folder(run))
        with contextlib.suppress(OSError):  # a full disk: it is counted again
            write_plainly(path, [b"%d" % size])
        return size

    def write_left(self, run: str, paths: Iterable[str], fingerprint: Callable[[str], str]) -> None:
        """Keep what a run left at each path of its journal, to notice later changes; in ASCII, since paths may be no UTF-8."""
        write_plainly(os.path.join(self.run_folder(run), LEFT), encode_table(paths, fingerprint, json.dumps))

    def read_left(self, run: str) -> Dict[str, str]:
        """Give what a run left, by path; empty when that was never written."""
        try:
            table = read_object(os.path.join(self.run_folder(run), LEFT), "")
        except ConfigError:
            return {}
        return {path: str(text) for path, text in table.items()}

    def finish_run(
        self, run: str, ledgers: Tuple[Ledger, Ledger], report: Mapping[str, Json], *, digest: Callable[[Resource], str]
    ) -> None:
        """Write what a run leaves, together: how it changed the ledger, the ledger if it did, the report; drop old runs."""
        contents: Dict[str, Iterator[bytes]] = {}
        before, after = ledgers
        if before != after:
            contents[os.path.join(self.run_folder(run), LEDGER_CHANGE)] = encode_change(before, after, digest)
            contents[os.path.join(self.base, LEDGER)] = encode_ledger(after)
        contents[os.path.join(self.run_folder(run), REPORT)] = encode_parts(dict(report))
        write_together(contents)
        self._drop_old(run)

    def list_interrupted(self) -> Sequence[str]:
        """List runs without a report, and remove those that never began (call it under the lock)."""
        runs = os.path.join(self.base, "runs")
        for name in os.listdir(runs):
            if name.startswith(NEW_PREFIX):
                _remove_tree(os.path.join(runs, name))
        return [run for run in self.list_runs() if not os.path.exists(os.path.join(self.run_folder(run), REPORT))]

    def drop_run(self, run: str) -> None:
        """Remove a run; it goes out of the list at once, so that a crash in between leaves no half of it."""
        _remove_tree(os.path.join(MEMORY_FOLDER, run))
        doomed = os.path.join(self.base, "runs", f"{NEW_PREFIX}{run}")
        os.rename(self.run_folder(run), doomed)
        _remove_tree(doomed)


class Lock:
    """One run at a time: an advisory lock whose file names its holder. It ends with the process, however that ends.

    `waits` is told the holder, once, when there is one to wait for.
    """

    def __init__(self, base: str, run: str, timeout: int, waits: Optional[Callable[[str], None]] = None) -> None:
        self._descriptor = os.open(os.path.join(base, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + timeout
        while not self._try():
            holder = os.pread(self._descriptor, 200, 0).decode("utf-8", "replace").strip() or "it has just begun"
            if waits is not None and timeout:
                waits(holder)
                waits = None
            if time.monotonic() >= deadline:
                os.close(self._descriptor)
                raise HeldError(
                    f"another run is going on here ({holder})", code="H110", hint="wait for it, or raise --lock-timeout"
                )
            time.sleep(LOCK_POLL)
        words = f"pid {os.getpid()}, run {run}\n".encode()
        os.pwrite(self._descriptor, words, 0)
        os.ftruncate(self._descriptor, len(words))

    def release(self) -> None:
        """Let the next run go."""
        os.close(self._descriptor)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def find_state(base: str, run: str) -> StateFolder:
    """Give the part of the state, the machine's own or a root's, that has a run; raise UsageError when none has."""
    state = StateFolder(base, "")
    roots = os.path.join(base, "roots")
    for name in ("", *(sorted(os.listdir(roots)) if os.path.isdir(roots) else ())):
        part = state if not name else StateFolder(os.path.join(roots, name), "")
        if os.path.exists(os.path.join(part.run_folder(run), "meta.json")):
            return part
    raise UsageError(f"there is no run {run}", code="U031", hint="`gitops runs list` shows the runs")


def check_private(folder: str) -> None:
    """Raise HostError for a state folder that others may change: what is undone from it is written as the running user."""
    _require_own(folder, os.stat(folder))


def make_private(folder: str) -> None:
    """Close a state folder to others; raise HostError for one of somebody else, or that others may have written in."""
    # The folder that is checked is the folder that is closed, whatever its name leads to a moment later.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        info = os.fstat(descriptor)
        _require_own(folder, info)
        if info.st_mode & OTHERS:
            os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def _require_own(folder: str, info: os.stat_result) -> None:
    hint = "use --state DIR with a folder of your own, of mode 0700"
    if info.st_uid != os.geteuid():
        raise HostError(
            f"the state folder {folder} belongs to user {info.st_uid}, this run is user {os.geteuid()}", code="E340", hint=hint
        )
    if info.st_mode & WRITABLE_BY_OTHERS:
        raise HostError(
            f"the state folder {folder} can be written by others (mode {stat.S_IMODE(info.st_mode):04o})", code="E341", hint=hint
        )


def _count_bytes(folder: str) -> int:
    """Add up the files below a folder of ours."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            total += os.lstat(os.path.join(path, name)).st_size
    return total


def make_run_id(now: float) -> str:
    """Give a new run's id: UTC time, then six hex digits: the part of the second, and a random one. Ids sort by time."""
    part = f"{int(now % 1 * PARTS):05x}{os.urandom(1).hex()[0]}"
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now)) + f"-{part}"


def is_run_id(text: str) -> bool:
    """Say whether a text is an id as `make_run_id` gives them."""
    return len(text) == len(_RUN) and all(letter in _LETTERS_OF.get(place, place) for letter, place in zip(text, _RUN))


def check_run_id(run: str) -> str:
    """Give the id back; raise MalformedError when it is not one."""
    if not is_run_id(run):
        raise MalformedError(f"not a run: got {run[:60]!r}, expected like 20261124T150000Z-1a2b3c", code="U030")
    return run


def _remove_tree(folder: str) -> None:
    """Remove a folder of the state with all in it, links not followed (shutil would cost 3 ms of every start)."""
    for parent, folders, names in os.walk(folder, topdown=False):
        for name in names:
            os.unlink(os.path.join(parent, name))
        for name in folders:
            path = os.path.join(parent, name)
            (os.unlink if os.path.islink(path) else os.rmdir)(path)
    if os.path.isdir(folder):
        os.rmdir(folder)
