"""`apply` and `plan --live` on hosts that are reached over SSH: plan all, show one plan, ask once, apply in step, and sum up."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import click

from gitops.cli.folders import cache_folder, environment_variables, make_private
from gitops.cli.output import print_json, print_message, wants_colour
from gitops.cli.planfile import check_covered
from gitops.cli.progress import Progress
from gitops.cli.project import Opened, select_hosts
from gitops.cli.wanted import Wanted
from gitops.config.config import HostDocument
from gitops.errors import TrueupError, UsageError
from gitops.executor.state import make_run_id
from gitops.model.codec import Json
from gitops.model.fleetplan import FleetPlan, PlanSubject
from gitops.model.plan import HostPlan
from gitops.model.report import Report
from gitops.pipeline.push import Ended, Pace, Push, apply_there, plan_there, resolve_push_secrets, visit_hosts
from gitops.plan.fleet import join_plans
from gitops.render.text import render_fleet_plan
from gitops.render.words import name_hosts
from gitops.transport.kept import KeptSessions
from gitops.transport.ssh import Destination, Ssh

CHANGES, HELD, FAILED, REVERTED, REMOTE = 2, 3, 4, 5, 7
RESULTS = {"held": HELD, "failed": FAILED, "interrupted": FAILED, "reverted": REVERTED}
WORST = (70, 6, FAILED, REVERTED, REMOTE, HELD, 1, CHANGES)


@dataclass(frozen=True)
class Planned:
    """What the hosts would do, as one plan and each by itself, and those that could not say."""

    fleet: FleetPlan
    plans: dict[str, HostPlan]
    errors: tuple[Ended[HostPlan], ...]
    selected: tuple[str, ...]
    pace: Pace

    @property
    def status(self) -> int:
        """Give the exit status of a plan of this."""
        if self.errors:
            return worst_status(_statuses(self.errors))
        if any(plan.is_refused for plan in self.plans.values()):
            return FAILED
        return CHANGES if self.fleet.has_changes else 0


def open_push(opened: Opened, wanted: Wanted) -> Push:
    """Select hosts and check all that can be known before the first connection: connections, addresses, secrets."""
    hosts = opened.built.config.hosts
    selected = select_hosts(hosts, wanted.hosts)
    list(split_waves(selected, wanted.waves))  # said now, when it cannot be read
    for name in selected:
        if hosts[name].connection != "ssh":
            raise refuse_remote(hosts[name])
    environments = sorted({opened.built.compiled.hosts[name].environment for name in selected})
    if len(environments) != 1:
        raise UsageError(
            f"these hosts are in several environments: {', '.join(environments)}",
            code="U022",
            hint="select by a label, one at a time",
        )
    sockets = cache_folder() / "ssh"
    make_private(sockets)
    config = "" if wanted.ssh_config is None else str(wanted.ssh_config.absolute())
    push = Push(
        opened.built.compiled.graphs[environments[0]],
        {name: Destination.parse(hosts[name].address or name) for name in selected},
        Ssh(sockets, wanted.become or "", config, environment=environment_variables()),
        environment_variables(),
        root=wanted.root,
        state=wanted.state,
        only=wanted.only,
        guards=wanted.guards,
        lock_timeout=wanted.lock_timeout,
    )
    for name in selected:
        resolve_push_secrets(push, push.graphs.resources_of(name))
    return push


def refuse_remote(host: HostDocument) -> UsageError:
    """Say why a host cannot be reached from here, and what to do instead."""
    ways = {"agent": "is converged by its own agent (`connection: agent`); nothing is pushed to it"}
    way = ways.get(host.connection, "is this machine (`connection: local`)")
    hint = f"set `connection: ssh`, or on the machine itself: `gitops apply --local --host {host.name}`"
    return UsageError(f"{host.name} {way}", code="U060", hint=hint)


def plan_hosts(opened: Opened, push: Push, wanted: Wanted) -> Planned:
    """Plan all selected hosts as they are now."""
    selected = tuple(sorted(push.destinations))
    pace = Pace(wanted.parallel, read_max_failures(wanted.max_failures, len(selected)))
    progress = Progress("planning", len(selected), is_quiet=wanted.format_name != "text")
    everyone = replace(
        pace, max_failures=len(selected)
    )  # planning harms nobody: ask all, so that all that is wrong is said at once
    ended = visit_hosts(selected, partial(plan_there, push), everyone, done=progress.done)
    plans = {item.host: item.found for item in ended if item.found is not None}
    subject = PlanSubject(opened.built.config.project.name, push.graphs.environment, head=opened.snapshot.commit)
    errors = tuple(item for item in ended if item.error is not None)
    return Planned(join_plans(subject, tuple(plans.values())), plans, errors, selected, pace)


def apply_over_ssh(opened: Opened, wanted: Wanted, *, confirm: str) -> int:
    """Plan, show, ask, apply, sum up; give the exit status."""
    kept = KeptSessions()
    with contextlib.closing(kept):
        return _apply_kept(opened, replace(open_push(opened, wanted), kept=None if wanted.is_dry else kept), wanted, confirm)


def _apply_kept(opened: Opened, push: Push, wanted: Wanted, confirm: str) -> int:
    planned = plan_hosts(opened, push, wanted)
    if wanted.format_name == "text" or wanted.is_dry:
        print_plan(planned.fleet, wanted.format_name)
    if wanted.is_dry:
        return planned.status
    if len(planned.errors) > planned.pace.max_failures:
        print_message(
            f"{len(planned.errors)} of {len(planned.selected)} hosts could not be planned; nothing was changed."
            f" `--max-failures {len(planned.errors)}` goes on without them."
        )
        _print_result(planned, (), wanted)
        return planned.status
    check_covered(wanted.approved, planned.fleet.scope)
    if planned.fleet.has_changes and not wanted.is_confirmed and not click.confirm(confirm):
        raise UsageError("nothing was changed: you said no", code="U065")
    ended = _apply_all(push, planned, wanted)
    _print_result(planned, ended, wanted)
    return worst_status([*_statuses(planned.errors), *_statuses(ended)])


def print_plan(plan: FleetPlan, format_name: str) -> None:
    """Print the plan of all hosts."""
    if format_name == "json":
        print_json({**plan.to_json(), "content_digest": plan.content_digest})
    else:
        click.echo(render_fleet_plan(plan, now=datetime.now(UTC), colour=wants_colour()), nl=False)


def read_max_failures(text: str, hosts: int) -> int:
    """Read `N` or `N%` (of the selected hosts, rounded down)."""
    number = text.removesuffix("%")
    if not (number.isascii() and number.isdigit() and len(number) < 8):  # noqa: PLR2004  ten million hosts
        raise UsageError(f"--max-failures takes a number or a percentage: got {text[:40]!r}", code="U064")
    return int(number) * hosts // 100 if text.endswith("%") else int(number)


def split_waves(hosts: Sequence[str], text: str) -> Iterator[Sequence[str]]:
    """Give hosts wave by wave: sizes as `N` or `N%` with commas between, the last as often as it takes; an empty text is one wave."""
    sizes = [_read_size(item, len(hosts)) for item in text.split(",")] if text else [max(len(hosts), 1)]
    start = 0
    for size in itertools.chain(sizes, itertools.repeat(sizes[-1])):
        if start >= len(hosts):
            return
        yield hosts[start : start + size]
        start += size


def _read_size(text: str, hosts: int) -> int:
    number = text.strip().removesuffix("%")
    if not (number.isascii() and number.isdigit() and int(number[:8]) > 0):
        hint = "like `1,10%,50%`: one host, then a tenth of them, then half of them until all are done"
        raise UsageError(f"--waves takes numbers or percentages above 0: got {text[:40]!r}", code="U064", hint=hint)
    return max(1, int(number[:8]) * hosts // 100) if text.strip().endswith("%") else int(number[:8])


def worst_status(statuses: Iterable[int]) -> int:
    """Give the exit status that matters most among those of hosts."""
    found = set(statuses)
    return next((status for status in WORST if status in found), 0)


def _apply_all(push: Push, planned: Planned, wanted: Wanted) -> tuple[Ended[Report], ...]:
    """Apply where there is something to do; a host with nothing to do is not asked again."""
    due = {name: plan for name, plan in planned.plans.items() if plan.changes or plan.unmanaged or not plan.scope.is_empty}
    idle = [_report_idle(plan) for name, plan in sorted(planned.plans.items()) if name not in due]
    progress = Progress("applying", len(due), is_quiet=wanted.format_name != "text")
    visit = partial(_apply_one, push, due, progress)
    ended: list[Ended[Report]] = []
    left = planned.pace.max_failures - len(planned.errors)
    try:
        for wave in split_waves(sorted(due), wanted.waves):
            if left >= 0:
                found = visit_hosts(wave, visit, replace(planned.pace, max_failures=left), done=progress.done)
                ended.extend(found)
                left -= sum(item.has_failed for item in found)
    except KeyboardInterrupt:
        print_message("\nInterrupted. Runs that had begun go on to their end on the hosts; the same command shows what is left.")
        raise
    return tuple(sorted((*idle, *ended), key=lambda item: item.host))


def _apply_one(push: Push, due: dict[str, HostPlan], progress: Progress, host: str) -> Report:
    return apply_there(push, due[host], approved=due[host].scope, tell=progress.tell)


def _report_idle(plan: HostPlan) -> Ended[Report]:
    """Make the report of a host whose plan was empty: nothing ran there."""
    seen = plan.observed or datetime.now(UTC)
    drifted = tuple(change.address for change in plan.reported)
    run = make_run_id(time.time())
    return Ended(plan.host, Report(run, plan.host, "converged", seen, seen, unchanged=plan.unchanged, drifted=drifted))


def _print_result(planned: Planned, ended: tuple[Ended[Report], ...], wanted: Wanted) -> None:
    """Print the one document, or for people how many hosts ended how, and which need somebody."""
    failures = (*planned.errors, *(item for item in ended if item.error is not None))
    begun = {item.host for item in (*planned.errors, *ended)}
    left = [name for name in planned.selected if name not in begun]
    if wanted.format_name == "json":
        reports: list[Json] = [item.found.to_json() for item in ended if item.found is not None]
        errors: list[Json] = [error_json(item.host, item.error) for item in failures if item.error is not None]
        plan = planned.fleet.to_json()
        print_json({"schema": "gitops/pushed/v1", "plan": plan, "reports": reports, "errors": errors, "not_begun": list(left)})
        return
    named: dict[str, list[str]] = {}
    for item in ended:
        if item.found is not None:
            named.setdefault(item.found.result, []).append(item.host)
    counts = [f"{len(hosts)} {word}" for word, hosts in sorted(named.items())]
    counts += [f"{len(failures)} with an error"] if failures else []
    counts += [f"{len(left)} not begun"] if left else []
    print_message(f"{len(planned.selected)} hosts: {', '.join(counts) or 'nothing done'}.")
    for word in ("failed", "held", "reverted", "interrupted"):
        if word in named:
            print_message(f"  {word}: {name_hosts(named[word])}")
    if left:
        print_message(f"  not begun, since more than {planned.pace.max_failures} failed: {name_hosts(left)}")


def error_json(host: str, error: TrueupError) -> dict[str, Json]:
    """Give why a host has no answer, as documents have it."""
    return {"host": host, "code": error.code, "message": error.message, "hint": error.hint, "exit": error.exit_status}


def _statuses(ended: Iterable[Ended[HostPlan] | Ended[Report]]) -> list[int]:
    found: list[int] = []
    for item in ended:
        if item.error is not None:
            found.append(item.error.exit_status)
        elif isinstance(item.found, Report):
            found.append(RESULTS.get(item.found.result, 0))
    return found
