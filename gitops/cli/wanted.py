"""Wanted: what the command line asks of an apply or of a plan on live hosts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gitops.model.address import Address
from gitops.model.limits import DEFAULTS
from gitops.model.scope import Scope


@dataclass(frozen=True)
class Wanted:
    """What the command line asks."""

    hosts: tuple[str, ...]
    format_name: str
    only: tuple[Address, ...] = ()
    prune: tuple[Address, ...] = ()
    root: str = ""
    state: str = ""
    become: str | None = None
    ssh_config: Path | None = None
    parallel: int = 20
    max_failures: str = "0"
    waves: str = ""
    lock_timeout: int = DEFAULTS.lock_seconds
    guards: bool = False
    approved: Scope | None = None
    is_confirmed: bool = False
    is_dry: bool = False
