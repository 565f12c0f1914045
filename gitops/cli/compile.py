"""`gitops compile`: graphs and blocks, as a release would hold them."""

from __future__ import annotations

from pathlib import Path

import click

from gitops.cli.output import format_option, print_json, print_message
from gitops.cli.project import one_environment, open_project
from gitops.errors import UsageError
from gitops.model.codec import Json, digest_bytes
from gitops.model.graph import Graphs
from gitops.release.tree import layout_graphs


@click.command()
@click.option("--rev", default="", help="A revision instead of the work tree.")
@click.option("--env", "environment", default="", help="The environment; the only one by default.")
@click.option("--out", type=click.Path(path_type=Path), help="Write hosts/ and blobs/ into this new or empty folder.")
@format_option
@click.pass_obj
def command(directory: Path, rev: str, environment: str, out: Path | None, format_name: str) -> int:
    """Compile the config to graphs and blocks, as a release would hold them."""
    graphs = one_environment(open_project(directory, rev).built, environment)
    if out is not None:
        _write(graphs, out)
    if format_name == "json":
        print_json(_describe(graphs))
    else:
        for host, graph in sorted(graphs.hosts.items()):
            count = len(graph.resources) + sum(len(graphs.blocks[block].resources) for block in graph.blocks)
            click.echo(f"{host}  {digest_bytes(graph.to_bytes())[:12]}  {count} resources")
        print_message(f"{len(graphs.hosts)} hosts, {len(graphs.blocks)} blocks, {len(graphs.blobs)} files")
    return 0


def _describe(graphs: Graphs) -> dict[str, Json]:
    hosts: dict[str, Json] = {
        host: {"digest": digest_bytes(graph.to_bytes()), "resources": [item.to_json() for item in graphs.resources_of(host)]}
        for host, graph in graphs.hosts.items()
    }
    return {"schema": "gitops/compiled/v1", "environment": graphs.environment, "hosts": hosts, "blocks": sorted(graphs.blocks)}


def _write(graphs: Graphs, out: Path) -> None:
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty", code="U042", hint="name a new folder")
    for path, data in layout_graphs(graphs).files.items():
        target = out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
