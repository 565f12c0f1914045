"""Printing for people and for programs: data to stdout, messages to stderr, colour only on a terminal that wants it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gitops.errors import TrueupError, UsageError
from gitops.model.codec import Json
from gitops.model.diagnostic import Diagnostic, InvalidConfigError
from gitops.model.sourcetree import SourceTree
from gitops.render.diagnostics import render_diagnostics
from gitops.render.escape import escape_terminal

FORMATS = ("text", "json")
DIAGNOSTIC_FORMATS = ("text", "json", "sarif", "github")
ASKED = "gitops.cli.format"


def format_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--format text|json` to a verb."""
    return click.option("--format", "format_name", type=click.Choice(FORMATS), default="text", show_default=True)(function)


def diagnostics_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--format` to a verb whose document is its diagnostics; what is asked for is remembered for when the verb itself fails."""
    kind = click.Choice(DIAGNOSTIC_FORMATS)
    return click.option(
        "--format", "format_name", type=kind, default="text", show_default=True, is_eager=True, callback=_remember
    )(function)


def find_asked(context: click.Context) -> str:
    """Give the format in which a document is still due on standard output; empty when none is."""
    asked = context.meta.get(ASKED, "text")
    return "" if asked == "text" else str(asked)


def _remember(context: click.Context, _parameter: click.Parameter, value: str) -> str:
    context.meta[ASKED] = value
    return value


def print_json(value: Json) -> None:
    """Print a document on stdout, indented, keys sorted."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[ASKED] = "text"  # it is given
    click.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))


def print_message(text: str) -> None:
    """Print a message for people on stderr."""
    click.echo(text, err=True)


def print_error(error: TrueupError) -> None:
    """Print an error with its code and what to do; diagnostics that it carries come first."""
    if isinstance(error, InvalidConfigError):
        if error.is_shown:
            return
        click.echo(render_diagnostics(error.diagnostics, _no_line, colour=wants_colour(error=True)), err=True, nl=False)
        return
    click.echo(f"error[{error.code}]: {escape_terminal(error.message)}", err=True)
    if error.hint:
        click.echo(f"   = {escape_terminal(error.hint)}", err=True)


def print_diagnostics(found: tuple[Diagnostic, ...], tree: SourceTree | None = None) -> None:
    """Print diagnostics with their source lines on stderr."""
    text = render_diagnostics(found, _no_line if tree is None else line_reader(tree), colour=wants_colour(error=True))
    click.echo(text, err=True, nl=False)


def line_reader(tree: SourceTree) -> Callable[[str, int], str | None]:
    """Give a reader of source lines; what cannot be read has none."""
    files: dict[str, list[str]] = {}

    def read(file: str, line: int) -> str | None:
        if file not in files:
            try:
                files[file] = tree.read(file).decode("utf-8-sig", "replace").splitlines()
            except (TrueupError, OSError, KeyError):
                files[file] = []
        return files[file][line - 1] if 0 < line <= len(files[file]) else None

    return read


def wants_colour(*, error: bool = False) -> bool:
    """Say whether to colour: a terminal, and NO_COLOR not set (no-color.org)."""
    stream = sys.stderr if error else sys.stdout
    return stream.isatty() and not os.environ.get("NO_COLOR")


def read_file(path: Path, limit: int) -> bytes:
    """Read a file named on the command line, at most `limit` bytes; a usage error says what is wrong."""
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", code="U045") from error
    if len(data) > limit:
        raise UsageError(f"{path} is larger than {limit} bytes", code="U045")
    return data


def write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet; one that is stays as it is."""
    try:
        with path.open("xb") as stream:
            stream.write(data)
    except FileExistsError:
        raise UsageError(f"{path} exists", code="U043", hint="name a new file") from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", code="U044") from error


def _no_line(_file: str, _line: int) -> str | None:
    return None
