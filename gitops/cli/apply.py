"""`gitops apply`: plan, show, ask, make it so. On this machine (`--local`), or on hosts that are reached over SSH.

Each way loads by name, as verbs do: a run on this machine needs neither SSH nor, when what it compiled is kept, the compiler.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, cast

import click

from gitops.cli.folders import (
    cache_folder,
    environment_variables,
    lock_option,
    prune_option,
    remote_root_text,
    root_option,
    root_text,
    ssh_options,
    state_folder,
)
from gitops.cli.output import format_option
from gitops.cli.source import Source
from gitops.cli.wanted import Wanted
from gitops.errors import UsageError
from gitops.model.address import parse_address

LOCAL, SSH = "gitops.cli.applylocal", "gitops.cli.applyssh"


@click.command()
@click.argument("plan_file", required=False, type=click.Path(path_type=Path))
@click.option("--host", "hosts", multiple=True, metavar="SEL", help="Host name, glob or label=value; may be repeated.")
@click.option("--local", "is_local", is_flag=True, help="This machine is that host.")
@click.option("--only", multiple=True, metavar="ADDRESS", help="Only this resource and what it needs.")
@prune_option
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Show the plan and stop; exits as `plan` does.")
@click.option("--rev", default="", help="A revision instead of the work tree.")
@click.option(
    "--max-failures", default="0", show_default=True, metavar="N|N%", help="How many hosts may fail before no other begins."
)
@click.option("--waves", default="", metavar="N|N%,…", help="How many hosts first, then, …; a failed wave is the last.")
@click.option("--no-cache", "is_fresh", is_flag=True, help="Compile from the text, and keep nothing of it.")
@lock_option
@ssh_options
@root_option
@format_option
@click.pass_obj
def command(
    directory: Path,
    plan_file: Path | None,
    hosts: tuple[str, ...],
    is_local: bool,
    only: tuple[str, ...],
    prune: tuple[str, ...],
    rev: str,
    root: Path | None,
    state: Path | None,
    is_fresh: bool,
    **options: Any,
) -> int:
    """Plan, show, ask and apply. Exit 0: done, 2: changes (dry run), 3: held, 4: failed, 5: failed and put back, 7: not reached."""
    addresses, pruned = (tuple(parse_address(item) for item in items) for items in (only, prune))
    source = Source(directory, rev, is_fresh=is_fresh, plan_file=plan_file)
    if is_local:
        if len(hosts) != 1:
            raise UsageError("--local needs exactly one --host NAME", code="U061")
        where = (root_text(root), str(state_folder(state)))
    else:
        if pruned:
            raise UsageError("--prune needs --local", code="U061")
        where = (remote_root_text(root), remote_root_text(state))
    wanted = Wanted(hosts, only=addresses, prune=pruned, root=where[0], state=where[1], **options)
    module = importlib.import_module(LOCAL if is_local else SSH)
    return cast("int", module.run(source, wanted, cache_folder(), environment_variables()))
