"""`gitops explain`: where a value, an edge, a block comes from."""

from __future__ import annotations

import difflib
from dataclasses import replace
from pathlib import Path

import click

from gitops.cli.output import format_option, print_json
from gitops.cli.project import find_host, open_project
from gitops.compile.explain import AddressExplained, Explanation, VariableExplained, explain_host
from gitops.errors import UsageError
from gitops.model.codec import Json, encode_canonical
from gitops.render.escape import escape_terminal
from gitops.render.words import count_words

VARIABLE = "vars."
SHOWN = 100


@click.command()
@click.argument("host")
@click.argument("what", required=False, default="", metavar="[ADDRESS|vars.NAME]")
@click.option("--rev", default="", help="A revision instead of the work tree.")
@format_option
@click.pass_obj
def command(directory: Path, host: str, what: str, rev: str, format_name: str) -> int:
    """Show where a host's values, edges and blocks come from: all of them, one address, or one variable."""
    opened = open_project(directory, rev)
    find_host(opened.built, host)
    found = choose(explain_host(opened.built.config, opened.built.compiled, host), what)
    if format_name == "json":
        print_json(found.to_json())
    else:
        click.echo("\n".join(escape_terminal(line) for line in describe(found, is_whole=not what)))
    return 0


def choose(found: Explanation, what: str) -> Explanation:
    """Keep one address or variable; raise UsageError naming the nearest when there is none."""
    if not what:
        return found
    variables = tuple(item for item in found.variables if VARIABLE + item.name == what)
    addresses = tuple(item for item in found.addresses if item.address == what)
    if not variables and not addresses:
        known = [*(str(item.address) for item in found.addresses), *(VARIABLE + item.name for item in found.variables)]
        near = difflib.get_close_matches(what, known, 1)
        hint = f"did you mean `{near[0]}`?" if near else "`gitops explain HOST` lists them all"
        raise UsageError(f"{found.host} has no `{what}`", code="U025", hint=hint)
    return replace(found, variables=variables, addresses=addresses)


def describe(found: Explanation, *, is_whole: bool) -> list[str]:
    """Give lines for people: in short for a whole host, everything for one thing."""
    if not is_whole:
        one = [line for item in found.variables for line in _describe_variable(item)]
        return one + [line for item in found.addresses for line in _describe_address(item)]
    groups = ", ".join(f"{name} ({place.file}:{place.line})" for name, place in found.groups) or "none"
    lines = [
        f"{found.host}   {found.place.file}:{found.place.line}",
        f"  environment  {found.environment or 'none'}",
        f"  groups       {groups}",
        "",
        "variables",
    ]
    for variable in found.variables:
        winner = variable.layers[-1]
        name = f"{VARIABLE}{variable.name} = {_show(variable.value)}"
        lines.append(f"  {name:<44} {winner.source}  {winner.place.file}:{winner.place.line}")
    lines.extend(["", "resources"])
    for item in found.addresses:
        lines.append(f"  {item.address:<44} {item.source}  {item.place.file}:{item.place.line}  {_shared(item)}")
    return lines


def _describe_variable(item: VariableExplained) -> list[str]:
    lines = [f"{VARIABLE}{item.name} = {_show(item.value)}", "  set by, the last wins:"]
    for number, layer in enumerate(item.layers, start=1):
        mark = "*" if number == len(item.layers) else " "
        lines.append(f"  {mark} {layer.source:<24} {layer.place.file}:{layer.place.line}   {_show(layer.value)}")
    return lines


def _describe_address(item: AddressExplained) -> list[str]:
    lines = [
        str(item.address),
        f"  declared by  {item.source}, {item.place.file}:{item.place.line}",
        f"  block        {item.block[:12] or 'none'} ({_shared(item)})",
        f"  reads        {', '.join(item.reads) or 'nothing of this host'}",
    ]
    for edge in item.edges:
        where = f", {edge.place.file}:{edge.place.line}" if edge.place is not None else ""
        why = f"automatic: {edge.token}" if edge.token else edge.reason
        lines.append(f"  {edge.direction:<12} {edge.other}   ({why}{where})")
    return lines


def _shared(item: AddressExplained) -> str:
    return f"shared by {count_words(item.sharing, 'host')}" if item.block else "this host's own"


def _show(value: Json) -> str:
    text = encode_canonical(value).decode("utf-8")
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
