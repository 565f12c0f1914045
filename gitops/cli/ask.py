"""Ask on the terminal, and say what is waited for."""

from __future__ import annotations

import sys

import click

from gitops.cli.output import print_message
from gitops.errors import UsageError
from gitops.model.fields import Fields
from gitops.model.wire import Event
from gitops.render.escape import escape_terminal

QUESTION = "Apply this?"


def confirm(question: str) -> None:
    """Ask on the terminal; a no ends the verb, nothing changed (exit 1), and no terminal is an error that names --yes."""
    if not sys.stdin.isatty():
        raise no_terminal()
    if not click.confirm(question):
        raise UsageError("nothing was changed: you said no", code="U065")


def no_terminal() -> UsageError:
    """Say that nobody can be asked."""
    return UsageError("there is no terminal to ask on", code="U062", hint="use --yes")


def tell_waiting(event: Event) -> None:
    """Say that another run has the lock, and which."""
    if event.event == "waiting":
        print_message(
            f"waiting for another run on this machine ({escape_terminal(Fields(event.body, 'waiting').text('holder'))})"
        )
