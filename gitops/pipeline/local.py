"""Spine: plan and apply on this machine, from compiled graphs to a report. Each line is one room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from gitops.model.address import Address
from gitops.model.codec import Json
from gitops.model.graph import Graphs
from gitops.model.limits import DEFAULTS
from gitops.model.plan import HostPlan
from gitops.model.report import Report
from gitops.model.scope import HostScope
from gitops.model.wire import Event, Request
from gitops.plan.declared import add_secrets
from gitops.plan.textdiff import add_diffs
from gitops.secrets.resolve import resolve_secrets
from gitops.secrets.rules import read_rules
from gitops.transport.local import Executed, Started, Tell, run_local


@dataclass(frozen=True)
class LocalRun:
    """Where a run happens: the root (empty: this machine itself), its state, the cache of the executor, the environment.

    `prune`: what it also removes, which the config no longer has. `started`: an executor that waits for the request, if one does.
    """

    root: str
    state: Path
    cache: Path
    environment: Mapping[str, str]
    prune: tuple[Address, ...] = ()
    started: Started | None = None


def plan_here(
    host: str, graphs: Graphs, run: LocalRun, *, blobs: Path, only: tuple[Address, ...] = (), guards: bool = False
) -> HostPlan:
    """Plan this machine as it is now; changes nothing."""
    request = replace(make_request("plan", host, graphs, run, blobs=blobs), only=only, guards=guards)
    return _with_diffs(run_local(request, cache=run.cache).body("plan"), host, graphs)


def _with_diffs(body: object, host: str, graphs: Graphs) -> HostPlan:
    plan = HostPlan.from_json(cast("Json", body))
    if not plan.changes:
        return plan
    created = {change.address for change in plan.changes if change.action == "create"}
    after = {resource.address: resource for resource in graphs.resources_of(host) if resource.address in created}
    return add_secrets(add_diffs(plan, {}, after, graphs.blobs.get), graphs.resources_of(host))


def apply_here(  # noqa: PLR0913  the run, and how it is told
    host: str,
    graphs: Graphs,
    run: LocalRun,
    *,
    blobs: Path,
    approved: HostScope | None,
    only: tuple[Address, ...] = (),
    tell: Tell | None = None,
    lock_timeout: int = DEFAULTS.lock_seconds,
) -> Report:
    """Apply; `approved` is the scope of the plan that was shown: anything more is held."""
    request = make_request("apply", host, graphs, run, blobs=blobs)
    request = replace(request, approved=approved, only=only, lock_timeout=lock_timeout)
    return read_report(run_local(request, cache=run.cache, tell=tell))


def apply_shown(  # noqa: PLR0913  the run, and how it is told
    host: str,
    graphs: Graphs,
    run: LocalRun,
    *,
    blobs: Path,
    show: Callable[[HostPlan], None],
    only: tuple[Address, ...] = (),
    tell: Tell | None = None,
    lock_timeout: int = DEFAULTS.lock_seconds,
) -> tuple[HostPlan, Report]:
    """Plan and apply in one run of the executor, under one lock; `show` gets the plan before anything is changed or right after it
    began. For who was told to go on whatever the plan says.
    """
    request = make_request("apply", host, graphs, run, blobs=blobs)
    plans: list[HostPlan] = []

    def tell_all(event: Event) -> None:
        if event.event == "plan":
            plans.append(_with_diffs(event.body, host, graphs))
            show(plans[-1])
        if tell is not None:
            tell(event)

    request = replace(request, only=only, lock_timeout=lock_timeout)
    executed = run.started.run(request, tell_all) if run.started else run_local(request, cache=run.cache, tell=tell_all)
    return plans[-1], read_report(executed)


def make_request(operation: str, host: str, graphs: Graphs, run: LocalRun, *, blobs: Path) -> Request:
    """Make the request for one host, with its secrets resolved and its contents laid out in `blobs`."""
    resources = graphs.resources_of(host)
    for digest, data in graphs.blobs.items():
        path = blobs / digest[:2] / digest
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
    return Request(
        operation=operation,
        host=host,
        environment=graphs.environment,
        resources=resources,
        secrets=resolve_secrets(resources, run.environment, read_rules(run.environment)),
        blobs=str(blobs),
        state=str(run.state),
        root=run.root,
        prune=run.prune,
    )


def read_report(executed: Executed) -> Report:
    """Give the report among the events."""
    return Report.from_json(cast("Json", executed.body("report")))
