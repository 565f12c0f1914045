"""Spine: plan and apply on hosts that are reached over SSH, from compiled graphs to a report for each. Each line is one room.

Hosts are asked side by side, up to a number; once more of them have failed than may, no further host begins. What a host says is read
as a noun and nothing else: it can lie about itself, and about nobody else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar, cast

from gitops.errors import BugError, HostError, RemoteError, TrueupError
from gitops.model.address import Address
from gitops.model.codec import Json
from gitops.model.graph import Graphs
from gitops.model.limits import DEFAULTS
from gitops.model.plan import HostPlan
from gitops.model.report import Report
from gitops.model.resource import Resource
from gitops.model.scope import HostScope
from gitops.model.wire import Event, Request
from gitops.plan.declared import add_secrets
from gitops.plan.textdiff import add_diffs
from gitops.secrets.resolve import resolve_secrets
from gitops.secrets.rules import read_rules
from gitops.transport.kept import KeptSessions
from gitops.transport.ssh import Destination, Payload, Session, Ssh
from gitops.trust.contents import find_blobs, find_programs

Found = TypeVar("Found")
Found_co = TypeVar("Found_co", covariant=True)
TellHost = Callable[[str, Event], None]


@dataclass(frozen=True)
class Push:
    """What is pushed, and how. `root` and `state` are folders on the hosts (empty: the machine itself, its own state); `kept` keeps
    sessions from planning for applying.
    """

    graphs: Graphs
    destinations: Mapping[str, Destination]
    ssh: Ssh
    environment: Mapping[str, str]
    root: str = ""
    state: str = ""
    only: tuple[Address, ...] = ()
    guards: bool = False
    lock_timeout: int = DEFAULTS.lock_seconds
    payload: Payload = field(default_factory=Payload.make)
    kept: KeptSessions | None = None


@dataclass(frozen=True)
class Ended(Generic[Found_co]):
    """What became of one host: what was found, or why not."""

    host: str
    found: Found_co | None = None
    error: TrueupError | None = None

    @property
    def has_failed(self) -> bool:
        """Say whether it counts as failed: not reached, or something on it failed, was undone, or is held."""
        return self.error is not None or (isinstance(self.found, Report) and self.found.result not in ("converged", "changed"))


@dataclass(frozen=True)
class Pace:
    """How many hosts at the same time, and how many may fail before no other begins."""

    parallel: int = 20
    max_failures: int = 0


def plan_there(push: Push, host: str) -> HostPlan:
    """Plan one host as it is now; changes nothing there but the executor's cache. Contents do not travel for this, but for the programs
    that guards ask.
    """
    request = replace(make_push_request("plan", push, host), guards=push.guards)
    programs = _take_blobs(push, find_programs(request.resources) if push.guards else ())
    with contextlib.ExitStack() as stack:
        session = stack.enter_context(open_session(push, host))
        plan = HostPlan.from_json(cast("Json", session.ask(request, programs).body("plan")))
        check_speaker(host, plan.host)
        if push.kept is not None and not plan.scope.is_empty:
            stack.pop_all()
            push.kept.put(host, session)
    created = {change.address for change in plan.changes if change.action == "create"}
    after = {resource.address: resource for resource in push.graphs.resources_of(host) if resource.address in created}
    return add_secrets(add_diffs(plan, {}, after, push.graphs.blobs.get), push.graphs.resources_of(host))


def apply_there(push: Push, plan: HostPlan, *, approved: HostScope, tell: TellHost | None = None) -> Report:
    """Apply on one host; `approved` is the scope that was shown: anything more is held. Contents of what the plan changes travel, and the
    programs that tell how the host is.
    """
    host = plan.host
    request = replace(make_push_request("apply", push, host), approved=approved, lock_timeout=push.lock_timeout)
    changed = {change.address for change in plan.changes}
    digests = find_blobs(resource for resource in request.resources if resource.address in changed)
    blobs = _take_blobs(push, digests | find_programs(request.resources))

    def tell_of_host(event: Event) -> None:
        if tell is not None:
            tell(host, event)

    with open_session(push, host) as session:
        report = Report.from_json(cast("Json", session.ask(request, blobs, tell_of_host).body("report")))
    check_speaker(host, report.host)
    return report


def _take_blobs(push: Push, digests: Iterable[str]) -> dict[str, bytes]:
    return {digest: push.graphs.blobs[digest] for digest in sorted(digests)}


def open_session(push: Push, host: str) -> Session:
    """Give the session that was kept for a host, else a new one."""
    kept = None if push.kept is None else push.kept.take(host)
    return kept or Session(push.destinations[host], push.ssh, push.payload)


def make_push_request(operation: str, push: Push, host: str) -> Request:
    """Make the request for one host, with its secrets resolved here; where contents lie and runs are kept is the host's business."""
    resources = push.graphs.resources_of(host)
    return Request(
        operation=operation,
        host=host,
        environment=push.graphs.environment,
        resources=resources,
        secrets=resolve_push_secrets(push, resources),
        state=push.state,
        root=push.root,
        only=push.only,
    )


def resolve_push_secrets(push: Push, resources: Iterable[Resource]) -> dict[str, str]:
    """Give the values of a host's secrets; raise ConfigError naming all that are missing or not allowed."""
    return resolve_secrets(resources, push.environment, read_rules(push.environment))


def visit_hosts(
    hosts: Iterable[str], visit: Callable[[str], Found], pace: Pace, *, done: Callable[[Ended[Found]], None] | None = None
) -> tuple[Ended[Found], ...]:
    """Visit hosts side by side; give what became of each that began, in the order of their names.

    The threads are daemons: when this process is interrupted, what is under way is left to the hosts, and no other begins.
    """
    left, ended, running, failed = sorted(hosts, reverse=True), list[Ended[Found]](), 0, 0
    answers: SimpleQueue[Ended[Found]] = SimpleQueue()
    while True:
        while left and failed <= pace.max_failures and running < pace.parallel:
            Thread(target=_visit, args=(left.pop(), visit, answers), daemon=True).start()
            running += 1
        if not running:
            return tuple(sorted(ended, key=lambda item: item.host))
        ended.append(answers.get())
        running -= 1
        failed += ended[-1].has_failed
        if done is not None:
            done(ended[-1])


def _visit(host: str, visit: Callable[[str], Found], answers: SimpleQueue[Ended[Found]]) -> None:
    """Visit one host and answer whatever happens; what nobody foresaw is a bug, shown by its traceback, and not of the other hosts."""
    ended: Ended[Found] = Ended(host, error=BugError(f"the visit to {host} broke off", code="B032"))
    try:
        ended = Ended(host, visit(host))
    except TrueupError as error:
        ended = Ended(host, error=error)
    except OSError as error:
        ended = Ended(host, error=HostError(f"{host}: {error.strerror or error}", code="E269"))
    finally:
        answers.put(ended)


def check_speaker(host: str, said: str) -> None:
    """Raise RemoteError when a host's answer is about another host."""
    if host != said:
        raise RemoteError(f"{host} speaks for another host: `{said[:80]}`", code="R046")
