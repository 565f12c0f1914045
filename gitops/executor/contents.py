"""Contents that a run makes itself: fetched, or unpacked from an archive; in a private folder of the machine's state, by digest.

All three are done by a child with bounds (`gitops.executor.bounded`), since what comes is somebody else's. What is finished goes with the
run; what a broken connection left (`.part`) stays a week, so that the next run goes on there. The modules that fetch and unpack are
imported when they are needed: most runs do neither.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any, Dict, List, Sequence, cast

from gitops.errors import HostError
from gitops.model.codec import Json
from gitops.model.limits import DEFAULTS
from gitops.providers.host import Unpacked

BOUNDED = "gitops.executor.bounded"
PART = ".part"
CHUNK = 1 << 18
SPARE_SECONDS = 10.0
COMMIT = "commit"
KEPT_SECONDS = 7 * 86400


class Contents:
    """The contents of one run. An empty `folder` has none and makes none."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._is_open = False

    def find(self, digest: str) -> str:
        """Give the file of a content, empty when this run has not made it."""
        path = os.path.join(self._folder, digest)
        return path if self._is_open and os.path.exists(path) else ""

    def fetch(self, url: str, digest: str, seconds: int) -> Dict[str, Json]:
        """Fetch a content; see `Host.fetch`."""
        room, path = load_later("gitops.executor.fetch"), os.path.join(self._open(), digest)
        too_long = f"{url} took longer than {seconds} s; the next run goes on"
        work = load_later(BOUNDED)
        bounds = work.Bounds(float(seconds), too_long, file_bytes=DEFAULTS.download_bytes + CHUNK)
        size = work.run_bounded(lambda: room.fetch(room.Wanted(url, digest, float(seconds)), path), bounds)
        return {"blob": digest, "size": int(size)}

    def fetch_commit(self, url: str, commit: str, ref: str, run: Any, seconds: int) -> Dict[str, Json]:
        """Fetch the files of a commit; see `Host.fetch_commit`. `run` starts a program."""
        room, folder, work = load_later("gitops.executor.gitfetch"), self._open(), load_later(BOUNDED)
        # git ends by its own share of the time; what is beyond it ends with the child.
        bounds = work.Bounds(seconds + SPARE_SECONDS, f"{url} took longer than {seconds} s", memory=DEFAULTS.git_memory)
        found = work.run_bounded(lambda: room.fetch_commit(url, commit, ref, folder, run, seconds), bounds)
        return cast("Dict[str, Json]", found)

    def unpack(self, archive: str, digest: str, strip: int) -> Sequence[Unpacked]:
        """Unpack an archive's file, which must have its digest; see `Host.unpack`."""
        room, folder, work = load_later("gitops.executor.unpack"), self._open(), load_later(BOUNDED)
        bounds = work.Bounds(
            DEFAULTS.unpack_seconds, "unpacking takes longer than an hour", "E327", processor=DEFAULTS.unpack_seconds
        )
        rows = work.run_bounded(lambda: [_row(item) for item in room.unpack(archive, digest, folder, strip)], bounds)
        return [Unpacked(*row) for row in rows]

    def close(self) -> None:
        """Remove what is finished."""
        if self._is_open:
            self._sweep()
        self._is_open = False

    def _open(self) -> str:
        if not self._folder:
            raise HostError("this run may only read", code="E235")
        if not self._is_open:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            self._sweep()
            self._is_open = True
        return self._folder

    def _sweep(self) -> None:
        now = time.time()
        for name in os.listdir(self._folder):
            path = os.path.join(self._folder, name)
            with contextlib.suppress(FileNotFoundError):
                if name == COMMIT:
                    load_later("gitops.executor.gitfetch").remove_tree(path)
                elif not name.endswith(PART) or now - os.lstat(path).st_mtime > KEPT_SECONDS:
                    os.unlink(path)


def _row(item: Unpacked) -> List[Json]:
    return [item.path, item.type, item.mode, item.digest, item.size, item.target]


def load_later(module: str) -> Any:
    """Give a module that most runs do without, imported when it is needed."""
    return __import__(module, fromlist=["_"])
