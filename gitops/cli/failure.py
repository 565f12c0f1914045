"""A verb that failed before it had diagnostics to print: a program that asked for them gets a document all the same.

Takes the verb's context and its error, prints it as diagnostics in the format that was asked for, unless a document was printed already:
who reads standard output never gets none, or two. What people read stands on standard error as ever.
"""

from __future__ import annotations

import click

from gitops import __version__
from gitops.cli.output import find_asked, print_json
from gitops.config.load import PROJECT_FILE
from gitops.errors import TrueupError
from gitops.model.diagnostic import Diagnostic, InvalidConfigError, Place
from gitops.render.diagnostics import render_github, render_sarif

DIAGNOSTICS_SCHEMA = "gitops/diagnostics/v1"


def print_document(found: tuple[Diagnostic, ...], format_name: str) -> None:
    """Print diagnostics as `json`, `sarif` or `github` on standard output."""
    if format_name == "sarif":
        print_json(render_sarif(found, __version__))
    elif format_name == "github":
        click.echo(render_github(found), nl=False)
    else:
        print_json({"schema": DIAGNOSTICS_SCHEMA, "diagnostics": [item.to_json() for item in found]})


def print_failure(context: click.Context, error: TrueupError) -> None:
    """Print what stopped a verb in the format that it was asked for; nothing when that was text, or a document was printed."""
    asked = find_asked(context)
    if asked:
        print_document(_describe(error), asked)


def _describe(error: TrueupError) -> tuple[Diagnostic, ...]:
    if isinstance(error, InvalidConfigError):
        return error.diagnostics
    return (Diagnostic(error.code, error.message, Place(PROJECT_FILE), hint=error.hint),)
