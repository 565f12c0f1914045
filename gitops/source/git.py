"""The git binary, tightly held: argument lists, a clean environment, no hooks, no prompts, a timeout.

Needed only where dulwich is not enough: `merge-tree` (forges merge with git), fetches into mirrors and `log`. User and system
config, hooks, fsmonitor and attributes of the tree play no part. A repository's own config may be hostile: a verb that only reads
reaches no remote (git would fetch missing objects, by programs that the config names), and `log` runs no checker of signatures.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitops.errors import RemoteError
from gitops.model.limits import DEFAULTS

CLEAN: Mapping[str, str] = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "LC_ALL": "C",
}
REMOTE_VERBS = ("clone", "fetch", "ls-remote", "push")
REMOTE_PROTOCOLS: Mapping[str, str] = {"GIT_ALLOW_PROTOCOL": "file:http:https:ssh"}
NO_PROTOCOLS: Mapping[str, str] = {"GIT_ALLOW_PROTOCOL": "none"}
SAFE_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.ext.allow=never",
    "gc.auto=0",
    "log.showSignature=false",
    "safe.directory=*",
    "core.bigFileThreshold=8m",  # larger files are streamed, not held
)
PASSED_ON = ("PATH", "HOME", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND", "GIT_ASKPASS")


@dataclass(frozen=True)
class GitResult:
    """How git ended; `output` is its standard output."""

    status: int
    output: bytes
    error: str


def run_git(
    repository: Path,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    accept: Sequence[int] = (0,),
) -> GitResult:
    """Run git in a repository; raise RemoteError (exit 7) when it is missing, hangs or ends with another status."""
    options = [part for setting in SAFE_CONFIG for part in ("-c", setting)]
    protocols = REMOTE_PROTOCOLS if arguments[0] in REMOTE_VERBS else NO_PROTOCOLS
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    try:
        done = subprocess.run(
            ["git", *options, *arguments],
            cwd=repository,
            env={**passed, **CLEAN, **protocols, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DEFAULTS.git_seconds,
            check=False,
        )
    except FileNotFoundError:
        raise RemoteError("git is not installed", code="R010", hint="install git 2.38 or later") from None
    except subprocess.TimeoutExpired:
        raise RemoteError(f"git {arguments[0]} took longer than {DEFAULTS.git_seconds} s", code="R011") from None
    error = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode not in accept:
        raise RemoteError(f"git {arguments[0]} failed: {error[-400:] or done.returncode}", code="R012")
    return GitResult(done.returncode, done.stdout, error)
