"""`gitops schema [NAME]`: the JSON Schema of a document; without a name the list of them."""

from __future__ import annotations

import click

from gitops.cli.output import format_option, print_json
from gitops.config.cueschema import write_definitions
from gitops.config.reader import suggest
from gitops.config.schemas import make_schemas, render_schema
from gitops.errors import UsageError

CUE = "cue"


@click.command()
@click.argument("name", default="")
@format_option
def command(name: str, format_name: str) -> int:
    """Print a JSON Schema (`cue`: the CUE definitions), or list their names."""
    schemas = make_schemas()
    if name == CUE:
        click.echo(write_definitions(), nl=False)
    elif name in schemas:
        click.echo(render_schema(schemas[name]), nl=False)
    elif name:
        known = ", ".join([*schemas, CUE])
        raise UsageError(f"there is no schema `{name}`", code="U090", hint=suggest(name, schemas) or f"one of: {known}")
    elif format_name == "json":
        print_json({"schema": "gitops/schemas/v1", "names": list(schemas)})
    else:
        click.echo("\n".join([*schemas, CUE]))
    return 0
