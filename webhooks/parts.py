"""The second half of the composition root: all ports of one service, and who gets which.

Nobody but `webhooks.app` imports this: a handler takes the ports that it uses, at most five, and never the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from starlette.routing import BaseRoute

from gitops.model.trustroot import TrustRoot
from gitops.signatures.keys import SigningKey
from webhooks.api.hosts import HostPorts
from webhooks.api.intake import Intake
from webhooks.api.routes import ApiPorts, make_api
from webhooks.auth.gate import Gate
from webhooks.forges.watched import Forges
from webhooks.hooks.github import GithubDoor
from webhooks.hooks.inbox import Inbox
from webhooks.jobs.engine import Handler
from webhooks.jobs.works import Jobs
from webhooks.metrics import Metrics
from webhooks.mirrors import Mirrors
from webhooks.settings import Settings
from webhooks.store.store import Store
from webhooks.work.anchors import Anchors
from webhooks.work.judge import JudgePorts
from webhooks.work.plan import PlanPorts
from webhooks.work.publish import PublishPorts
from webhooks.work.pull import PullPorts, Stages, give_up_pull, sync_pull
from webhooks.work.release import MergePorts, ReleasePorts, release_merged
from webhooks.work.renew import RenewPorts, renew
from webhooks.work.repository import ReconcilePorts, reconcile
from webhooks.work.signer import Signer


@dataclass(frozen=True)
class Parts:
    """One service. `fresh` gives random bytes; `key` None: somebody else signs; `roots` are pinned trust roots by project."""

    settings: Settings
    store: Store
    forges: Forges
    mirrors: Mirrors
    metrics: Metrics
    jobs: Jobs
    now: Callable[[], datetime]
    fresh: Callable[[int], bytes]
    sleep: Callable[[float], None]
    key: SigningKey | None = field(default=None, repr=False)
    roots: Mapping[str, TrustRoot] = field(default_factory=dict[str, TrustRoot])


def make_handlers(parts: Parts) -> Mapping[str, Handler]:
    """Give what does each kind of job."""
    store, now = parts.store, parts.now
    judging = JudgePorts(store, parts.forges, now)
    signer = Signer(now, parts.sleep, parts.key)
    anchors = Anchors(store, parts.mirrors, parts.settings.projects, parts.roots, parts.key)
    stages = Stages(
        PlanPorts(store, parts.mirrors, anchors, parts.metrics, now),
        PublishPorts(store, parts.forges, parts.metrics, now, parts.settings.public_url),
        judging,
    )
    pull = PullPorts(store, parts.forges, parts.jobs, now, stages)
    merge = MergePorts(store, parts.mirrors, parts.jobs, parts.metrics, ReleasePorts(store, judging, signer, anchors))
    return {
        "pull": Handler(partial(sync_pull, pull), partial(give_up_pull, pull)),
        "repository": Handler(partial(reconcile, ReconcilePorts(store, parts.forges, parts.mirrors, parts.jobs))),
        "release": Handler(partial(release_merged, merge)),
        "renew": Handler(partial(renew, RenewPorts(store, parts.mirrors, signer, anchors))),
    }


def make_api_routes(parts: Parts, gate: Gate) -> list[BaseRoute]:
    """Give the routes of webhooks, health, metrics and `/api/v1`."""
    settings, store = parts.settings, parts.store
    inbox = Inbox(store, parts.jobs, parts.now)
    github = GithubDoor(settings.github_webhook_secret, parts.forges.repositories, inbox, parts.metrics)
    hosts = HostPorts(store, parts.metrics, parts.now, parts.fresh, Intake())
    return make_api(ApiPorts(store, parts.metrics, gate, settings.admin_token), github, hosts)
