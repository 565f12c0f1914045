"""`gitops diff`: what changes in the compiled config between two revisions, or a revision and the work tree. No host is asked."""

from __future__ import annotations

from pathlib import Path

import click

from gitops.cli.output import format_option, print_json, wants_colour
from gitops.cli.project import Opened, open_project, select_hosts
from gitops.errors import UsageError
from gitops.model.graph import Graphs
from gitops.pipeline.rerouted import plan_rerouting
from gitops.plan.graphdiff import DIFF_SCHEMA, GraphsDiff, add_routing, diff_graphs
from gitops.render.diff import render_diff

CHANGES = 2
MOST_REVISIONS = 2


@click.command()
@click.argument("revisions", nargs=-1, metavar="[REV] [REV]")
@click.option("--host", "hosts", multiple=True, metavar="SEL", help="Host name, glob or label=value; may be repeated.")
@format_option
@click.pass_obj
def command(directory: Path, revisions: tuple[str, ...], hosts: tuple[str, ...], format_name: str) -> int:
    """Show what changes in the compiled config between two revisions; with one, between it and the work tree; HEAD by default.

    Exit 0: nothing, 2: something.
    """
    if len(revisions) > MOST_REVISIONS:
        raise UsageError("more than two revisions", code="U064", hint="gitops diff [REV] [REV]")
    first = revisions[0] if revisions else "HEAD"
    second = revisions[1] if len(revisions) == MOST_REVISIONS else ""
    before, after = open_project(directory, first), open_project(directory, second)
    found = compare_projects(before, after, hosts)
    if format_name == "json":
        environments = [item.to_json() for item in found]
        commits = {"before": before.snapshot.commit, "after": after.snapshot.commit}
        print_json({"schema": DIFF_SCHEMA, **commits, "environments": environments})
    else:
        text = render_diff(found, before=first, after=second or "work tree", colour=wants_colour())
        click.echo(text, nl=False)
    return CHANGES if any(not item.is_empty for item in found) else 0


def compare_projects(before: Opened, after: Opened, hosts: tuple[str, ...]) -> list[GraphsDiff]:
    """Compare every environment of either side, on the selected hosts."""
    old, new = before.built.compiled.graphs, after.built.compiled.graphs
    selected = None
    if hosts:
        selected = select_hosts({**before.built.config.hosts, **after.built.config.hosts}, hosts)
    names = sorted({*old, *new, *before.built.config.project.environments, *after.built.config.project.environments})
    found: list[GraphsDiff] = []
    for name in names:
        item = diff_graphs(old.get(name) or Graphs(name), new.get(name) or Graphs(name), only_hosts=selected)
        rerouting = plan_rerouting(before.built, after.built, name, selected)
        found.append(item if rerouting is None else add_routing(item, rerouting))
    return found
