"""`gitops [-C DIR] VERB …`: find the verb in the table, run it, map every ending to an exit status of DESIGN §8.

Verbs load by name, so that `gitops --help` and short verbs stay fast. The only place where an unknown exception is caught: it is
a bug, written to a log file, exit 70.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from gitops import __version__
from gitops.cli.output import find_asked, print_error
from gitops.cli.verbs import VERBS
from gitops.errors import BugError, TrueupError, UsageError
from gitops.executor.ownfolder import correct_homes
from gitops.model.codec import digest_bytes

BUG_EXIT = 70
INTERRUPTED_EXIT = 130
CLOSED_PIPE_EXIT = 141
REPORT_TO = "the issue tracker named in CONTRIBUTING.md"


class VerbGroup(click.Group):
    """A group whose commands are the table VERBS; a verb's module is imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click names it
        """List the verbs in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  same
        """Import a verb's module and give its command."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(VERBS[cmd_name].module)
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  same
        """Write the verbs with their one line of help."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, verb.summary) for name, verb in VERBS.items()])


@click.group(cls=VerbGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("-C", "directory", type=click.Path(path_type=Path), default=Path(), help="Run as if started in DIR.")
@click.version_option(__version__, prog_name="gitops")
@click.pass_context
def gitops(context: click.Context, directory: Path) -> None:
    """Trueup: the state of your servers in Git, planned in every pull request, approved, signed, and proved."""
    context.obj = directory


def main() -> None:
    """Run the command line and end the process; what the terminal's encoding lacks is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    correct_environment()
    sys.exit(run(sys.argv[1:]))


def correct_environment() -> None:
    """Let root look up nothing below a home that is another user's, nor let git, ssh or cue do so."""
    for name, value in correct_homes(os.environ).items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


def run(arguments: list[str]) -> int:
    """Run one verb and give its exit status; never raises but for the interpreter's own exits."""
    context: click.Context | None = None
    try:
        with gitops.make_context("gitops", arguments) as context:
            status: Any = gitops.invoke(context)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt, EOFError):
        click.echo("interrupted", err=True)
        return INTERRUPTED_EXIT
    except BrokenPipeError:
        return _let_go_of_pipe()
    except Exception as error:
        return _fail(context, error)
    return status if isinstance(status, int) else 0


def _fail(context: click.Context | None, error: Exception) -> int:
    """Say what went wrong, to people and in the format that was asked for; give the exit status."""
    try:
        if isinstance(error, click.ClickException):
            error.show()
            _print_failure(context, UsageError(error.format_message()))
            return 1
        if isinstance(error, OSError):
            error = UsageError(_describe_failure(error), code="U046")
        if isinstance(error, TrueupError):
            print_error(error)
            _print_failure(context, error)
            return error.exit_status
        status = _report_bug(error)
        _print_failure(context, BugError(f"a bug in gitops: {type(error).__name__}", hint=f"report it to {REPORT_TO}"))
    except BrokenPipeError:
        return _let_go_of_pipe()
    return status


def _print_failure(context: click.Context | None, error: TrueupError) -> None:
    """Give the failure in the format that was asked for; what does that loads by name, as verbs do: most runs never need it."""
    if context is not None and find_asked(context):
        importlib.import_module("gitops.cli.failure").print_failure(context, error)


def _let_go_of_pipe() -> int:
    """Point standard output to nowhere, so that the interpreter's last flush does not fail as well."""
    if sys.stdout is sys.__stdout__:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return CLOSED_PIPE_EXIT


def _describe_failure(error: OSError) -> str:
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{where}"


def _report_bug(error: Exception) -> int:
    trace = "".join(traceback.format_exception(error))
    folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "gitops"
    log = folder / f"bug-{digest_bytes(trace.encode())[:12]}.log"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(
            os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w", encoding="utf-8"
        ) as stream:
            stream.write(f"gitops {__version__}\n{trace}")
    except OSError:
        click.echo(trace, err=True)
    click.echo(f"error[B000]: this is a bug in gitops. Please report it to {REPORT_TO}, with {log}", err=True)
    return BUG_EXIT


if __name__ == "__main__":
    main()
