"""Build a release: graphs, approvals, plan and what is carried on become a tree of files under one signed manifest (DESIGN §5).

Deterministic but for the signatures: same draft, same manifest. Decides nothing, publishes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gitops.model.approval import Approval
from gitops.model.codec import Json
from gitops.model.fleetplan import FleetPlan
from gitops.model.graph import Graphs
from gitops.model.manifest import Manifest, Previous
from gitops.release.tree import layout_graphs
from gitops.signatures.bundle import sign_manifest
from gitops.signatures.keys import SigningKey


@dataclass(frozen=True)
class Draft:
    """Everything that a release says. `carried` are files of `trust/` and `extensions/`, by path, taken as they are."""

    repository: str
    environment: str
    serial: int
    previous: Previous | None
    commit: str
    compiler: str
    issued: datetime
    expires: datetime
    graphs: Graphs
    approvals: Sequence[Approval] = ()
    plan: FleetPlan | None = None
    rollback_of: int = 0
    carried: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    extensions: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True)
class BuiltRelease:
    """A signed release that nobody has seen yet."""

    manifest: Manifest
    digest: str
    files: Mapping[str, bytes]


def build_release(draft: Draft, keys: Sequence[SigningKey]) -> BuiltRelease:
    """Lay out the tree and sign its manifest with every key."""
    layout = layout_graphs(draft.graphs)
    approvals = {item.digest: item.to_bytes() for item in draft.approvals}
    plan = b"" if draft.plan is None else draft.plan.to_bytes()
    manifest = Manifest(
        repository=draft.repository,
        environment=draft.environment,
        serial=draft.serial,
        previous=draft.previous,
        commit=draft.commit,
        issued=draft.issued,
        expires=draft.expires,
        compiler=draft.compiler,
        shards=layout.shards,
        plan="" if draft.plan is None else draft.plan.content_digest,
        approvals=tuple(sorted(approvals)),
        rollback_of=draft.rollback_of,
        extensions=draft.extensions,
    )
    data = manifest.to_bytes()
    files: dict[str, bytes] = {**draft.carried, **layout.files, "manifest.json": data}
    files.update({f"signatures/{key.public.ident}.sigstore.json": sign_manifest(key, data) for key in keys})
    files.update({f"approvals/{digest}.json": item for digest, item in approvals.items()})
    if plan:
        files[f"plans/{manifest.plan}.json"] = plan
    return BuiltRelease(manifest, manifest.digest, files)
