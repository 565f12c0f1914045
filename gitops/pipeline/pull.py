"""From a pull request to what reviewers see: one plan per environment that its target branch releases to.

Takes a bare repository with both commits and the release branches, and what was last observed; gives frozen plans, or why there are
none. Compiled in bounded children. Which environments it goes to, who approves and what it is compared with is what is in force
(`gitops.pipeline.route`), never what is proposed: a change of that is an item of the plan. Nothing is written, nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitops.config.config import Environment
from gitops.config.load import PROJECT_FILE
from gitops.model.diagnostic import Diagnostic, Place
from gitops.model.fleetplan import FleetPlan, PlanSubject
from gitops.model.graph import Graphs
from gitops.model.observation import Observation
from gitops.pipeline.answer import CompiledCommit
from gitops.pipeline.child import compile_commit
from gitops.pipeline.route import Route, Routes, plan_new
from gitops.plan.fleet import FleetInputs, plan_fleet
from gitops.providers.registry import PROVIDERS

Observe = Callable[[str, Sequence[str]], Mapping[str, Observation]]
WRONG_PROJECT, UNJUDGED = "C221", "C224"
PROJECT_HINT = "keep the name; the service's settings can bind another (GITOPS_REPOSITORIES=owner/name=project)"


@dataclass(frozen=True)
class PullInputs:
    """What is planned: `head` merged into `target`, the commit of `branch`; with an empty `target` (it is merged already), `head` as it is.

    `name` is the pull request's name, which the change digest binds; `is_default` says that `branch` is the repository's default one, so
    that a new environment may begin there; `subpath` is the project's folder in the repository.
    """

    repository: Path
    name: str
    head: str
    target: str
    branch: str
    is_default: bool = False
    subpath: str = ""


@dataclass(frozen=True)
class PlannedEnvironment:
    """One environment's plan, and the rules in force under which it is approved."""

    environment: Environment
    plan: FleetPlan


@dataclass(frozen=True)
class PlannedPull:
    """What came of planning. `is_planned` alone says that it was planned: no plans, no conflicts and no diagnostics say nothing of it.

    `is_conflict`: the commits do not merge; the diagnostics say why, and `conflicts` are the files that git names, which may be none.
    Warnings may stand beside plans; UNJUDGED is the one that there is no environment at all, in force or proposed. `left` names
    environments that are in force and that this takes away: their hosts stay on their last release. `doubts` say which baselines could
    not be verified, so that their plans start from nothing. `is_broken`: this program broke, which says nothing of the config, and the
    diagnostics say what to report.
    """

    plans: tuple[PlannedEnvironment, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    conflicts: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    is_planned: bool = False
    is_conflict: bool = False
    is_broken: bool = False


def plan_pull(inputs: PullInputs, routes: Routes, observe: Observe) -> PlannedPull:
    """Plan a pull request against what is released and observed; raise RemoteError when the repository lacks a commit.

    `observe` gives, for an environment, the last observations of the hosts it is asked for.
    """
    # 1. Compile the merge result; the proposed code runs nowhere.
    compiled = compile_commit(inputs.repository, inputs.head, target=inputs.target, subpath=inputs.subpath)
    if not compiled.is_valid:
        return PlannedPull(
            diagnostics=compiled.diagnostics,
            conflicts=compiled.conflicts,
            is_conflict=compiled.is_conflict,
            is_broken=compiled.breakage is not None,
        )
    # 2. It is still this repository's project.
    problem = routes.check_project(compiled.project)
    if problem:
        found = Diagnostic(WRONG_PROJECT, problem, Place(PROJECT_FILE), hint=PROJECT_HINT)
        return PlannedPull(diagnostics=(found, *compiled.diagnostics))
    # 3. Where it goes and who approves is what is in force now.
    known = _find_routes(compiled, routes)
    followed = {name: route for name, route in known.items() if _follows(route, inputs)}
    # 4. Plan each environment that follows the target branch, over what is released.
    present = {name: route for name, route in followed.items() if name in compiled.environments}
    plans = tuple(_plan_environment(inputs, compiled, name, route, observe) for name, route in sorted(present.items()))
    doubts = tuple(route.doubt for _, route in sorted(present.items()) if route is not None and route.doubt)
    return PlannedPull(
        plans,
        (*compiled.diagnostics, *(() if known else (_say_unjudged(),))),
        left=tuple(sorted(set(followed) - set(present))),
        doubts=doubts,
        is_planned=True,
    )


def _say_unjudged() -> Diagnostic:
    """Say what is missing: that nothing is planned here is no sign that all is well."""
    message = "the project has no environment: nothing is planned, and nobody is asked for an approval"
    hint = "add environments, with source, release, hosts and approvals"
    return Diagnostic(UNJUDGED, message, Place(PROJECT_FILE), severity="warning", hint=hint)


def _find_routes(compiled: CompiledCommit, routes: Routes) -> Mapping[str, Route | None]:
    return {name: routes.find(name) for name in sorted({*compiled.environments, *routes.name_remembered()})}


def _follows(route: Route | None, inputs: PullInputs) -> bool:
    """Say whether an environment is released from the target branch; one that is only proposed begins on the default branch."""
    return inputs.is_default if route is None else route.rule.source == inputs.branch


def _plan_environment(
    inputs: PullInputs, compiled: CompiledCommit, name: str, route: Route | None, observe: Observe
) -> PlannedEnvironment:
    proposed = compiled.environments[name]
    routing = plan_new(proposed) if route is None else route.plan_change(proposed, compiled.hosts)
    deployed = None if route is None else route.deployed
    desired = compiled.graphs.get(name, Graphs(name))
    released = None if deployed is None else deployed.graphs
    hosts = sorted({*desired.hosts, *(() if released is None else released.hosts)})
    subject = PlanSubject(
        repository=compiled.project,
        environment=name,
        pull=inputs.name,
        base="" if deployed is None else deployed.manifest.commit,
        head=inputs.head,
        target=inputs.target,
    )
    serial = 0 if deployed is None else deployed.manifest.serial
    fleet = FleetInputs(desired, released, observe(name, hosts), serial=serial, routing=routing)
    plan = plan_fleet(subject, fleet, providers=PROVIDERS)
    return PlannedEnvironment(proposed if route is None else route.govern(proposed), plan)
