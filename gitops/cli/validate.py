"""`gitops validate`: every mistake at once, with its line."""

from __future__ import annotations

from pathlib import Path

import click

from gitops import __version__
from gitops.cli.folders import cache_folder
from gitops.cli.output import print_diagnostics, print_json, print_message
from gitops.cli.project import read_snapshot
from gitops.config.cue import CueTool
from gitops.model.diagnostic import has_errors
from gitops.pipeline.project import examine_tree
from gitops.render.diagnostics import render_github, render_sarif


@click.command()
@click.option("--rev", default="", help="A revision instead of the work tree.")
@click.option(
    "--format", "format_name", type=click.Choice(["text", "json", "sarif", "github"]), default="text", show_default=True
)
@click.pass_obj
def command(directory: Path, rev: str, format_name: str) -> int:
    """Show every mistake in the config at once; exit 1 when there is an error."""
    snapshot = read_snapshot(directory, rev)
    examined = examine_tree(snapshot, cue=CueTool(cache=cache_folder()))
    found = examined.diagnostics
    if format_name == "json":
        print_json({"schema": "gitops/diagnostics/v1", "diagnostics": [item.to_json() for item in found]})
    elif format_name == "sarif":
        print_json(render_sarif(found, __version__))
    elif format_name == "github":
        click.echo(render_github(found), nl=False)
    else:
        print_diagnostics(found, snapshot)
        if not has_errors(found):
            # That nothing is wrong with nothing is no good news.
            empty = "" if examined.config is None or examined.config.hosts else " It declares no host."
            print_message(("The config is valid." if not found else "The config is valid, with warnings.") + empty)
    return 1 if has_errors(found) else 0
