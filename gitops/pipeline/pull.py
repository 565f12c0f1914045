"""From a pull request to what reviewers see: one plan per environment that its target branch releases to.

Takes a bare repository with both commits and the release branches, and what was last observed; gives frozen plans, or why there are
none. Compiled in bounded children; who may approve is read from the target branch alone, never from what is proposed. Nothing is
written, nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gitops.config.config import Environment
from gitops.model.diagnostic import Diagnostic
from gitops.model.graph import Graphs
from gitops.model.observation import Observation
from gitops.model.plan import FleetPlan, PlanSubject
from gitops.pipeline.answer import CompiledCommit
from gitops.pipeline.child import compile_commit
from gitops.pipeline.released import read_released
from gitops.plan.fleet import FleetInputs, plan_fleet
from gitops.providers.registry import PROVIDERS

Observe = Callable[[Sequence[str]], Mapping[str, Observation]]


@dataclass(frozen=True)
class PullInputs:
    """What is planned: `head` merged into `target`, the commit of `branch`; with an empty `target` (it is merged already), `head` as it is.

    `name` is the pull request's name, which the change digest binds; `subpath` the project's folder in the repository.
    """

    repository: Path
    name: str
    head: str
    target: str
    branch: str
    subpath: str = ""


@dataclass(frozen=True)
class PlannedEnvironment:
    """One environment's plan, and the rules of the target branch under which it is approved."""

    environment: Environment
    plan: FleetPlan


@dataclass(frozen=True)
class PlannedPull:
    """What came of planning. `is_planned` alone says that it was planned: no plans, no conflicts and no diagnostics say nothing of it.

    `is_conflict`: the commits do not merge; the diagnostics say why, and `conflicts` are the files that git names, which may be none.
    Warnings may stand beside plans. `left` names environments that the target branch has and this takes away: their hosts stay on their
    last release.
    """

    plans: tuple[PlannedEnvironment, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    conflicts: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    is_planned: bool = False
    is_conflict: bool = False


def plan_pull(inputs: PullInputs, observe: Observe) -> PlannedPull:
    """Plan a pull request against what is released and observed; raise RemoteError when the repository lacks a commit.

    `observe` gives the last observations of the hosts it is asked for.
    """
    # 1. Compile the merge result; the proposed code runs nowhere.
    compiled = compile_commit(inputs.repository, inputs.head, target=inputs.target, subpath=inputs.subpath)
    if not compiled.is_valid:
        return PlannedPull(diagnostics=compiled.diagnostics, conflicts=compiled.conflicts, is_conflict=compiled.is_conflict)
    # 2. Who may approve is what the target branch says now.
    rules = read_rules(inputs)
    # 3. Plan each environment that follows the target branch, over what is released.
    affected = _find_affected(compiled, rules, inputs.branch)
    plans = tuple(PlannedEnvironment(item, _plan_environment(inputs, compiled, item, observe)) for item in affected)
    left = tuple(
        sorted(name for name, rule in rules.items() if name not in compiled.environments and rule.source == inputs.branch)
    )
    return PlannedPull(plans, compiled.diagnostics, left=left, is_planned=True)


def read_rules(inputs: PullInputs) -> Mapping[str, Environment]:
    """Give the target branch's environments by name; none when its config cannot be read, or when there is no target."""
    if not inputs.target:
        return {}
    return compile_commit(inputs.repository, inputs.target, subpath=inputs.subpath).environments


def govern(environment: Environment, rule: Environment | None) -> Environment:
    """Give an environment whose approvals are those of another version of itself: what is proposed never judges itself."""
    if rule is None:
        return environment
    return replace(environment, required=rule.required, approvers=rule.approvers, is_signed=rule.is_signed)


def _find_affected(compiled: CompiledCommit, rules: Mapping[str, Environment], branch: str) -> tuple[Environment, ...]:
    """Give the environments released from the branch; approvals as the target has them, or as proposed where it has no such one."""
    found: list[Environment] = []
    for name, proposed in sorted(compiled.environments.items()):
        rule = rules.get(name)
        if branch not in (proposed.source, None if rule is None else rule.source):
            continue
        found.append(govern(proposed, rule))
    return tuple(found)


def _plan_environment(inputs: PullInputs, compiled: CompiledCommit, environment: Environment, observe: Observe) -> FleetPlan:
    desired = compiled.graphs.get(environment.name, Graphs(environment.name))
    deployed = read_released(inputs.repository, environment.release, environment.name)
    released = None if deployed is None else deployed.graphs
    hosts = sorted({*desired.hosts, *(() if released is None else released.hosts)})
    subject = PlanSubject(
        repository=compiled.project,
        environment=environment.name,
        pull=inputs.name,
        base="" if deployed is None else deployed.manifest.commit,
        head=inputs.head,
        target=inputs.target,
    )
    serial = 0 if deployed is None else deployed.manifest.serial
    return plan_fleet(subject, FleetInputs(desired, released, observe(hosts), serial=serial), providers=PROVIDERS)
