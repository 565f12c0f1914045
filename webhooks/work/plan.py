"""Plan a pull request again, when its head, its target, what is released or what was observed moved, or when somebody asks.

Takes the stored record, refreshes the mirror and runs the spine `gitops.pipeline.pull`. A plan that says the same as the one that stands
is not written again, so that its publication and its approvals stay what they are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from gitops.errors import BugError, ConfigError, HeldError, MalformedError, RemoteError, TrueupError, TrustError
from gitops.model.codec import Json, encode_canonical
from gitops.model.diagnostic import Diagnostic, Place
from gitops.model.observation import Observation
from gitops.pipeline.pull import Observe, PlannedEnvironment, PlannedPull, PullInputs, plan_pull
from webhooks.metrics import Metrics
from webhooks.mirrors import Mirrors, find_branch
from webhooks.records import PlanRecord, PullRecord
from webhooks.store.hosts import read_observations
from webhooks.store.plans import add_plan, list_current_plans, retire_plan
from webhooks.store.store import Store
from webhooks.work.anchors import Anchors
from webhooks.work.settle import is_held

LOG = logging.getLogger("trueup.plan")
PLAN_AGAIN = "plan"


@dataclass(frozen=True)
class PlanPorts:
    """What planning works with."""

    store: Store
    mirrors: Mirrors
    anchors: Anchors
    metrics: Metrics
    now: Callable[[], datetime]


@dataclass(frozen=True)
class Need:
    """Whether to plan. `is_news`: what stands in the comment is about something else. `target` is the branch's commit, `mirror` where,
    `default` the name of the repository's default branch.
    """

    is_needed: bool
    is_news: bool
    target: str
    mirror: Path
    default: str


def needs_plan(ports: PlanPorts, pull: PullRecord, again: str) -> Need:
    """Refresh the mirror and compare with what was planned. `again` says why somebody asks (`plan`: a person), or is empty.

    What is merged is planned once more, as it was merged, only when it never was planned or when its release is held: then people can
    still approve exactly what would be released.
    """
    is_merged = pull.state == "merged"
    wanted = None if is_merged else pull.key
    mirror, remote = ports.mirrors.refresh(pull.key.repository, wanted, pull.merged if is_merged else pull.head)
    target = find_branch(mirror, pull.branch)
    if not target:
        raise RemoteError(f"{pull.key}: the branch {pull.branch} is not there", code="R206")
    if is_merged:
        is_news = pull.planned_head != pull.merged and (pull.planning != "planned" or is_held(ports.store, pull, mirror))
        return Need(is_news or (bool(again) and pull.planned_head == pull.merged), is_news, target, mirror, remote.branch)
    is_news = pull.planned_head != pull.head or pull.target != target or pull.planning == "waiting" or again == PLAN_AGAIN
    return Need(is_news or bool(again), is_news, target, mirror, remote.branch)


def plan_again(ports: PlanPorts, pull: PullRecord, need: Need) -> PullRecord:
    """Plan; give the record with what came of it, whose plans are in the store. The record itself is not saved here."""
    is_merged = pull.state == "merged"
    head = pull.merged if is_merged else pull.head
    target, is_default = "" if is_merged else need.target, need.default == pull.branch
    inputs = PullInputs(need.mirror, pull.key.name, head, target, pull.branch, is_default)
    with ports.metrics.planning.time():
        planned = _plan(ports, pull, need, inputs)
    planning = _name_state(planned)
    ports.metrics.plans.labels(planning).inc()
    LOG.info("%s at %s on %s: %s", pull.key, head[:12], need.target[:12], planning)
    for item in planned.diagnostics if planned.is_broken else ():
        LOG.error("%s: %s", item.message, "\n".join(item.notes))
    _keep_plans(ports, pull, planned, inputs)
    return replace(
        pull,
        planning=planning,
        planned_head=head,
        target=need.target,
        diagnostics=planned.diagnostics,
        conflicts=planned.conflicts,
        note=" ".join((*_say_left(planned.left), *_say_doubts(planned.doubts))),
    )


def _name_state(planned: PlannedPull) -> str:
    if planned.is_planned:
        return "planned"
    if planned.is_broken:
        return "failed"
    return "conflict" if planned.is_conflict else "invalid"


def _plan(ports: PlanPorts, pull: PullRecord, need: Need, inputs: PullInputs) -> PlannedPull:
    repository = pull.key.repository
    try:
        routes = ports.anchors.open_routes(repository, need.mirror, find_branch(need.mirror, need.default))
        return plan_pull(inputs, routes, _make_observer(ports.store, repository))
    except (ConfigError, TrustError, HeldError) as error:
        # A commit that cannot be read, proposed or in force: people must see it where they look.
        return PlannedPull(diagnostics=(_describe(error),))
    except BugError as error:
        # A law that this program broke, it breaks again: trying once more only keeps people waiting.
        return PlannedPull(diagnostics=(_describe(error),), is_broken=True)


def _describe(error: TrueupError) -> Diagnostic:
    return Diagnostic(error.code, error.message, Place("gitops.yaml"), hint=error.hint)


def _make_observer(store: Store, repository: str) -> Observe:
    def observe(environment: str, hosts: Sequence[str]) -> Mapping[str, Observation]:
        with store.read() as connection:
            return read_observations(connection, repository, environment, hosts)

    return observe


def _keep_plans(ports: PlanPorts, pull: PullRecord, planned: PlannedPull, inputs: PullInputs) -> None:
    """Write the plans that say something new; retire those of environments that have none any more."""
    with ports.store.write() as connection:
        standing = {plan.environment: plan for plan in list_current_plans(connection, pull.key)}
        for item in planned.plans:
            record = _record_of(ports, pull, item, inputs)
            before = standing.pop(record.environment, None)
            if before is None or not _is_same(before, record):
                add_plan(connection, record)
        for environment in standing:
            retire_plan(connection, pull.key, environment)


def _record_of(ports: PlanPorts, pull: PullRecord, item: PlannedEnvironment, inputs: PullInputs) -> PlanRecord:
    document = item.plan.to_bytes()
    return PlanRecord(
        ident=0,
        pull=pull.key,
        environment=item.environment.name,
        change_digest=item.plan.change_digest,
        content_digest=item.plan.content_digest,
        head=inputs.head,
        target=inputs.target,
        document=document,
        made=ports.now(),
        required=item.environment.required,
        approvers=item.environment.approvers,
        parts=item.plan.to_parts(),
    )


def _is_same(before: PlanRecord, now: PlanRecord) -> bool:
    """Compare two plans but for when the hosts were observed: a fresh look that finds the same is no new plan."""
    if (before.head, before.target, before.required, before.approvers) != (now.head, now.target, now.required, now.approvers):
        return False
    try:
        return _without_ages(before) == _without_ages(now)
    except MalformedError:  # what stands cannot be read any more: it is made anew
        return False


def _without_ages(record: PlanRecord) -> bytes:
    table: dict[str, Json] = record.plan.to_json()
    observed = table.pop("observed")
    seen = sorted(host for host, at in observed.items() if at is not None) if isinstance(observed, dict) else []
    return encode_canonical({**table, "seen": seen})


def _say_left(left: Sequence[str]) -> tuple[str, ...]:
    if not left:
        return ()
    return (f"Environments that this removes: {', '.join(left)}. Their hosts stay on their last release.",)


def _say_doubts(doubts: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"Warning: {doubt}. The plan starts from nothing, and nothing is released on that tip." for doubt in doubts)
