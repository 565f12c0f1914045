"""Bring the files of one commit, as an archive, with the machine's own git held tightly: nothing that a repository says is obeyed.

The repository of a moment has no config, hooks or attributes but ours; only file, http(s) and ssh are spoken; nothing is asked for.
"""

from __future__ import annotations

import math
import os
import select
import shutil
import time
from typing import IO, Callable, Dict, Iterator, List, Mapping, Optional, Sequence

from gitops.errors import HostError
from gitops.executor.process import Account, end_group, start
from gitops.executor.programs import PATH
from gitops.executor.tree import hash_parts
from gitops.model.codec import Json
from gitops.model.limits import DEFAULTS, Limits
from gitops.providers.host import Finished

SCRATCH = "commit"
SHOWN = 500
CHUNK = 1 << 16
SIZE_FIELD = 3
ENVIRONMENT: Mapping[str, Json] = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "file:http:https:ssh",
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes",
    "GIT_NO_REPLACE_OBJECTS": "1",
}
OPTIONS = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "protocol.ext.allow=never", "safe.directory=*", "gc.auto=0")
# Nothing is left out of the archive, or filled into it, because a tree's .gitattributes says so.
ATTRIBUTES = "* -export-ignore -export-subst -text\n"
Run = Callable[[Sequence[str], Mapping[str, Json], int], Finished]


def fetch_commit(url: str, commit: str, ref: str, folder: str, run: Run, seconds: int) -> Dict[str, Json]:
    """Put a tar of a commit's files into a folder, under its digest, and give it as `{blob, size}`; HostError when it cannot be had."""
    scratch = os.path.join(folder, SCRATCH)
    remove_tree(scratch)
    os.mkdir(scratch, 0o700)
    try:
        archive = _make_archive(url, commit, ref, scratch, run, seconds)
        with open(archive, "rb") as stream:
            digest = hash_parts(stream.fileno())
        size = os.lstat(archive).st_size
        os.rename(archive, os.path.join(folder, digest))
        return {"blob": digest, "size": size}
    finally:
        remove_tree(scratch)


def remove_tree(path: str) -> None:
    """Remove a folder with all that is in it, if it is there."""
    shutil.rmtree(path, ignore_errors=True)


def _make_archive(url: str, commit: str, ref: str, scratch: str, run: Run, seconds: int) -> str:
    bare, archive = os.path.join(scratch, "repository"), os.path.join(scratch, "commit.tar")
    git = _Git(run, time.monotonic() + seconds, f"{url} took longer than {seconds} s")
    git.do(["init", "-q", "--bare", bare])
    with open(os.path.join(bare, "info", "attributes"), "w", encoding="ascii") as stream:
        stream.write(ATTRIBUTES)
    inside = [f"--git-dir={bare}"]
    fetch = [*inside, "fetch", "-q", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"]
    try:
        git.do([*fetch, "--depth=1", "--end-of-options", url, commit])
    except HostError:
        if not ref:
            raise
        git.do([*fetch, "--end-of-options", url, ref])
    try:
        git.do([*inside, "cat-file", "-e", f"{commit}^{{commit}}"])
    except HostError as error:
        raise HostError(f"{ref} of {url} does not have the commit {commit}", code="E331") from error
    git.check_size(bare, commit)
    git.do([*inside, "archive", "--format=tar", f"--output={archive}", commit])
    return archive


class _Git:
    """Runs git, all of it until one deadline."""

    def __init__(self, run: Run, deadline: float, too_long: str) -> None:
        self._run, self._deadline, self._too_long = run, deadline, too_long

    def do(self, arguments: List[str]) -> None:
        done = self._run(["git", *_options(), *arguments], ENVIRONMENT, self._left())
        if done.status != 0:
            verb = next(part for part in arguments if not part.startswith("--"))
            raise HostError(f"git {verb} ended with {done.status}: {done.output.strip()[-SHOWN:]}", code="E330")

    def check_size(self, bare: str, commit: str, limits: Limits = DEFAULTS) -> None:
        """Count the files of a commit, and their bytes, before any is written: a tree may hold one folder a million times."""
        argv = ["git", *_options(), f"--git-dir={bare}", "ls-tree", "-r", "-l", "-z", "--full-tree", commit]
        environment = {**{name: str(value) for name, value in ENVIRONMENT.items()}, "PATH": PATH, "LC_ALL": "C"}
        running = start(argv, environment, bare, Account("/"))
        try:
            size = 0
            for count, row in enumerate(self._read_rows(running.stdout), 1):
                fields = row.partition(b"\t")[0].split()
                size += int(fields[SIZE_FIELD]) if len(fields) > SIZE_FIELD and fields[SIZE_FIELD].isdigit() else 0
                if count > limits.archive_files:
                    raise HostError(f"the commit has more than {limits.archive_files} files", code="E327")
                if size > limits.archive_bytes:
                    raise HostError(f"the files of the commit are larger than {limits.archive_bytes} bytes", code="E327")
        finally:
            if running.stdout is not None:
                running.stdout.close()
            end_group(running)

    def _read_rows(self, stream: Optional[IO[bytes]]) -> Iterator[bytes]:
        kept = b""
        while stream is not None and select.select([stream], [], [], self._left())[0]:
            data = os.read(stream.fileno(), CHUNK)
            if not data:
                return
            *rows, kept = (kept + data).split(b"\0")
            if len(kept) > CHUNK:
                raise HostError("a name in the commit is too long", code="E327")
            yield from rows
        raise HostError(self._too_long, code="E324")

    def _left(self) -> int:
        """Give the seconds that are left; raise HostError when none are."""
        left = math.ceil(self._deadline - time.monotonic())
        if left <= 0:
            raise HostError(self._too_long, code="E324")
        return left


def _options() -> List[str]:
    return [part for setting in OPTIONS for part in ("-c", setting)]
