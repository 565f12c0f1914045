"""Release what was merged: for each environment that follows a branch, its tip becomes the next signed release, when approved.

Idempotent: the release branch itself says what is released, so that a crash after the push only has its records written again. Approvals
are looked at once more before they are spent, by the rules of the config that was released last, never by those being released.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gitops.config.config import Environment
from gitops.errors import HeldError, RemoteError, TrustError, UsageError
from gitops.model.fleetplan import FleetPlan
from gitops.model.manifest import Manifest
from gitops.model.scope import HostScope
from gitops.pipeline.answer import CompiledCommit, check_whole
from gitops.pipeline.child import compile_commit
from gitops.pipeline.release import Released, ReleaseOrder
from gitops.pipeline.route import Route, Routes
from gitops.signatures.keys import SigningKey
from webhooks.forges.port import Remote
from webhooks.jobs.works import Jobs, touch_pull
from webhooks.metrics import Metrics
from webhooks.mirrors import Mirrors, find_branch
from webhooks.records import JobRecord, PullRecord, ReleaseRecord
from webhooks.store.approvals import list_unspent, spend_approval
from webhooks.store.plans import list_current_plans
from webhooks.store.pulls import list_unsettled
from webhooks.store.releases import find_release, save_release
from webhooks.store.store import Store
from webhooks.work.anchors import Anchors
from webhooks.work.judge import JudgePorts
from webhooks.work.settle import FINAL
from webhooks.work.signer import Signer
from webhooks.work.spend import Target, find_spendable

LOG = logging.getLogger("trueup.release")


@dataclass(frozen=True)
class ReleasePorts:
    """What one release is made with: records, those who judge approvals once more, who signs, what is in force."""

    store: Store
    judging: JudgePorts
    signer: Signer
    anchors: Anchors


@dataclass(frozen=True)
class MergePorts:
    """What the job works with."""

    store: Store
    mirrors: Mirrors
    jobs: Jobs
    metrics: Metrics
    releasing: ReleasePorts


@dataclass(frozen=True)
class Merged:
    """The tip of a branch, compiled, and where it came from."""

    repository: str
    branch: str
    tip: str
    mirror: Path
    remote: Remote
    compiled: CompiledCommit


def release_merged(ports: MergePorts, job: JobRecord) -> None:
    """Do the job `release`."""
    repository, branch = job.payload["repository"], job.payload["branch"]
    mirror, remote = ports.mirrors.refresh(repository)
    tip = find_branch(mirror, branch)
    if not tip:
        return
    routes = ports.releasing.anchors.open_routes(repository, mirror, find_branch(mirror, remote.branch))
    merged = Merged(repository, branch, tip, mirror, remote, check_whole(compile_commit(mirror, tip), tip))
    news, troubles = False, list[RemoteError]()
    for name in sorted(merged.compiled.environments):
        try:
            news = _release(ports, merged, name, routes) or news
        except RemoteError as error:
            # Tried again; the other environments do not wait for it.
            troubles.append(error)
    with ports.store.read() as connection:
        waiting = [item for item in list_unsettled(connection, repository) if item.branch == branch]
    for pull in waiting:
        if pull.state == "merged" and news:
            ports.jobs.add(touch_pull(pull.key))
        elif pull.state == "open" and (news or pull.target != tip):
            ports.jobs.add(touch_pull(pull.key, reason="released"))
    if troubles:
        raise troubles[0]


def _release(ports: MergePorts, merged: Merged, name: str, routes: Routes) -> bool:
    """Bring one environment up to the tip, when it is released from that branch; say whether something new is known of it.

    Whether it is: not what the tip says decides, but what is in force.
    """
    with ports.store.read() as connection:
        known = find_release(connection, merged.repository, name, merged.tip)
    if known is not None and known.state in FINAL:
        return False
    environment, route = merged.compiled.environments[name], None
    try:
        route = routes.find(name)
        if route is None or route.rule.source != merged.branch:
            return False
        environment = route.govern(environment)
        record = _try_release(ports.releasing, merged, environment, route, routes)
    except HeldError as error:
        if environment.source != merged.branch:
            return False
        reason = f"{error.message} ({error.hint})" if error.hint else error.message
        record = _record(ports.releasing, merged, environment, "held", reason)
        # Where it goes is what it says itself, if the rules in force cannot be read: later looks must not go by it.
        record = record if route is not None else replace(record, branch="")
    except (TrustError, UsageError) as error:
        record = _record(ports.releasing, merged, environment, "failed", f"{error.code}: {error.message}")
    is_news = known is None or (known.state, known.reason) != (record.state, record.reason)
    if is_news:
        if known is not None and record.state != "released":
            # When it was first looked at decides whose rules stand before anything is released.
            record = replace(record, at=known.at)
        LOG.info("%s %s at %s: %s %s", merged.repository, name, merged.tip[:12], record.state, record.reason)
        ports.metrics.releases.labels(record.state).inc()
        with ports.store.write() as connection:
            save_release(connection, record)
    return is_news


def _try_release(ports: ReleasePorts, merged: Merged, environment: Environment, route: Route, routes: Routes) -> ReleaseRecord:
    """Make the release; `environment` is as the tip has it, governed as is in force."""
    if not merged.compiled.is_valid:
        return _record(ports, merged, environment, "failed", "the merged config has errors")
    problem = routes.check_project(merged.compiled.project)
    if problem:
        raise UsageError(problem, code="C221")
    if route.doubt and ports.signer.key is not None:
        raise TrustError(route.doubt, code="T131")
    deployed = route.deployed
    if deployed is not None and deployed.manifest.commit == merged.tip:
        return _note_released(ports, merged, environment, deployed.manifest, (deployed.commit, deployed.digest))
    if deployed is None and not merged.compiled.graphs[environment.name].hosts:
        return _record(ports, merged, environment, "nothing", "it has no hosts yet")
    if ports.signer.key is None:
        return _record(ports, merged, environment, "waiting", "")
    ports.anchors.pin(merged.repository, merged.compiled.project)
    return _make(ports, merged, environment, ports.signer.key, route)


def _make(ports: ReleasePorts, merged: Merged, environment: Environment, key: SigningKey, route: Route) -> ReleaseRecord:
    change = route.plan_change(merged.compiled.environments[environment.name], merged.compiled.hosts)
    target = Target(merged.repository, environment.name, merged.branch, merged.tip, merged.mirror)
    spendable = find_spendable(ports.judging, target)
    order = ReleaseOrder(
        repository=merged.mirror,
        project=merged.compiled.project,
        environment=environment,
        routing=HostScope() if change is None else change.scope,
        commit=merged.tip,
        graphs=merged.compiled.graphs[environment.name],
        key=key,
        now=ports.signer.now(),
        url=merged.remote.url,
        access=merged.remote.environment,
        approvals=spendable.approvals,
        plan=_find_plan(ports, merged, environment, spendable.pulls),
        base="" if route.deployed is None else route.deployed.commit,
    )
    try:
        done = ports.signer.make(order)
    except HeldError as error:
        raise spendable.explain(error) from error
    return _note_done(ports, merged, environment, done)


def _find_plan(ports: ReleasePorts, merged: Merged, environment: Environment, pulls: Sequence[PullRecord]) -> FleetPlan | None:
    """Give the plan of the pull request whose merge the tip is."""
    for pull in pulls:
        if pull.merged == merged.tip:
            with ports.store.read() as connection:
                for plan in list_current_plans(connection, pull.key):
                    if plan.environment == environment.name:
                        return plan.plan
    return None


def _note_done(ports: ReleasePorts, merged: Merged, environment: Environment, done: Released) -> ReleaseRecord:
    if done.is_new:
        return _note_released(ports, merged, environment, done.manifest, (done.commit, done.digest))
    return _record(ports, merged, environment, "nothing", done.reason)


def _note_released(
    ports: ReleasePorts, merged: Merged, environment: Environment, manifest: Manifest, names: tuple[str, str]
) -> ReleaseRecord:
    """Write what a release spent; give its record. `names` are the release's commit and the manifest's digest."""
    spent = set(manifest.approvals)
    with ports.store.write() as connection:
        for item in list_unspent(connection, merged.repository, environment.name):
            if item.approval is not None and item.approval.digest in spent:
                spend_approval(connection, item.ident, manifest.serial)
    record = _record(ports, merged, environment, "released", "")
    commit, digest = names
    return replace(record, serial=manifest.serial, commit=commit, digest=digest)


def _record(ports: ReleasePorts, merged: Merged, environment: Environment, state: str, reason: str) -> ReleaseRecord:
    with ports.store.read() as connection:
        pulls = [item for item in list_unsettled(connection, merged.repository) if item.merged == merged.tip]
    return ReleaseRecord(
        repository=merged.repository,
        environment=environment.name,
        source=merged.tip,
        state=state,
        at=ports.signer.now(),
        pull=pulls[0].key.name if pulls else "",
        branch=environment.release,
        reason=reason,
    )
