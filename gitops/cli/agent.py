"""`gitops agent enroll|run|status|pause|resume`: the pull side, on the machine that it converges.

Options in, nouns and exit statuses out; `agent/` does the work. Reads a trust root and a token from files, never from the command line.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from agent.converge import retry_failed
from agent.documents import Enrolment, Pause
from agent.enrolled import Enrolled, open_enrolled
from agent.fetch import show_url
from agent.loop import Cycle, run_cycle
from agent.report import exchange_token, open_client
from agent.schedule import Rhythm, run_until_told, stop_on_signals
from agent.settings import default_state, parse_interval, read_settings
from agent.state import AgentState
from agent.status import describe_status, list_warnings
from gitops.cli.output import format_option, print_error, print_json, print_message, read_file
from gitops.errors import BugError, ConfigError, TrueupError, UsageError, describe_os_error
from gitops.model.address import is_object_name
from gitops.model.limits import DEFAULTS
from gitops.model.trustroot import read_trust_root
from gitops.render.escape import escape_terminal

LONGEST_PAUSE = 30 * 86400
TOKEN_BYTES = 4096


def state_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --state to a verb."""
    text = "The agent's folder (default: GITOPS_STATE_DIR, else /var/lib/gitops for root)."
    return click.option("--state", type=click.Path(path_type=Path, file_okay=False), help=text)(function)


@click.group()
def command() -> None:
    """The pull side: this machine fetches, verifies, converges and reports by itself."""


@command.command()
@click.option("--repo", required=True, metavar="URL", help="The repository: https://, ssh://, file:// or a path.")
@click.option("--env", "environment", required=True, help="The environment that this machine follows.")
@click.option("--name", required=True, metavar="HOST", help="The machine's name in the inventory.")
@click.option("--trust-root", "trust_root", required=True, type=click.Path(path_type=Path), help="The document to pin.")
@click.option("--service", default="", metavar="URL", help="Where reports go.")
@click.option("--token-file", "token_file", type=click.Path(path_type=Path), help="A file with the one-time token.")
@state_option
def enroll(
    repo: str, environment: str, name: str, trust_root: Path, service: str, token_file: Path | None, state: Path | None
) -> int:
    """Pin whom this machine trusts and follows; once, an enrolment is never overwritten."""
    folder = AgentState(default_state(state))
    folder.refuse_second()
    enrolment = _make_enrolment(repo, environment, name, trust_root, service)
    if bool(service) != (token_file is not None):
        raise UsageError("--service and --token-file belong together", code="U084", hint="`gitops token HOST` makes a token")
    folder.prepare()
    folder.enrol(enrolment, "" if token_file is None else _exchange(enrolment, token_file))
    print_message(
        f"{name} follows {show_url(enrolment.url)}, {enrolment.branch}; next: gitops agent run --once --state {folder.machine}"
    )
    return 0


@command.command()
@click.option("--once", "is_once", is_flag=True, help="One cycle, then end with its exit status.")
@click.option("--root", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Put files below DIR.")
@click.option("--interval", metavar="SPAN", help="Time between cycles, like 90s or 15m (default: the settings' own, 5m).")
@click.option("--format", "format_name", type=click.Choice(("json", "text")), default="json", show_default=True)
@state_option
def run(is_once: bool, root: Path | None, interval: str | None, format_name: str, state: Path | None) -> int:
    """Fetch, verify, advance, heal, report. Exit 0: well, 3: held, 4: failed, 5: failed and put back, 6: refused, 7: unreachable."""
    machine = _open(state, root)
    if is_once:
        return _tell(run_cycle(machine, _now), format_name)
    settings = machine.settings
    seconds = parse_interval(interval) if interval else settings.interval
    rhythm = Rhythm(machine.enrolment.host, seconds, settings.jitter if not interval else seconds // 10)
    print_message(f"every {seconds} s, {rhythm.phase} s into each; SIGTERM ends it after the cycle that is going on")
    run_until_told(lambda: _run_guarded(machine, format_name), rhythm, stop_on_signals())
    return 0


@command.command()
@format_option
@state_option
def status(format_name: str, state: Path | None) -> int:
    """Show whom this machine follows, what it holds, how the last cycle ended. Exit 6: not enrolled, or state lost."""
    machine = _open(state, None)
    found = describe_status(machine, _now())
    warnings = list_warnings(found)
    if format_name == "json":
        print_json({**found.to_json(), "warnings": list(warnings)})
        return 0
    for name, text in found.to_lines():
        click.echo(f"{name:<11} {escape_terminal(text)}")
    for warning in warnings:
        print_message(f"warning: {escape_terminal(warning)}")
    return 0


@command.command()
@click.option("--for", "span", required=True, metavar="SPAN", help="How long, like 2h; at most 30d.")
@click.option("--reason", required=True, help="Why; it is shown and reported.")
@state_option
def pause(span: str, reason: str, state: Path | None) -> int:
    """Do nothing for a while: neither advance nor heal; cycles only report that they are paused."""
    machine, seconds = _open(state, None), parse_interval(span)
    if seconds > LONGEST_PAUSE:
        raise UsageError(
            "a pause is at most 30d", code="U085", hint="stop the service instead: systemctl disable --now trueup-agent"
        )
    until = _now() + timedelta(seconds=seconds)
    machine.state.write_pause(Pause(until, reason[:500]))
    print_message(f"paused until {until:%Y-%m-%d %H:%M} UTC: nothing is healed until then")
    return 0


@command.command()
@state_option
def resume(state: Path | None) -> int:
    """End a pause, and try a release that failed here again at the next cycle."""
    machine = _open(state, None)
    machine.state.write_pause(None)
    retry_failed(machine)
    print_message("the next cycle runs as usual")
    return 0


def _open(state: Path | None, root: Path | None) -> Enrolled:
    folder = default_state(state)
    if root is not None and root.resolve() == Path("/"):
        raise ConfigError("--root / is this machine itself; leave --root out", code="U041")
    return open_enrolled(folder, read_settings(folder), "" if root is None else str(root.resolve()))


def _make_enrolment(repo: str, environment: str, name: str, trust_root: Path, service: str) -> Enrolment:
    if not is_object_name(name):
        raise UsageError(f"not a host's name: got {name[:80]!r}", code="U086")
    root = read_trust_root(read_file(trust_root, DEFAULTS.document_bytes))
    if environment not in root.environments:
        known = ", ".join(sorted(root.environments)) or "none"
        raise UsageError(f"the trust root knows no environment `{environment}`", code="U087", hint=f"it knows: {known}")
    if service and not service.startswith(("https://", "http://")):
        raise UsageError(f"not the service's address: got {service[:80]!r}", code="U088", hint="it begins with https://")
    url = repo if "://" in repo or ":" in repo.partition("/")[0] else str(Path(repo).absolute())
    return Enrolment(url, environment, name, root, service.rstrip("/"))


def _exchange(enrolment: Enrolment, token_file: Path) -> str:
    token = read_file(token_file, TOKEN_BYTES).decode("ascii", "replace").strip()
    if enrolment.service.startswith("http://"):
        print_message("warning: the service is not reached over https: whoever listens gets this host's credential")
    with open_client() as client:
        host, environment = enrolment.host, enrolment.environment
        return exchange_token(client, enrolment.service, host=host, environment=environment, token=token)


def _run_guarded(machine: Enrolled, format_name: str) -> None:
    """Run one cycle of the daemon: whatever ends it is said, and the next one comes."""
    try:
        _tell(run_cycle(machine, _now), format_name)
    except TrueupError as error:
        print_error(error)
    except OSError as error:
        print_error(BugError(describe_os_error(error, str(machine.state.base)), code="E272"))


def _tell(cycle: Cycle, format_name: str) -> int:
    for warning in cycle.warnings:
        print_message(f"warning: {escape_terminal(warning)}")
    report = cycle.report
    if format_name == "json":
        print_json(report.to_json())
    else:
        done = ", ".join(f"{item.address} {item.result}" for item in report.changes) or "nothing changed"
        click.echo(f"{report.run}  {report.result}  release {report.serial}  {escape_terminal(done)}")
    if cycle.stop is not None:
        print_error(cycle.stop)
    return cycle.status


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
