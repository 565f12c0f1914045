"""Daily care: pack the mirror, and issue releases again at half of their life, so that agents never meet an expired one.

Issuing again needs no approval, since nothing changes for any host. Only a service that signs does it; it reads the release branch, so
that another signer's release counts as well.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from gitops.errors import TrueupError, TrustError
from gitops.model.manifest import Manifest
from gitops.pipeline.release import ReleaseOrder
from gitops.pipeline.released import anchor_of
from gitops.pipeline.route import Route
from webhooks.forges.port import Remote
from webhooks.mirrors import Mirrors, find_branch
from webhooks.records import JobRecord, ReleaseRecord
from webhooks.store.releases import list_releases, save_release
from webhooks.store.store import Store
from webhooks.work.anchors import Anchors
from webhooks.work.signer import Signer

LOG = logging.getLogger("trueup.release")
LOOKED_AT = 500


@dataclass(frozen=True)
class RenewPorts:
    """What renewing works with."""

    store: Store
    mirrors: Mirrors
    signer: Signer
    anchors: Anchors


def renew(ports: RenewPorts, job: JobRecord) -> None:
    """Do the job `renew`: look at the last release of each environment; one that cannot be renewed does not stop the others."""
    repository = job.payload["repository"]
    ports.mirrors.tidy(repository)
    if ports.signer.key is None:
        return
    newest = _find_newest(ports, repository)
    if not newest:
        return
    mirror, remote = ports.mirrors.refresh(repository)
    routes = ports.anchors.open_routes(repository, mirror, find_branch(mirror, remote.branch))
    for record in newest:
        try:
            _renew(ports, record, routes.find(record.environment), (mirror, remote))
        except TrueupError as error:
            LOG.warning("%s %s could not be issued again: %s", repository, record.environment, error.message)


def is_due(manifest: Manifest, now: datetime) -> bool:
    """Say whether half of a release's life is over."""
    return now - manifest.issued >= (manifest.expires - manifest.issued) / 2


def _find_newest(ports: RenewPorts, repository: str) -> list[ReleaseRecord]:
    with ports.store.read() as connection:
        known = list_releases(connection, repository=repository, limit=LOOKED_AT)
    found: dict[str, ReleaseRecord] = {}
    for record in known:
        if record.state == "released":
            found.setdefault(record.environment, record)
    return [record for _, record in sorted(found.items())]


def _renew(ports: RenewPorts, record: ReleaseRecord, route: Route | None, place: tuple[Path, Remote]) -> None:
    """Issue what stands again, by the rules in force; what cannot be verified is not."""
    if route is not None and route.doubt:
        raise TrustError(route.doubt, code="T131")
    deployed = None if route is None else route.deployed
    if route is None or deployed is None or ports.signer.key is None or not is_due(deployed.manifest, ports.signer.now()):
        return
    source, (mirror, remote) = deployed.manifest.commit, place
    order = ReleaseOrder(
        repository=mirror,
        project=deployed.manifest.repository,
        environment=route.rule,
        commit=source,
        graphs=deployed.graphs,
        key=ports.signer.key,
        now=ports.signer.now(),
        url=remote.url,
        access=remote.environment,
        is_forced=True,
        compiler=deployed.manifest.compiler,
        extensions=deployed.manifest.extensions,
        base=deployed.commit,
    )
    done = ports.signer.make(order)
    LOG.info("%s %s: release %d issued again as %d", record.repository, record.environment, record.serial, done.serial)
    with ports.store.write() as connection:
        changed = replace(
            record,
            source=anchor_of(deployed.manifest),
            serial=done.serial,
            commit=done.commit,
            digest=done.digest,
            branch=route.rule.release,
            at=ports.signer.now(),
        )
        save_release(connection, changed)
