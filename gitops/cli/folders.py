"""Where a verb works: the state and cache folders, the root, the options that say so. Imports little: short verbs start with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from gitops.errors import ConfigError, HostError, UsageError
from gitops.executor.ownfolder import NotOwnError, is_safe_way, open_own
from gitops.model.limits import DEFAULTS

lock_option = click.option(
    "--lock-timeout",
    type=click.IntRange(0, 86400),
    default=DEFAULTS.lock_seconds,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another run on this machine.",
)


def state_folder(given: Path | None) -> Path:
    """Give the machine's state folder: --state, GITOPS_STATE_DIR, /var/lib/gitops for root, else the XDG state folder."""
    if given is not None:
        return given.absolute()
    if os.environ.get("GITOPS_STATE_DIR"):
        return Path(os.environ["GITOPS_STATE_DIR"]).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/gitops")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "gitops"


def cache_folder() -> Path:
    """Give the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gitops"


def make_private(folder: Path) -> None:
    """Make a folder that only this user enters; raise HostError when somebody else decides what lies there (sockets, for instance)."""
    try:
        if not is_safe_way(str(folder.parent)):
            raise NotOwnError
        with open_own(str(folder), make=True):
            return
    except (NotOwnError, NotADirectoryError) as error:
        hint = "set XDG_CACHE_HOME to a folder of your own"
        raise HostError(f"{folder} is in the hands of somebody else", code="E262", hint=hint) from error


def environment_variables() -> Mapping[str, str]:
    """Give the process's environment (only the command line reads it)."""
    return os.environ


prune_option = click.option(
    "--prune",
    multiple=True,
    metavar="ADDRESS",
    help="With --local: remove this, which the config no longer has; the plan lists them.",
)


def root_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --root and --state to a verb."""
    function = click.option("--state", type=click.Path(path_type=Path), help="Folder of runs and ledger.")(function)
    return click.option("--root", type=click.Path(path_type=Path), help="Put files below DIR.")(function)


def root_text(root: Path | None) -> str:
    """Give the absolute root, or an empty text; `/` itself is refused."""
    if root is None:
        return ""
    if root.resolve() == Path("/"):
        raise ConfigError("--root / is this machine itself; leave --root out", code="U041")
    if not root.is_dir():
        raise UsageError(f"--root: {root} is not a folder", code="U021")
    return str(root.resolve())


def remote_root_text(root: Path | None) -> str:
    """Give a folder on another machine: absolute and normalised as written, or an empty text; `/` itself is refused."""
    if root is None:
        return ""
    text = str(root)
    if not text.startswith("/") or text == "/" or ".." in root.parts:
        raise UsageError(f"not a folder on the hosts: got {text[:80]!r}, expected an absolute path without `..`", code="U041")
    return text


def ssh_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what pushing over SSH takes."""
    options = (
        click.option(
            "--parallel", type=click.IntRange(1, 500), default=20, show_default=True, metavar="N", help="Hosts at the same time."
        ),
        click.option(
            "--become", type=click.Choice(("sudo", "doas")), default=None, help="Become root there, without a password."
        ),
        click.option("--ssh-config", type=click.Path(path_type=Path, exists=True), help="Instead of your own ssh_config."),
    )
    for option in options:
        function = option(function)
    return function
