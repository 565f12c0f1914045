"""`gitops validate`: every mistake at once, with its line."""

from __future__ import annotations

from pathlib import Path

import click

from gitops.cli.failure import print_document
from gitops.cli.folders import cache_folder
from gitops.cli.output import diagnostics_option, print_diagnostics, print_message
from gitops.cli.project import read_snapshot
from gitops.config.cue import CueTool
from gitops.model.diagnostic import has_errors
from gitops.pipeline.project import examine_tree


@click.command()
@click.option("--rev", default="", help="A revision instead of the work tree.")
@diagnostics_option
@click.pass_obj
def command(directory: Path, rev: str, format_name: str) -> int:
    """Show every mistake in the config at once; exit 1 when there is an error."""
    snapshot = read_snapshot(directory, rev)
    examined = examine_tree(snapshot, cue=CueTool(cache=cache_folder()))
    found = examined.diagnostics
    if format_name != "text":
        print_document(found, format_name)
    else:
        print_diagnostics(found, snapshot)
        if not has_errors(found):
            # That nothing is wrong with nothing is no good news.
            empty = "" if examined.config is None or examined.config.hosts else " It declares no host."
            print_message(("The config is valid." if not found else "The config is valid, with warnings.") + empty)
    return 1 if has_errors(found) else 0
