"""Bring the files of one commit, as an archive, with the machine's own git held tightly: nothing that a repository says is obeyed.

The repository of a moment has no config, hooks or attributes but ours; only file, http(s) and ssh are spoken; nothing is asked for.
"""

from __future__ import annotations

import os
import shutil
from typing import Callable, Dict, List, Mapping, Sequence

from gitops.errors import HostError
from gitops.executor.tree import hash_parts
from gitops.model.codec import Json
from gitops.providers.host import Finished

SCRATCH = "commit"
SHOWN = 500
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
    _git(["init", "-q", "--bare", bare], run, seconds)
    with open(os.path.join(bare, "info", "attributes"), "w", encoding="ascii") as stream:
        stream.write(ATTRIBUTES)
    inside = [f"--git-dir={bare}"]
    fetch = [*inside, "fetch", "-q", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"]
    try:
        _git([*fetch, "--depth=1", "--end-of-options", url, commit], run, seconds)
    except HostError:
        if not ref:
            raise
        _git([*fetch, "--end-of-options", url, ref], run, seconds)
    try:
        _git([*inside, "cat-file", "-e", f"{commit}^{{commit}}"], run, seconds)
    except HostError as error:
        raise HostError(f"{ref} of {url} does not have the commit {commit}", code="E331") from error
    _git([*inside, "archive", "--format=tar", f"--output={archive}", commit], run, seconds)
    return archive


def _git(arguments: List[str], run: Run, seconds: int) -> None:
    options = [part for setting in OPTIONS for part in ("-c", setting)]
    done = run(["git", *options, *arguments], ENVIRONMENT, seconds)
    if done.status != 0:
        verb = next(part for part in arguments if not part.startswith("--"))
        raise HostError(f"git {verb} ended with {done.status}: {done.output.strip()[-SHOWN:]}", code="E330")
