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
from gitops.errors import ConfigError, HeldError, RemoteError, TrustError, UsageError
from gitops.model.manifest import Manifest
from gitops.model.plan import FleetPlan
from gitops.pipeline.answer import CompiledCommit
from gitops.pipeline.child import compile_commit
from gitops.pipeline.pull import govern
from gitops.pipeline.release import Released, ReleaseOrder
from gitops.pipeline.released import Deployed, read_released
from webhooks.forges.port import Remote
from webhooks.jobs.works import Jobs, touch_pull
from webhooks.metrics import Metrics
from webhooks.mirrors import Mirrors, find_branch
from webhooks.records import JobRecord, PullRecord, ReleaseRecord
from webhooks.store.approvals import list_unspent, spend_approval
from webhooks.store.plans import list_current_plans
from webhooks.store.pulls import list_unsettled
from webhooks.store.releases import find_release, list_releases, save_release
from webhooks.store.store import Store
from webhooks.work.judge import JudgePorts
from webhooks.work.settle import FINAL
from webhooks.work.signer import Signer
from webhooks.work.spend import Target, find_spendable

LOG = logging.getLogger("trueup.release")


@dataclass(frozen=True)
class ReleasePorts:
    """What one release is made with: records, those who judge approvals once more, who signs."""

    store: Store
    judging: JudgePorts
    signer: Signer


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
    compiled = compile_commit(mirror, tip)
    merged = Merged(repository, branch, tip, mirror, remote, compiled)
    followers = [item for _, item in sorted(compiled.environments.items()) if item.source == branch]
    news = [environment.name for environment in followers if _release(ports, merged, environment)]
    with ports.store.read() as connection:
        waiting = [item for item in list_unsettled(connection, repository) if item.branch == branch]
    for pull in waiting:
        if pull.state == "merged" and news:
            ports.jobs.add(touch_pull(pull.key))
        elif pull.state == "open" and (news or pull.target != tip):
            ports.jobs.add(touch_pull(pull.key, reason="released"))


def _release(ports: MergePorts, merged: Merged, environment: Environment) -> bool:
    """Bring one environment up to the tip; say whether something new is known of it."""
    with ports.store.read() as connection:
        known = find_release(connection, merged.repository, environment.name, merged.tip)
    if known is not None and known.state in FINAL:
        return False
    try:
        record = _try_release(ports.releasing, merged, environment)
    except HeldError as error:
        reason = f"{error.message} ({error.hint})" if error.hint else error.message
        record = _record(ports.releasing, merged, environment, "held", reason)
    except (TrustError, UsageError) as error:
        record = _record(ports.releasing, merged, environment, "failed", f"{error.code}: {error.message}")
    is_news = known is None or (known.state, known.reason) != (record.state, record.reason)
    if is_news:
        LOG.info("%s %s at %s: %s %s", merged.repository, environment.name, merged.tip[:12], record.state, record.reason)
        ports.metrics.releases.labels(record.state).inc()
        with ports.store.write() as connection:
            save_release(connection, record)
    return is_news


def _try_release(ports: ReleasePorts, merged: Merged, environment: Environment) -> ReleaseRecord:
    if not merged.compiled.is_valid:
        return _record(ports, merged, environment, "failed", "the merged config has errors")
    deployed = read_released(merged.mirror, environment.release, environment.name)
    if deployed is not None and deployed.manifest.commit == merged.tip:
        return _note_released(ports, merged, environment, deployed.manifest, (deployed.commit, deployed.digest))
    if deployed is None and not merged.compiled.graphs[environment.name].hosts:
        return _record(ports, merged, environment, "nothing", "it has no hosts yet")
    if ports.signer.key is None:
        return _record(ports, merged, environment, "waiting", "")
    target = Target(merged.repository, environment.name, merged.branch, merged.tip, merged.mirror)
    spendable = find_spendable(ports.judging, target)
    rules = _find_rules(ports, merged, environment, deployed)
    order = ReleaseOrder(
        repository=merged.mirror,
        project=merged.compiled.project,
        environment=govern(environment, rules[0]),
        earlier=rules[1:],
        commit=merged.tip,
        graphs=merged.compiled.graphs[environment.name],
        key=ports.signer.key,
        now=ports.signer.now(),
        url=merged.remote.url,
        access=merged.remote.environment,
        approvals=spendable.approvals,
        plan=_find_plan(ports, merged, environment, spendable.pulls),
    )
    try:
        done = ports.signer.make(order)
    except HeldError as error:
        raise spendable.explain(error) from error
    return _note_done(ports, merged, environment, done)


def _find_rules(
    ports: ReleasePorts, merged: Merged, environment: Environment, deployed: Deployed | None
) -> tuple[Environment, ...]:
    """Give the environment as the last source commit that went through had it, then as the last release had it; itself for the first.

    A merge that only loosens rules changes nothing on hosts, so nobody approved it: until a release is approved under the rules of the
    last one, as many people as those demanded are demanded still, and of those whom it names. What demands more counts at once.
    """
    with ports.store.read() as connection:
        known = list_releases(connection, environment=environment.name)
    passed = [item.source for item in known if item.repository == merged.repository and item.state in FINAL]
    approved = [deployed.manifest.commit] if deployed is not None else passed[-1:]
    sources = dict.fromkeys([*(passed[:1] or approved), *approved])
    found = [_read_rules(merged, source, environment.name) for source in sources]
    if not found:
        return (environment,)
    newest = replace(found[0], required=max(item.required for item in found), is_signed=any(item.is_signed for item in found))
    return (newest, *found[1:])


def _read_rules(merged: Merged, source: str, name: str) -> Environment:
    """Read an environment's rules at an earlier commit; whoever makes them unreadable must not be judged by new ones."""
    try:
        compiled = compile_commit(merged.mirror, source)
    except ConfigError as error:
        raise _unreadable(name, source, error.message) from error
    if not compiled.is_valid:
        # It was valid when it was released: this machine was too slow, or short of memory. Tried again.
        message = f"the rules of {name} at {source[:12]} cannot be read: {compiled.diagnostics[0].message}"
        raise RemoteError(message, code="R207")
    if name not in compiled.environments:
        raise _unreadable(name, source, "that commit has no such environment")
    return compiled.environments[name]


def _unreadable(name: str, source: str, why: str) -> HeldError:
    message = f"the rules of {name} at {source[:12]}, which its last release had, cannot be read: {why}"
    return HeldError(message, code="H053", hint="bring that commit back, or release by hand")


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
