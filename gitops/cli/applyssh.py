"""`gitops apply` over SSH: which hosts, and what was agreed to; the rest is `push`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gitops.cli.ask import QUESTION, no_terminal
from gitops.cli.planfile import read_plan_file
from gitops.cli.project import open_project
from gitops.cli.push import apply_over_ssh
from gitops.cli.source import Source
from gitops.cli.wanted import Wanted
from gitops.errors import UsageError


def run(source: Source, wanted: Wanted, _cache: Path, _environment: Mapping[str, str]) -> int:
    """Plan, show, ask and apply on many hosts; give the exit status."""
    opened = open_project(source.directory, source.revision)
    approved = None if source.plan_file is None else read_plan_file(source.plan_file, opened.built.config.project.name)
    hosts = wanted.hosts or (tuple(sorted(approved.hosts)) if approved is not None else ())
    if not hosts:
        raise UsageError(
            "which hosts?", code="U061", hint="give --host SEL, or a plan file with changes; `--host '*'` is every host"
        )
    wanted = replace(wanted, hosts=hosts, approved=approved)
    if not (wanted.is_confirmed or wanted.is_dry or sys.stdin.isatty()):
        raise no_terminal()
    return apply_over_ssh(opened, wanted, confirm=QUESTION)
