"""`gitops provider`: make an external provider (Python or POSIX shell), and test one, or a built-in kind, by the laws of all providers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import click

from gitops.cli.output import format_option, print_json, print_message, write_new
from gitops.config.provider import DECLARATION, FOLDER
from gitops.conformance.laws import judge_kind
from gitops.conformance.programs import judge_provider
from gitops.conformance.scenarios import SCENARIOS
from gitops.conformance.subject import CASES, open_declaration, open_subject
from gitops.conformance.verdict import Verdict
from gitops.errors import UsageError
from gitops.model.address import is_object_name
from gitops.model.codec import Json
from gitops.render.escape import escape_terminal

BROKEN = 4
PROGRAMS = {"python": "provider.py", "sh": "provider.sh"}
SOURCES = {"python": "python.txt", "sh": "sh.txt"}
NAME = "__NAME__"
MARK = "# --- the protocol;"
DECLARED = f"""\
# What `external: {NAME}/THING` takes in `set`, and the program that manages it. See docs/reference/provider-protocol.md.
apiVersion: gitops/v1
kind: Provider
metadata: {{name: {NAME}}}
spec:
  executable: __PROGRAM__
  protocol: 2
  attributes:
    value: {{type: text, doc: what it is set to, required: true}}
"""
CASES_TEXT = f"""\
{{
  "watch": ["/tmp/{NAME}.conf"],
  "cases": [
    {{"name": "first", "set": {{"value": "one"}}, "other": {{"value": "two"}}}},
    {{"name": "second", "set": {{"value": "a \\"b\\" \\\\ c"}}, "other": {{"value": "$(d) 'e'"}}}}
  ]
}}
"""


@click.group()
def command() -> None:
    """Providers: what manages a kind of thing. Make an external one; test one, or a built-in kind."""


@command.command()
@click.argument("name")
@click.option("--language", type=click.Choice(sorted(PROGRAMS)), default="python", show_default=True, help="Of the program.")
@click.pass_obj
def new(directory: Path, name: str, language: str) -> int:
    """Make providers/NAME: a declaration, a working program of one file, and cases for `provider test`."""
    if not is_object_name(name):
        raise UsageError(f"{name!r} is not a valid name", code="U082", hint="lower-case letters, digits, `.` and `-`, at most 63")
    target = directory / FOLDER / name
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target} exists", code="U043", hint="name a new one; nothing was written")
    files = {
        DECLARATION: DECLARED.replace("__PROGRAM__", PROGRAMS[language]),
        PROGRAMS[language]: _read_scaffold(SOURCES[language]),
        CASES: CASES_TEXT,
    }
    try:
        target.mkdir(parents=True)
        for file, text in files.items():
            write_new(target / file, text.replace(NAME, name).encode("utf-8"))
            click.echo(target / file)
        (target / PROGRAMS[language]).chmod(0o755)
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}", code="U044") from error
    print_message(f"Next: gitops provider test {target}")
    return 0


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
def update(folder: Path) -> int:
    """Renew the half of a provider that speaks the protocol, as `provider new` would write it now; the author's half stays.

    FOLDER is providers/NAME. Nothing is written when there is nothing to renew.
    """
    declared = open_declaration(folder)
    program = folder / Path(declared.executable).name
    source = next((SOURCES[language] for language, name in PROGRAMS.items() if Path(name).suffix == program.suffix), "")
    try:
        text = program.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {program}: {error}", code="U081") from error
    own, mark, old = text.partition(MARK)
    if not source or not mark:
        hint = "it is renewed only where `gitops provider new` made it"
        raise UsageError(f"{program} has no line `{MARK} ...`", code="U083", hint=hint)
    new = _read_scaffold(source).partition(MARK)[2].replace(NAME, declared.name)
    if old == new:
        print_message(f"{program} is up to date.")
        return 0
    _replace(program, f"{own}{mark}{new}")
    print_message(f"{program}: the half below `{MARK}` was renewed. Next: gitops provider test {folder}")
    return 0


@command.command()
@click.argument("subject")
@format_option
def test(subject: str, format_name: str) -> int:
    """Run the laws of providers. SUBJECT is a kind, which is tried on a simulated machine below a throw-away folder, or the folder of
    an external provider, which is tried on this machine with the things that its cases.json names. Exit 4: one is broken.
    """
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="gitops-provider-") as scratch:
        name, found = _open(subject, Path(scratch))
        for verdict in found:
            verdicts.append(verdict)
            if format_name == "text":
                click.echo(_render(verdict))
    broken = sum(1 for verdict in verdicts if verdict.reason)
    if format_name == "json":
        rows: list[Json] = [verdict.to_json() for verdict in verdicts]
        print_json({"schema": "gitops/provider-test/v1", "provider": name, "verdicts": rows})
    else:
        print_message(f"{name}: {len(verdicts) - broken} of {len(verdicts)} laws hold.")
    return BROKEN if broken else 0


def _replace(path: Path, text: str) -> None:
    """Write beside and rename over, so that the author's half is never lost; the mode stays."""
    beside = path.with_name(f".{path.name}.new")
    write_new(beside, text.encode("utf-8"))
    beside.chmod(path.stat().st_mode & 0o777)
    beside.replace(path)


def _read_scaffold(source: str) -> str:
    return (resources.files("gitops.cli") / "scaffold" / source).read_text(encoding="utf-8")


def _open(subject: str, scratch: Path) -> tuple[str, Iterator[Verdict]]:
    """Give the name and the verdicts to come; a folder of a kind's name is meant when it is written as a path (`./file`)."""
    if subject in SCENARIOS or not Path(subject).is_dir():
        return subject, judge_kind(subject, scratch)
    opened = open_subject(Path(subject))
    return opened.declared.name, judge_provider(opened, scratch)


def _render(verdict: Verdict) -> str:
    reason = f"\n         {escape_terminal(verdict.reason)}" if verdict.reason else ""
    return f"{'BROKEN' if verdict.reason else 'holds ':<7} {escape_terminal(verdict.case):<12} {verdict.law}{reason}"
