"""`gitops apply --local`: plan, show, ask, apply on this machine; with `--yes` and no plan file in one run of the executor."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gitops.cli.ask import QUESTION, confirm, tell_waiting
from gitops.cli.output import print_json, print_message
from gitops.cli.planfile import check_covered, read_plan_file
from gitops.cli.planprint import print_host_plan
from gitops.cli.source import Source, compile_here
from gitops.cli.wanted import Wanted
from gitops.model.plan import HostPlan
from gitops.model.report import Outcome, Report
from gitops.model.scope import Scope
from gitops.model.wire import Event
from gitops.pipeline.compilecache import CompiledHere
from gitops.pipeline.local import LocalRun, apply_here, apply_shown, plan_here
from gitops.render.escape import escape_terminal
from gitops.transport.local import Started, Tell

CHANGES, HELD, FAILED, REVERTED = 2, 3, 4, 5


def run(source: Source, wanted: Wanted, cache: Path, environment: Mapping[str, str]) -> int:
    """Compile, plan, show, ask and apply; give the exit status."""
    where = LocalRun(wanted.root, Path(wanted.state), cache, environment, wanted.prune)
    is_at_once = wanted.is_confirmed and not wanted.is_dry and source.plan_file is None
    with tempfile.TemporaryDirectory(prefix="gitops-blobs-") as folder:
        if is_at_once:
            with Started(cache) as started:
                found = compile_here(source, wanted.hosts[0], cache)
                return _apply_at_once(found, wanted, replace(where, started=started), Path(folder))
        found = compile_here(source, wanted.hosts[0], cache)
        approved = None if source.plan_file is None else read_plan_file(source.plan_file, found.project)
        return _apply_after_asking(found, wanted, where, Path(folder), approved)


def _apply_at_once(found: CompiledHere, wanted: Wanted, where: LocalRun, blobs: Path) -> int:
    """Let the executor plan and apply under one lock: nobody is asked in between, so what is shown is what is done."""

    def show(plan: HostPlan) -> None:
        if wanted.format_name == "text":
            print_host_plan(plan, "text")

    plan, report = apply_shown(
        wanted.hosts[0],
        found.graphs,
        where,
        blobs=blobs,
        show=show,
        only=wanted.only,
        tell=_teller(wanted.format_name),
        lock_timeout=wanted.lock_timeout,
    )
    return _conclude(plan, report, wanted.format_name)


def _apply_after_asking(found: CompiledHere, wanted: Wanted, where: LocalRun, blobs: Path, approved: Scope | None) -> int:
    name = wanted.hosts[0]
    plan = plan_here(name, found.graphs, where, blobs=blobs, only=wanted.only)
    if wanted.format_name == "text" or wanted.is_dry:
        print_host_plan(plan, wanted.format_name)
    if wanted.is_dry:
        return FAILED if plan.is_refused else CHANGES if plan.changes else 0
    check_covered(approved, Scope({name: plan.scope}))
    if plan.changes and not wanted.is_confirmed:
        confirm(QUESTION)
    report = apply_here(
        name,
        found.graphs,
        where,
        blobs=blobs,
        approved=plan.scope,
        only=wanted.only,
        tell=_teller(wanted.format_name),
        lock_timeout=wanted.lock_timeout,
    )
    return _conclude(plan, report, wanted.format_name)


def _conclude(plan: HostPlan, report: Report, format_name: str) -> int:
    _print_report(plan, report, format_name)
    return {"held": HELD, "failed": FAILED, "reverted": REVERTED}.get(report.result, 0)


def _teller(format_name: str) -> Tell:
    def tell(event: Event) -> None:
        tell_waiting(event)
        if event.event == "step" and format_name == "text":
            outcome = Outcome.from_json(event.body)
            message = f": {escape_terminal(outcome.message)}" if outcome.message else ""
            print_message(f"  {outcome.result:<8} {escape_terminal(outcome.address)}{message}")

    return tell


def _print_report(plan: HostPlan, report: Report, format_name: str) -> None:
    if format_name == "json":
        print_json({"schema": "gitops/applied/v1", "plan": plan.to_json(), "reports": [report.to_json()]})
        return
    words = {
        "converged": "Nothing had to be done.",
        "changed": "Done.",
        "held": f"Held: {report.reason}",
        "failed": f"Something failed. {report.reason}".rstrip(),
        "reverted": f"Something failed: {report.reason}.",
    }
    end = f" Run {report.run}." if report.changes else ""
    print_message(escape_terminal(words[report.result] + end))
